/** Which service port a connection is on its way to: by the address that it dialled, or by the name that it asks for. */
import { appendTo } from "../../lib/append_to.ts";
import { formatIp, Network, parseIp } from "../../lib/ip.ts";
import type { Listener } from "../../model/snapshot.ts";
import { type CompiledTcpRoute, compileTcpRoute } from "./tcp_route.ts";
import { findByWildcard, hasLabelWildcard } from "./wildcard_names.ts";

export interface CompiledListener<Target> {
  readonly listener: Listener;
  /** As in Listener. */
  readonly routes: readonly CompiledTcpRoute<Target>[];
}

/** One member of a service, at the address that it has itself. */
export interface Member<Endpoint> {
  readonly address: string;
  readonly port: number;
  readonly endpoint: Endpoint;
}

/** What an address leads to; `endpoint` is the one that has it, null where it stands for the service as a whole. */
export interface Found<Target, Endpoint> {
  readonly listener: CompiledListener<Target>;
  readonly endpoint: Endpoint | null;
}

/** What the table asks about clusters. */
export interface ClusterLookup<Target, Endpoint> {
  /** What a cluster's name leads to, or null. */
  find(cluster: string): Target | null;
  /** Who stands behind a service port, whatever its routes say. */
  members(listener: Listener): Iterable<Member<Endpoint>>;
}

const HTTPS_PORT = 443;

export class ListenerTable<Target, Endpoint> {
  readonly #byAddress = new Map<string, Found<Target, Endpoint>>();
  /** By port, the narrowest network first. */
  readonly #networks = new Map<number, { network: Network; found: Found<Target, Endpoint> }[]>();
  readonly #all: readonly CompiledListener<Target>[];
  readonly #byServerName = new Map<string, CompiledListener<Target>[]>();
  readonly #withinLabels: boolean;

  /** Of two that have one address, the first has it; a service's own address goes before that of an endpoint. */
  constructor(listeners: Iterable<Listener>, clusters: ClusterLookup<Target, Endpoint>) {
    const compiled = Array.from(listeners, (listener) => compile(listener, clusters));
    this.#all = compiled;
    for (const one of compiled) {
      for (const address of one.listener.addresses) {
        this.#addAddress(address, { listener: one, endpoint: null });
      }
      for (const name of one.listener.serverNames) {
        appendTo(this.#byServerName, name, one);
      }
    }
    this.#withinLabels = hasLabelWildcard(this.#byServerName.keys());
    for (const networks of this.#networks.values()) networks.sort((a, b) => b.network.bits - a.network.bits);
    for (const one of compiled) {
      for (const { address, port, endpoint } of clusters.members(one.listener)) {
        this.#claim(address, port, { listener: one, endpoint });
      }
    }
  }

  /** `hostname` is an IP address. */
  byAddress(hostname: string, port: number): Found<Target, Endpoint> | undefined {
    const found = this.#byAddress.get(`${hostname} ${port}`);
    const networks = found === undefined ? this.#networks.get(port) : undefined;
    if (networks === undefined) return found;
    const bytes = parseIp(hostname);
    return bytes === null ? undefined : networks.find(({ network }) => network.contains(bytes))?.found;
  }

  /**
   * The port of the service of that name, lower case: the one that was dialled, and where that is not known 443, else the
   * first that carries TLS. Exact names before wildcards, and of those the longest first.
   */
  byServerName(name: string, port: number | null): CompiledListener<Target> | undefined {
    const ports = this.#portsOf(name);
    if (port !== null) return ports?.find(({ listener }) => listener.port === port);
    return ports?.find(({ listener }) => listener.port === HTTPS_PORT) ??
      ports?.find(({ listener }) => listener.protocol === "tls");
  }

  /**
   * The port of a service for which a tunnel asks, by a name, lower case, or by an address of the service as a whole. Of
   * those that are declared to carry bytes alone: what goes to the others is led by the rules for requests.
   */
  byAuthority(hostname: string, port: number): CompiledListener<Target> | undefined {
    if (parseIp(hostname) === null) return carriesBytes(this.byServerName(hostname, port));
    const found = this.byAddress(hostname, port);
    return found?.endpoint === null ? carriesBytes(found.listener) : undefined;
  }

  /** Whether a service of that name, or at that address, has declared that the port carries TLS. */
  carriesTls(hostname: string, port: number): boolean {
    return this.byAuthority(hostname, port)?.listener.protocol === "tls";
  }

  /** The listeners of all services that have this port, in order. */
  ofPort(port: number): readonly CompiledListener<Target>[] {
    return this.#all.filter(({ listener }) => listener.port === port);
  }

  /** The listeners of one service. */
  ofHost(host: string): readonly CompiledListener<Target>[] {
    return this.#all.filter(({ listener }) => listener.service.host === host);
  }

  #portsOf(name: string): CompiledListener<Target>[] | undefined {
    const exact = this.#byServerName.get(name);
    if (exact !== undefined) return exact;
    return findByWildcard(this.#byServerName, name, this.#withinLabels);
  }

  #addAddress(address: string, found: Found<Target, Endpoint>): void {
    const { port } = found.listener.listener;
    if (!address.includes("/")) return this.#claim(address, port, found);
    const network = Network.parse(address);
    if (network === null) return;
    appendTo(this.#networks, port, { network, found });
  }

  /** A name instead of an address is nobody's: connections carry addresses only. */
  #claim(address: string, port: number, found: Found<Target, Endpoint>): void {
    const bytes = parseIp(address);
    if (bytes === null) return;
    const key = `${formatIp(bytes)} ${port}`;
    if (!this.#byAddress.has(key)) this.#byAddress.set(key, found);
  }
}

function carriesBytes<Target>(
  found: CompiledListener<Target> | undefined,
): CompiledListener<Target> | undefined {
  const protocol = found?.listener.protocol;
  return protocol === "tcp" || protocol === "tls" ? found : undefined;
}

function compile<Target, Endpoint>(
  listener: Listener,
  { find }: ClusterLookup<Target, Endpoint>,
): CompiledListener<Target> {
  return { listener, routes: listener.routes.map((route) => compileTcpRoute(route, find)) };
}
