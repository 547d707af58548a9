/** What a gateway does with a connection to one of its ports: by the server name that TLS asks for. Compiled. */
import type { GatewayChain, GatewayListener } from "../../model/gateway_listener.ts";
import { type CompiledTcpRoute, compileTcpRoute } from "./tcp_route.ts";

export interface CompiledChain<Target> {
  readonly chain: GatewayChain;
  /** For bytes. */
  readonly routes: readonly CompiledTcpRoute<Target>[];
}

export class GatewayTable<Target> {
  readonly listener: GatewayListener;
  /** Null: the port is in plain text. */
  readonly #byServerName: ReadonlyMap<string, CompiledChain<Target>> | null;
  readonly #plain: CompiledChain<Target> | null;

  /** Of two chains with one name the first has it. `find` turns a cluster's name into what the proxy sends to. */
  constructor(listener: GatewayListener, find: (cluster: string) => Target | null) {
    this.listener = listener;
    const chains = listener.chains.map((chain) => ({
      chain,
      routes: chain.routes.map((route) => compileTcpRoute(route, find)),
    }));
    this.#plain = chains.find(({ chain }) => chain.serverNames.length === 0) ?? null;
    const named = new Map<string, CompiledChain<Target>>();
    for (const one of chains) {
      for (const name of one.chain.serverNames) if (!named.has(name)) named.set(name, one);
    }
    this.#byServerName = this.#plain === null ? named : null;
  }

  /** What all connections have in common; null: they speak TLS, and the server name decides. */
  get plain(): CompiledChain<Target> | null {
    return this.#plain;
  }

  /** Null: the client named no server, which only `*` takes. */
  byServerName(name: string | null): CompiledChain<Target> | undefined {
    const named = this.#byServerName;
    if (named === null) return undefined;
    const exact = name === null ? undefined : named.get(name);
    if (exact !== undefined) return exact;
    for (let dot = (name ?? "").indexOf("."); dot >= 0; dot = (name as string).indexOf(".", dot + 1)) {
      const wildcard = named.get(`*${(name as string).slice(dot)}`);
      if (wildcard !== undefined) return wildcard;
    }
    return named.get("*");
  }
}
