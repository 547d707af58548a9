/**
 * The HTTP rules of a VirtualService with those in place to which it delegates (Istio's `delegate`, one level): each rule
 * of the delegate is narrowed by the match of the rule that delegates, and has its other fields where it lacks them.
 */
import { joined, type MatchConflict, mergeMatches } from "./delegated_match.ts";
import { resolveHost } from "./host.ts";
import type { ConfigResource } from "./resource.ts";
import type { HttpMirror } from "./schema/http_mirror.ts";
import type { HttpRule } from "./schema/http_rule.ts";
import type { VirtualServiceSpec } from "./schema/virtual_service.ts";
import { isVisible } from "./visibility.ts";

type VirtualService = ConfigResource<VirtualServiceSpec>;

/** A rule and where it is written. */
export interface PlacedRule {
  readonly http: HttpRule;
  readonly resource: VirtualService;
  /** In `http[]` of that resource. */
  readonly index: number;
  /** In `http[]` of the VirtualService whose rules they are: the rule itself, or the one that delegates to it. */
  readonly from: number;
}

/** A rule that has no effect, since Istio's delegation drops it. */
export type DroppedRule =
  & {
    readonly resource: VirtualService;
    readonly index: number;
    /** `NAMESPACE/NAME` of who delegates where there is a conflict, else of the delegate. */
    readonly other: string;
  }
  & (
    | { readonly reason: "no such delegate" | "not exported" }
    | { readonly reason: "conflict"; readonly conflict: MatchConflict }
  );

export interface Delegation {
  readonly rules: readonly PlacedRule[];
  readonly dropped: readonly DroppedRule[];
}

export class Delegates {
  readonly #byKey: ReadonlyMap<string, VirtualService>;

  constructor(resources: readonly VirtualService[]) {
    const delegates = resources.filter(({ spec }) => spec.hosts.length === 0);
    this.#byKey = new Map(delegates.map((one) => [`${one.namespace}/${one.name}`, one]));
  }

  /** To whom a VirtualService delegates. */
  of(resource: VirtualService): VirtualService[] {
    return resource.spec.http.flatMap(({ delegate }) => {
      const child = delegate === null ? undefined : this.#byKey.get(delegateKey(delegate, resource));
      return child !== undefined && isDelegateOf(child, resource) ? child : [];
    });
  }

  /** The rules of a VirtualService in order, none of which delegates. */
  rulesOf(resource: VirtualService): Delegation {
    const rules: PlacedRule[] = [];
    const dropped: DroppedRule[] = [];
    for (const [index, http] of resource.spec.http.entries()) {
      if (http.delegate === null) {
        rules.push({ http, resource, index, from: index });
        continue;
      }
      const key = delegateKey(http.delegate, resource);
      const child = this.#byKey.get(key);
      if (child === undefined || !isDelegateOf(child, resource)) {
        const reason = child === undefined ? "no such delegate" : "not exported";
        dropped.push({ resource, index, reason, other: key });
        continue;
      }
      const other = `${resource.namespace}/${resource.name}`;
      const root = { blocks: http.match, namespace: resource.namespace };
      for (const [childIndex, rule] of child.spec.http.entries()) {
        const match = mergeMatches(root, { blocks: rule.match, namespace: child.namespace });
        if ("kind" in match) {
          dropped.push({ resource: child, index: childIndex, reason: "conflict", other, conflict: match });
          continue;
        }
        const merged = { ...mergeRules(http, rule, resource.namespace), match };
        rules.push({ http: merged, resource: child, index: childIndex, from: index });
      }
    }
    return { rules, dropped };
  }
}

function delegateKey(
  { name, namespace }: NonNullable<HttpRule["delegate"]>,
  root: VirtualService,
): string {
  return `${namespace ?? root.namespace}/${name}`;
}

function isDelegateOf({ spec, namespace }: VirtualService, root: VirtualService): boolean {
  return isVisible(spec.exportTo, namespace, root.namespace);
}

/** All but the match. What the leaf has from the root means hosts as the root's namespace does. */
function mergeRules(root: HttpRule, leaf: HttpRule, rootNamespace: string): HttpRule {
  const { mirror } = root;
  return {
    ...leaf,
    name: joined(root.name, leaf.name),
    rewrite: leaf.rewrite ?? root.rewrite,
    timeout: leaf.timeout ?? root.timeout,
    retries: leaf.retries ?? root.retries,
    fault: leaf.fault ?? root.fault,
    mirror: leaf.mirror ?? (mirror && mirrorFrom(mirror, rootNamespace)),
    mirrors: leaf.mirrors.length > 0
      ? leaf.mirrors
      : root.mirrors.map((one) => mirrorFrom(one, rootNamespace)),
    corsPolicy: leaf.corsPolicy ?? root.corsPolicy,
    headers: leaf.headers ?? root.headers,
  };
}

function mirrorFrom(mirror: HttpMirror, namespace: string): HttpMirror {
  const { destination } = mirror;
  return { ...mirror, destination: { ...destination, host: resolveHost(destination.host, namespace) } };
}
