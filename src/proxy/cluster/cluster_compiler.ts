/** Makes clusters of what a snapshot says: their endpoints bound to hosts and counters, and to the addresses of their names. */
import { type Cluster, type Endpoint, type EndpointSet, isMeshHop } from "../../model/cluster.ts";
import type { ServiceInfo, WorkloadInfo } from "../../model/call_info.ts";
import type { HttpProtocol } from "../../model/port_protocol.ts";
import { type Edge, UNKNOWN_WORKLOAD } from "../../telemetry/edge_metrics.ts";
import { type ClusterContext, CompiledCluster } from "./cluster.ts";
import { ClusterEndpoint } from "./cluster_endpoint.ts";
import { type NameAddresses, namesOf, resolvedEndpoints } from "./dns/resolved_endpoints.ts";
import type { HostTable } from "./host_table.ts";
import { PoolLimits, poolName } from "./pool_limits.ts";

/** The counters of calls to a workload. */
export type EdgeTo = (destination: WorkloadInfo, service: ServiceInfo, mtls: boolean) => Edge;

/** What all clusters of a snapshot are compiled with. Kept as long as they are, so it must not hold on to other snapshots. */
export interface ClusterCompilerOptions extends ClusterContext {
  readonly hosts: HostTable;
  /** By the name of the cluster. */
  readonly endpointSets: ReadonlyMap<string, EndpointSet>;
  readonly edgeTo: EdgeTo;
  /** Of endpoints that are names. @default names are looked up by whoever connects */
  readonly names?: NameAddresses;
}

/** Null: it shares the connections that all have. */
type OwnPool = Pick<CompiledCluster, "limits" | "pool">;

export class ClusterCompiler {
  readonly #options: ClusterCompilerOptions;

  constructor(options: ClusterCompilerOptions) {
    this.#options = options;
  }

  /** `old`: what serves under the name. Throws when the cluster's settings cannot be followed. */
  compile(cluster: Cluster, old: CompiledCluster | null): CompiledCluster {
    const { ownLimits } = this.#options.hosts;
    const limits = cluster.limits === undefined ? null : old?.limits ?? new PoolLimits(ownLimits);
    const pool = cluster.limits === undefined ? null : poolName(cluster.name, cluster.limits);
    const endpoints = this.#endpointsOf(cluster, { limits, pool });
    const unserved = this.#options.edgeTo(UNKNOWN_WORKLOAD, cluster.service, false);
    const names = this.#namesOf(cluster);
    const dns = names.length === 0 ? {} : {
      hasNames: true,
      firstAnswer: () => this.#options.names?.firstAnswer(names) ?? null,
    };
    return new CompiledCluster({ cluster, endpoints, unserved, limits, pool, ...dns }, this.#options, old);
  }

  /** The name has other addresses: the cluster goes on with those. False: nothing changes for it. */
  move(compiled: CompiledCluster, name: string): boolean {
    const { cluster, endpoints: before } = compiled;
    if (!this.#namesOf(cluster).includes(name)) return false;
    const endpoints = this.#endpointsOf(cluster, compiled);
    if (before.length === endpoints.length && before.every(({ host }, i) => host === endpoints[i]?.host)) {
      return false;
    }
    compiled.replaceEndpoints(endpoints);
    return true;
  }

  #namesOf(cluster: Cluster): readonly string[] {
    return this.#options.names === undefined ? [] : namesOf(cluster, this.#written(cluster));
  }

  #endpointsOf(cluster: Cluster, own: OwnPool): ClusterEndpoint[] {
    const { names } = this.#options;
    const written = this.#written(cluster);
    const resolved = names === undefined
      ? written
      : resolvedEndpoints(cluster, written, (name) => names.addressesOf(name));
    return resolved.map((one) => this.#bind(one, cluster, own));
  }

  #written({ name }: Cluster): readonly Endpoint[] {
    return this.#options.endpointSets.get(name)?.endpoints ?? [];
  }

  #bind(endpoint: Endpoint, cluster: Cluster, { limits, pool }: OwnPool): ClusterEndpoint {
    const { service, protocol = "http1", followsClient = false, tls, proxyProtocol: version } = cluster;
    const { meshServerName } = cluster;
    const mtls = endpoint.meshPort !== null;
    const overMesh = isMeshHop(endpoint);
    const { hosts, edgeTo } = this.#options;
    const hostFor = (spoken: HttpProtocol) =>
      hosts.get({
        hostname: endpoint.address,
        port: endpoint.meshPort ?? endpoint.port,
        spiffeId: mtls ? endpoint.workload.principal : null,
        protocol: spoken,
        ...(mtls || tls === undefined ? {} : { tls }),
        ...(overMesh || meshServerName === undefined ? {} : { serverName: meshServerName }),
        ...(mtls || version === undefined ? {} : { proxyProtocol: { version, ends: null } }),
        ...(pool === null ? {} : { pool }),
      }, limits);
    const edge = edgeTo(endpoint.workload, service, mtls);
    // The mesh hop carries many exchanges on one connection, whoever calls.
    if (overMesh || !followsClient) {
      return new ClusterEndpoint(endpoint, hostFor(overMesh ? "http2" : protocol), edge);
    }
    return new ClusterEndpoint(endpoint, hostFor("http1"), edge, hostFor("http2"));
  }
}
