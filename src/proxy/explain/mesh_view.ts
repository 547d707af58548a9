/** A snapshot, arranged by what `explain` asks of it. */
import type { GatewayListener } from "../../model/gateway_listener.ts";
import type { Cluster, Endpoint } from "../../model/cluster.ts";
import type { Listener, ProxySettings, Snapshot, VirtualHost } from "../../model/snapshot.ts";

export interface MeshView {
  readonly settings: ProxySettings;
  readonly virtualHosts: readonly VirtualHost[];
  /** By name. */
  readonly clusters: ReadonlyMap<string, Cluster>;
  /** By the cluster's name. */
  readonly endpoints: ReadonlyMap<string, readonly Endpoint[]>;
  readonly listeners: ReadonlyMap<string, Listener>;
  /** Of a gateway alone. */
  readonly gatewayListeners: readonly GatewayListener[];
}

/** Throws when the snapshot has no proxy settings. */
export function meshView(snapshot: Snapshot): MeshView {
  let settings: ProxySettings | undefined;
  const virtualHosts: VirtualHost[] = [];
  const clusters = new Map<string, Cluster>();
  const endpoints = new Map<string, readonly Endpoint[]>();
  const listeners = new Map<string, Listener>();
  const gatewayListeners: GatewayListener[] = [];
  for (const { body } of snapshot.values()) {
    if (body.kind === "proxy") settings = body;
    else if (body.kind === "virtualHost") virtualHosts.push(body);
    else if (body.kind === "cluster") clusters.set(body.name, body);
    else if (body.kind === "endpoints") endpoints.set(body.name, body.endpoints);
    else if (body.kind === "listener") listeners.set(body.name, body);
    else if (body.kind === "gatewayListener") gatewayListeners.push(body);
  }
  if (settings === undefined) throw new Error("The snapshot has no proxy settings");
  return { settings, virtualHosts, clusters, endpoints, listeners, gatewayListeners };
}

/** The parts of a cluster's name, as clusterName() puts them together; the cluster itself need not be there. */
export function clusterParts(cluster: string): { host: string; subset: string | null; port: number } {
  const [, port, subset = "", host = ""] = cluster.split("|");
  return { host, subset: subset === "" ? null : subset, port: Number(port) };
}
