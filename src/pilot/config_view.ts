/** What one kind of caller sees of a generation of the configuration, before endpoints are filled in. */
import type { Labels } from "../model/labels.ts";
import type { Membership } from "./endpoints.ts";
import type { SnapshotPart } from "./shared_snapshot.ts";
import type { ViewScope } from "./view_scope.ts";

/** A caller, as far as the configuration tells callers apart. */
export interface Viewer {
  readonly namespace: string;
  readonly labels: Labels;
  /** @default "sidecar" */
  readonly role?: "sidecar" | "gateway";
}

/** A caller, and what its Sidecar lets it see; null is everything. */
export interface ScopedViewer extends Viewer {
  readonly scope: ViewScope | null;
}

/** Where a view has what no service has; no host is called so. */
export const NO_SERVICE = "";

/** What one host comes to. Equal causes give the same object. */
export interface ConfigPart {
  readonly resources: SnapshotPart;
  /** One for each cluster. */
  readonly memberships: readonly Membership[];
}

/** What a kind of caller sees, without endpoints; worked out when it is first asked for. */
export class ConfigView {
  readonly viewer: Viewer;
  #content: ViewContent | (() => ViewContent);

  constructor(viewer: Viewer, content: () => ViewContent) {
    this.viewer = viewer;
    this.#content = content;
  }

  get content(): ViewContent {
    // What it was made from is let go with the function.
    if (typeof this.#content === "function") this.#content = this.#content();
    return this.#content;
  }

  get parts(): ReadonlyMap<string, ConfigPart> {
    return this.content.parts;
  }

  /** The parts in which it differs from the view that it follows; null: perhaps in all. */
  get changed(): ReadonlySet<string> | null {
    return this.content.changed;
  }
}

export interface ViewContent {
  /** By host of a service; what no service has is under names that no host has. */
  readonly parts: ReadonlyMap<string, ConfigPart>;
  readonly changed: ReadonlySet<string> | null;
  /** The viewer's; null: it sees everything, or it is a gateway. */
  readonly scope: ViewScope | null;
}
