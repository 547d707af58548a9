/** Walks the places where VirtualServices send requests. */
import { resolveHost } from "../host.ts";
import type { ConfigResource, ResourceSet } from "../resource.ts";
import type { VirtualServiceSpec } from "../schema/virtual_service.ts";

export interface Reference {
  readonly resource: ConfigResource<VirtualServiceSpec>;
  /** Of the destination: `["spec", "http", 0, "route", 1, "destination"]`. */
  readonly path: readonly (string | number)[];
  /** As written, in lower case. */
  readonly written: string;
  /** The full name that it means. */
  readonly host: string;
  readonly subset: string | null;
  readonly port: number | null;
}

export function* destinations(resources: ResourceSet): Generator<Reference> {
  for (const resource of resources.virtualServices) {
    for (const [rule, { route }] of resource.spec.http.entries()) {
      for (const [index, { destination }] of route.entries()) {
        yield {
          resource,
          path: ["spec", "http", rule, "route", index, "destination"],
          written: destination.host,
          host: resolveHost(destination.host, resource.namespace),
          subset: destination.subset,
          port: destination.port,
        };
      }
    }
  }
}
