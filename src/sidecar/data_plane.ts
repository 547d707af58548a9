/**
 * What the rest of a sidecar sees of its data plane, wherever that runs: in this process (local_data_plane.ts), or in
 * several that share the ports (worker_pool.ts).
 */
import type { Limits } from "../model/limits.ts";
import type { ShutPort } from "../model/shut_port.ts";
import type { Snapshot } from "../model/snapshot.ts";
import type { ProxyOptions, ProxyRefusals } from "../proxy/proxy_options.ts";
import type { TlsMaterial } from "../runtime/tls_options.ts";
import type { CallRecorder } from "../telemetry/call_recorder.ts";
import type { EdgeRegistry } from "../telemetry/edge_metrics.ts";
import type { Tap } from "../telemetry/tap.ts";
import type { PolicyCounts } from "../telemetry/policy_counts.ts";

/** Where a data plane stands; plain data. */
export interface DataPlaneSettings {
  readonly trustDomain: string;
  /** As in ProxyOptions: all ports of a sidecar. */
  readonly addresses: ProxyOptions["addresses"];
  /** As in ProxyOptions. */
  readonly gateway: ProxyOptions["gateway"];
  /** As in ProxyOptions. */
  readonly servesSockets?: boolean;
  /** As in ProxyOptions. */
  readonly credentials: ProxyOptions["credentials"];
  /** Address on which the own workload listens. */
  readonly deliverTo: string;
  readonly limits: Limits;
  /** As in ProxyOptions. */
  readonly jwksAllow: ProxyOptions["jwksAllow"];
}

export interface DataPlane {
  /** What was counted, as of the last collect(). */
  readonly edges: EdgeRegistry;
  /** What policies decided, as of the last collect(). */
  readonly decisions: PolicyCounts;
  /** What came to the own workload, as of the last collect(). */
  readonly calls: CallRecorder;
  /** Calls as they end, as of the last collect(); empty unless openTap() was called. */
  readonly tap: Tap;
  /** What was refused, as of the last collect(). */
  readonly refusals: ProxyRefusals;
  /** Connections from clients, as of the last collect(). */
  readonly connections: number;
  /** Ports of a gateway that should be open and are not, as of the last collect(). */
  readonly shutPorts: readonly ShutPort[];
  /** Processes that serve, and how many took the place of one that ended unexpectedly. */
  readonly workers: { readonly serving: number; readonly restarts: number };
  /** Takes the ports, so that one that is taken shows at once. Throws ListenError, and then has none. */
  listen(): void;
  /** The certificate and the roots from the next connection on. */
  useIdentity(identity: TlsMaterial): void;
  /**
   * Resolves when everything that serves serves by the snapshot. Rejects when it does not compile: then everything goes
   * on with what it had.
   */
  apply(snapshot: Snapshot): Promise<void>;
  /** Keeps calls as they end, from now on and for so long unless it is opened again. */
  openTap(leaseMs: number): void;
  /** Resolves when all numbers are those of this moment, or as near to it as can be had. */
  collect(): Promise<void>;
  /** Stops accepting and lets what is in flight end; resolves when all is over or the time is up. */
  drain(timeoutMs: number): Promise<void>;
}
