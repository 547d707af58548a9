/** What a proxy is given, and what it tells of what it refused. */
import type { Clock } from "../lib/clock.ts";
import type { Random } from "../lib/prng.ts";
import type { Limits } from "../model/limits.ts";
import type { ListenAddress } from "../runtime/socket.ts";
import type { TlsMaterial } from "../runtime/tls_options.ts";
import type { ConnectRefusals } from "./cluster/bounded_connect.ts";
import type { GatewayPlace } from "./gateway.ts";
import type { ConnectionRefusals } from "./listener/connection_gate.ts";
import type { ProxyCaps } from "./proxy_caps.ts";

/** What was refused since the start because it was too much, by the cap that it hit. */
export interface ProxyRefusals {
  readonly downstream: Readonly<ConnectionRefusals>;
  readonly upstream: Readonly<ConnectRefusals>;
  readonly requests: number;
}

export interface SidecarAddresses {
  /** Where the own workload's calls come in, normally loopback. */
  readonly outbound: ListenAddress;
  /** Where plain calls to the own workload come in, captured. */
  readonly inboundPlain: ListenAddress;
  /** Where the mesh calls in. */
  readonly mesh: ListenAddress;
}

export interface ProxyOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly trustDomain: string;
  /** The ports of a sidecar; null: it is a gateway, whose ports are what its configuration says. */
  readonly addresses: SidecarAddresses | null;
  /** For a gateway. */
  readonly gateway: GatewayPlace | null;
  /** Of processes that share their ports one alone listens at sockets. @default true */
  readonly servesSockets?: boolean;
  /** Directory of the credentials that Gateways and DestinationRules name; null: there is none. */
  readonly credentials: string | null;
  /** Address on which the own workload listens. */
  readonly deliverTo: string;
  readonly caps: ProxyCaps;
  readonly limits: Limits;
  /** Addresses and networks where keys of tokens may be asked for although they are refused otherwise. */
  readonly jwksAllow: readonly string[];
  /** The own certificate and the trusted roots, fresh at every connection; null before the workload has joined. */
  tlsMaterial(): TlsMaterial | null;
  warn(message: string): void;
  info(message: string): void;
  /** Other ports of a gateway than before cannot be opened. */
  onShutPorts(): void;
}
