/**
 * The data plane in several processes that share the ports. This one has the identity, the snapshot and all numbers; the
 * workers have the connections. One that ends takes its connections with it and nothing else.
 */
import type { Clock } from "../../lib/clock.ts";
import type { Random } from "../../lib/prng.ts";
import type { ShutPort } from "../../model/shut_port.ts";
import type { Snapshot } from "../../model/snapshot.ts";
import { checkSnapshot } from "../../proxy/check_snapshot.ts";
import { lateCallsMs, SIDES } from "../../proxy/proxy.ts";
import type { ProxyRefusals, SidecarAddresses } from "../../proxy/proxy_options.ts";
import type { ListenAddress, Listener } from "../../runtime/socket.ts";
import type { TlsMaterial } from "../../runtime/tls_options.ts";
import { CallRecorder } from "../../telemetry/call_recorder.ts";
import { Tap } from "../../telemetry/tap.ts";
import { EdgeRegistry } from "../../telemetry/edge_metrics.ts";
import { PolicyCounts } from "../../telemetry/policy_counts.ts";
import type { Log } from "../../telemetry/log.ts";
import type { DataPlane, DataPlaneSettings } from "../data_plane.ts";
import { addRefusals, NO_REFUSALS } from "./refusal_sums.ts";
import { changeBetween } from "../snapshot_change.ts";
import type { StartWorker } from "./worker_link.ts";
import { WorkerSlot, type WorkerState } from "./worker_slot.ts";

/** How often the workers are asked what they counted: what one that crashes takes with it at most. */
export const COLLECT_INTERVAL_MS = 1_000;

/** Whoever wants numbers of this moment waits no longer for a worker than this. */
export const COLLECT_WAIT_MS = 1_000;

/** A worker's own measure of the time for a drain may run so much behind. */
export const DRAIN_GRACE_MS = 1_000;

/** A worker that has not closed its ports by then is drained as it is. */
export const CLOSE_WAIT_MS = 1_000;

export interface WorkerPoolOptions {
  readonly workers: number;
  readonly settings: DataPlaneSettings;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly start: StartWorker;
  /** `shutPorts` has changed. */
  onShutPorts(): void;
  /** Takes a port for itself alone and serves nobody on it. Throws ListenError. */
  hold(address: ListenAddress): Listener;
}

export class WorkerPool implements DataPlane {
  readonly edges = new EdgeRegistry();
  readonly decisions = new PolicyCounts();
  readonly calls = new CallRecorder();
  shutPorts: readonly ShutPort[] = [];
  readonly tap: Tap;
  readonly #options: WorkerPoolOptions;
  readonly #slots: readonly WorkerSlot[];
  #held: Listener[] = [];
  #identity: TlsMaterial | null = null;
  #snapshot: Snapshot | null = null;
  #cancelLook: () => void = () => {};

