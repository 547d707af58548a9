/** The data plane in this process. */
import type { Clock } from "../lib/clock.ts";
import type { Random } from "../lib/prng.ts";
import type { ShutPort } from "../model/shut_port.ts";
import type { Snapshot } from "../model/snapshot.ts";
import { Proxy } from "../proxy/proxy.ts";
import type { ProxyRefusals } from "../proxy/proxy_options.ts";
import type { ProxyCaps } from "../proxy/proxy_caps.ts";
import type { TlsMaterial } from "../runtime/tls_options.ts";
import type { CallRecorder } from "../telemetry/call_recorder.ts";
import type { EdgeRegistry } from "../telemetry/edge_metrics.ts";
import type { Tap } from "../telemetry/tap.ts";
import type { PolicyCounts } from "../telemetry/policy_counts.ts";
import type { DataPlane, DataPlaneSettings } from "./data_plane.ts";

export interface LocalDataPlaneOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly settings: DataPlaneSettings;
  readonly caps: ProxyCaps;
  warn(message: string): void;
  info(message: string): void;
  /** `shutPorts` has changed. */
  onShutPorts(): void;
}

export class LocalDataPlane implements DataPlane {
  readonly workers = { serving: 1, restarts: 0 };
  readonly #proxy: Proxy;
  #identity: TlsMaterial | null = null;

  constructor({ settings, ...options }: LocalDataPlaneOptions) {
    this.#proxy = new Proxy({ ...options, ...settings, tlsMaterial: () => this.#identity });
  }

  get edges(): EdgeRegistry {
    return this.#proxy.edges;
  }

  get decisions(): PolicyCounts {
    return this.#proxy.decisions;
  }

  get calls(): CallRecorder {
    return this.#proxy.calls;
  }

  get tap(): Tap {
    return this.#proxy.tap;
  }

  get refusals(): ProxyRefusals {
    return this.#proxy.refusals;
  }

  get connections(): number {
    return this.#proxy.connections;
  }

  get shutPorts(): readonly ShutPort[] {
    return this.#proxy.shutPorts;
  }

  listen(): void {
    this.#proxy.listen();
  }

  useIdentity(identity: TlsMaterial): void {
    this.#identity = identity;
  }

  async apply(snapshot: Snapshot): Promise<void> {
    await this.#proxy.warm(snapshot);
    this.#proxy.apply(snapshot);
  }

  openTap(leaseMs: number): void {
    this.#proxy.tap.open(leaseMs);
  }

  async collect(): Promise<void> {}

  drain(timeoutMs: number): Promise<void> {
    return this.#proxy.drain(timeoutMs);
  }
}
