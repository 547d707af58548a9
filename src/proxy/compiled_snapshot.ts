/** A snapshot, compiled: what the listeners read from one field and what is swapped by one assignment. */
import type { Random } from "../lib/prng.ts";
import type {
  Cluster,
  Endpoint,
  EndpointSet,
  HttpProtocol,
  ProxySettings,
  ServiceInfo,
  Snapshot,
  VirtualHost,
} from "../model/snapshot.ts";
import { type Edge, type EdgeRegistry, UNKNOWN_WORKLOAD } from "../telemetry/edge_metrics.ts";
import { ClusterEndpoint, CompiledCluster } from "./cluster/cluster.ts";
import type { Host } from "./cluster/host.ts";
import type { HostTable } from "./cluster/host_table.ts";
import { RouteTable } from "./route/route_table.ts";

export interface CompiledSnapshot {
  readonly settings: ProxySettings;
  readonly routes: RouteTable<CompiledCluster>;
  /** What the own workload serves, by its port; nothing else is open to the mesh. */
  readonly inbound: ReadonlyMap<number, InboundService>;
  /** Counts requests that no virtual host, route or cluster took. */
  readonly unrouted: Edge;
  /** Counts requests to a service that led to no cluster. */
  unserved(service: ServiceInfo): Edge;
  /** Counts requests to hosts that the mesh does not know. */
  readonly passthrough: Edge;
  readonly hosts: ReadonlySet<Host>;
}

export interface InboundService {
  readonly service: ServiceInfo;
  readonly host: Host;
  /** The same address for tunnels. */
  readonly tunnelHost: Host;
}

const UNROUTED: ServiceInfo = { host: "unknown", name: "unknown", namespace: "unknown" };
const PASSTHROUGH: ServiceInfo = { ...UNROUTED, host: "PassthroughCluster", name: "PassthroughCluster" };

export interface CompileContext {
  readonly hosts: HostTable;
  readonly edges: EdgeRegistry;
  readonly random: Random;
  /** Address on which the own workload listens. */
  readonly deliverTo: string;
}

/** Throws when a resource cannot be compiled; nothing is changed then but hosts that were made and are not used. */
export function compileSnapshot(snapshot: Snapshot, context: CompileContext): CompiledSnapshot {
  const { hosts: hostTable, edges, random, deliverTo } = context;
  const virtualHosts: VirtualHost[] = [];
  const clusters: Cluster[] = [];
  const endpointSets = new Map<string, EndpointSet>();
  let settings: ProxySettings | undefined;
  for (const { body } of snapshot.values()) {
    if (body.kind === "virtualHost") virtualHosts.push(body);
    else if (body.kind === "cluster") clusters.push(body);
    else if (body.kind === "endpoints") endpointSets.set(body.name, body);
    else settings = body;
  }
  if (settings === undefined) throw new Error("The snapshot has no proxy settings");
  const source = settings.workload;
  const hosts = new Set<Host>();
  const edgeTo = (destination: Endpoint["workload"], service: ServiceInfo, mtls: boolean) =>
    edges.edge({ reporter: "source", source, destination, service, mtls });

  const bind = (endpoint: Endpoint, { service, protocol = "http1" }: Cluster): ClusterEndpoint => {
    const mtls = endpoint.meshPort !== null;
    const host = hostTable.get({
      hostname: endpoint.address,
      port: endpoint.meshPort ?? endpoint.port,
      spiffeId: mtls ? endpoint.workload.principal : null,
      // The mesh hop carries many exchanges on one connection.
      protocol: mtls ? "http2" : protocol,
    });
    hosts.add(host);
    return new ClusterEndpoint(endpoint, host, edgeTo(endpoint.workload, service, mtls));
  };
  const deliver = (port: number, protocol: HttpProtocol | "tcp" = "http1"): Host => {
    const host = hostTable.get({ hostname: deliverTo, port, spiffeId: null, protocol });
    hosts.add(host);
    return host;
  };
  const compiled = new Map(clusters.map((cluster) => {
    const endpoints = (endpointSets.get(cluster.name)?.endpoints ?? []).map((one) => bind(one, cluster));
    const unserved = edgeTo(UNKNOWN_WORKLOAD, cluster.service, false);
    return [cluster.name, new CompiledCluster(cluster, endpoints, unserved, random)];
  }));
  return {
    settings,
    routes: new RouteTable(virtualHosts, (name) => compiled.get(name) ?? null),
    inbound: new Map(
      settings.inbound.map((
        { port, service, protocol },
      ) => [port, { service, host: deliver(port, protocol), tunnelHost: deliver(port, "tcp") }]),
    ),
    unserved: (service) => edgeTo(UNKNOWN_WORKLOAD, service, false),
    unrouted: edgeTo(UNKNOWN_WORKLOAD, UNROUTED, false),
    passthrough: edgeTo(UNKNOWN_WORKLOAD, PASSTHROUGH, false),
    hosts,
  };
}
