/** Services whose workloads are gateways, and what stands behind their ports: for analyzers of calls by way of gateways. */
import { hasLabels } from "../../model/labels.ts";
import { serviceHost } from "../host.ts";
import type { ConfigResource, ResourceSet } from "../resource.ts";
import type { GatewayServer, GatewaySpec } from "../schema/gateway.ts";
import { knownWorkloads } from "./known_workloads.ts";

export interface GatewayServicePort {
  /** The service's. */
  readonly number: number;
  readonly targetPort: number;
  /** At the workloads' own port; empty: it is shut. */
  readonly servers: readonly PlacedServer[];
}

export interface PlacedServer {
  readonly gateway: ConfigResource<GatewaySpec>;
  readonly server: GatewayServer;
}

/** Host -> its ports; only of services of whose workloads each is known to be a gateway. */
export function gatewayServices(resources: ResourceSet): ReadonlyMap<string, readonly GatewayServicePort[]> {
  const found = new Map<string, readonly GatewayServicePort[]>();
  // One without a selector is for every gateway, whoever that is.
  const gateways = resources.gateways.filter(({ spec }) => Object.keys(spec.selector).length > 0);
  if (gateways.length === 0 || gateways.length < resources.gateways.length) return found;
  const workloads = knownWorkloads(resources);
  for (const { name, namespace, spec } of resources.services) {
    if (Object.keys(spec.selector).length === 0) continue;
    const selected = workloads.selected(namespace, spec.selector);
    const serving = selected.map((labels) => gateways.filter((one) => hasLabels(labels, one.spec.selector)));
    if (selected.length === 0 || serving.some((of) => of.length === 0)) continue;
    const servers = [...new Set(serving.flat())].flatMap((gateway) =>
      gateway.spec.servers.map((server) => ({ gateway, server }))
    );
    const ports = spec.ports.flatMap(({ port: number, targetPort }) =>
      typeof targetPort === "number"
        ? [{ number, targetPort, servers: servers.filter(({ server }) => server.port.number === targetPort) }]
        : []
    );
    found.set(serviceHost(name, namespace), ports);
  }
  return found;
}

/** The port that a destination means; undefined: nobody knows. */
export function portMeant(
  ports: readonly GatewayServicePort[],
  known: readonly number[] | undefined,
  port: number | null,
): GatewayServicePort | undefined {
  const [only, ...others] = known ?? [];
  const meant = port ?? (others.length === 0 ? only : undefined);
  return ports.find(({ number }) => number === meant);
}
