/** Walks the places where VirtualServices send requests, connections and copies of requests. */
import { resolveHost } from "../host.ts";
import type { ConfigResource, ResourceSet } from "../resource.ts";
import type { Destination } from "../schema/destination.ts";
import type { VirtualServiceSpec } from "../schema/virtual_service.ts";
import type { FieldPath } from "./analyzer.ts";
import { remembered } from "./remembered.ts";

export interface Reference {
  readonly resource: ConfigResource<VirtualServiceSpec>;
  /** Of the destination: `["spec", "http", 0, "route", 1, "destination"]`. */
  readonly path: FieldPath;
  /** As written, in lower case. */
  readonly written: string;
  /** The full name that it means. */
  readonly host: string;
  readonly subset: string | null;
  readonly port: number | null;
}

type Placed = readonly [path: FieldPath, destination: Destination];

export function destinations({ virtualServices }: ResourceSet): readonly Reference[] {
  return referencesOf(virtualServices);
}

const referencesOf = remembered(
  function* (resource: ConfigResource<VirtualServiceSpec>): Generator<Reference> {
    for (const [path, { host, subset, port }] of placed(resource.spec)) {
      yield { resource, path, written: host, host: resolveHost(host, resource.namespace), subset, port };
    }
  },
);

function* placed({ http, tcp, tls }: VirtualServiceSpec): Generator<Placed> {
  for (const [index, { route, mirror, mirrors }] of http.entries()) {
    const rule = ["spec", "http", index];
    yield* routed(route, rule);
    if (mirror !== null) yield [[...rule, "mirror"], mirror.destination];
    for (const [other, { destination }] of mirrors.entries()) {
      yield [[...rule, "mirrors", other, "destination"], destination];
    }
  }
  for (const [index, { route }] of tls.entries()) yield* routed(route, ["spec", "tls", index]);
  for (const [index, { route }] of tcp.entries()) yield* routed(route, ["spec", "tcp", index]);
}

function* routed(
  route: readonly { readonly destination: Destination }[],
  rule: FieldPath,
): Generator<Placed> {
  for (const [index, { destination }] of route.entries()) {
    yield [[...rule, "route", index, "destination"], destination];
  }
}