  constructor(options: WorkerPoolOptions) {
    this.#options = options;
    this.tap = new Tap(options.clock);
    const { workers, clock, random, log, start } = options;
    const shared = {
      clock,
      random,
      log,
      start,
      edges: this.edges,
      decisions: this.decisions,
      calls: this.calls,
      tap: this.tap,
      onShutPorts: () => this.#gatherShutPorts(),
    };
    this.#slots = Array.from(
      { length: workers },
      (_, i) => new WorkerSlot({ ...shared, number: i + 1, state: () => this.#state(i === 0) }),
    );
  }

  get refusals(): ProxyRefusals {
    return this.#slots.map((slot) => slot.refusals).reduce(addRefusals, NO_REFUSALS);
  }

  get connections(): number {
    return this.#slots.reduce((sum, { connections }) => sum + connections, 0);
  }

  get workers(): { serving: number; restarts: number } {
    return {
      serving: this.#slots.filter(({ serves }) => serves).length,
      restarts: this.#slots.reduce((sum, { restarts }) => sum + restarts, 0),
    };
  }

  /**
   * Starts the workers too, which wait for what they need. Until then the ports are held by this process: among those
   * that share a port a stranger would not be noticed.
   */
  listen(): void {
    const { settings: { addresses }, hold } = this.#options;
    try {
      for (const address of Object.values(addresses ?? {}) as readonly ListenAddress[]) {
        this.#held.push(hold(address));
      }
    } catch (error) {
      this.#release();
      throw error;
    }
    for (const slot of this.#slots) slot.start();
    this.#lookLater();
  }

  useIdentity(identity: TlsMaterial): void {
    this.#identity = identity;
    for (const slot of this.#slots) slot.useIdentity(identity);
  }

  async apply(snapshot: Snapshot): Promise<void> {
    // Here rather than in the workers: refusing needs none that is alive, and none has to take anything back.
    checkSnapshot(snapshot);
    const change = changeBetween(this.#snapshot ?? new Map(), snapshot);
    this.#snapshot = snapshot;
    await Promise.all(this.#slots.map((slot) => slot.update(change)));
  }

  openTap(leaseMs: number): void {
    this.tap.open(leaseMs);
    for (const slot of this.#slots) slot.openTap(leaseMs);
  }

  collect(): Promise<void> {
    return this.#within(COLLECT_WAIT_MS, (slot) => slot.collect());
  }

  async drain(timeoutMs: number): Promise<void> {
    const { clock, settings: { addresses } } = this.#options;
    const until = clock.monotonic() + timeoutMs;
    this.#release();
    for (const side of SIDES) {
      const lateMs = lateCallsMs(side, addresses, timeoutMs);
      const olderMs = until - clock.monotonic();
      if (lateMs > 0 && olderMs > 0) {
        await this.#within(olderMs + DRAIN_GRACE_MS, (slot) => slot.drainOlder(side, olderMs));
      }
      // All of them first: whoever is told to connect anew must not come to one that is about to close, since the
      // kernel resets what a port has not accepted yet.
      await this.#within(CLOSE_WAIT_MS, (slot) => slot.close(side));
      const leftMs = Math.max(until - clock.monotonic(), lateMs);
      await this.#within(leftMs + DRAIN_GRACE_MS, (slot) => slot.drain(side, leftMs));
    }
    await Promise.all(this.#slots.map((slot) => slot.end()));
    this.#cancelLook();
  }

  /** Tells each shut port once: all workers have the same ports, and the same reasons as a rule. */
  #gatherShutPorts(): void {
    const all = new Map(
      this.#slots.flatMap(({ shutPorts }) => shutPorts).map((one) => [`${one.port} ${one.reason}`, one]),
    );
    const before = this.shutPorts;
    this.shutPorts = [...all.values()];
    if (JSON.stringify(before) !== JSON.stringify(this.shutPorts)) this.#options.onShutPorts();
  }

  /** What a worker needs that starts now; asking for it frees the ports for it. */
  #state(isFirst: boolean): WorkerState | null {
    const { settings } = this.#options;
    if (this.#identity === null || this.#snapshot === null) return null;
    this.#release();
    return {
      settings: {
        ...settings,
        servesSockets: isFirst,
        addresses: settings.addresses && shared(settings.addresses),
        gateway: settings.gateway && { ...settings.gateway, shared: true },
      },
      identity: this.#identity,
      snapshot: [...this.#snapshot],
    };
  }

  /** Resolves when it is done in all, or the time is up. */
  async #within(ms: number, what: (slot: WorkerSlot) => Promise<void>): Promise<void> {
    const timeUp = Promise.withResolvers<void>();
    const cancel = this.#options.clock.after(ms, timeUp.resolve);
    await Promise.race([Promise.all(this.#slots.map(what)), timeUp.promise]);
    cancel();
  }

  #lookLater(): void {
    this.#cancelLook = this.#options.clock.after(COLLECT_INTERVAL_MS, () => {
      for (const slot of this.#slots) slot.look();
      this.#lookLater();
    });
  }

  #release(): void {
    for (const listener of this.#held.splice(0)) listener.stop();
  }
}

function shared<Addresses extends SidecarAddresses>(addresses: Addresses): Addresses {
  const entries = Object.entries(addresses).map(([name, address]) => [name, { ...address, shared: true }]);
  return Object.fromEntries(entries) as Addresses;
}
