/** The gateways that VirtualServices name, for analyzers that follow them. */
import { hostMatches, resolveHost } from "../host.ts";
import type { ConfigResource, ResourceSet } from "../resource.ts";
import { MESH_GATEWAY, resolveGateway } from "../schema/gateway_name.ts";
import type { GatewayServer, GatewaySpec } from "../schema/gateway.ts";
import type { VirtualServiceSpec } from "../schema/virtual_service.ts";
import type { FieldPath } from "./analyzer.ts";
import { remembered } from "./remembered.ts";

export interface GatewayReference {
  readonly resource: ConfigResource<VirtualServiceSpec>;
  readonly path: FieldPath;
  /** `NAMESPACE/NAME`. */
  readonly key: string;
}

/** Every gateway that is named, but for the mesh. */
export function gatewayReferences({ virtualServices }: ResourceSet): readonly GatewayReference[] {
  return referencesOf(virtualServices);
}

const referencesOf = remembered(
  function* (resource: ConfigResource<VirtualServiceSpec>): Generator<GatewayReference> {
    const { gateways, http, tls, tcp } = resource.spec;
    yield* named(resource, gateways, ["spec", "gateways"]);
    for (const [field, rules] of Object.entries({ http, tls, tcp })) {
      for (const [rule, { match }] of rules.entries()) {
        for (const [index, one] of match.entries()) {
          yield* named(resource, one.gateways, ["spec", field, rule, "match", index, "gateways"]);
        }
      }
    }
  },
);

/** The gateways of a set, by `NAMESPACE/NAME`. */
export function gatewaysByKey({ gateways }: ResourceSet): ReadonlyMap<string, ConfigResource<GatewaySpec>> {
  return new Map(gateways.map((gateway) => [`${gateway.namespace}/${gateway.name}`, gateway]));
}

/** The servers of a gateway that let VirtualServices of `namespace` have the host. */
export function serversOf(
  gateway: ConfigResource<GatewaySpec>,
  host: string,
  namespace: string,
): readonly GatewayServer[] {
  const full = resolveHost(host, namespace);
  return gateway.spec.servers.filter(({ hosts }) =>
    hosts.some((served) => {
      const from = served.namespace === "." ? gateway.namespace : served.namespace;
      if (from !== "*" && from !== namespace) return false;
      return hostMatches(served.host, full) || hostMatches(full, served.host);
    })
  );
}

function* named(
  resource: ConfigResource<VirtualServiceSpec>,
  names: readonly string[],
  path: FieldPath,
): Generator<GatewayReference> {
  for (const [index, written] of names.entries()) {
    if (written === MESH_GATEWAY) continue;
    yield { resource, path: [...path, index], key: resolveGateway(written, resource.namespace) };
  }
}
