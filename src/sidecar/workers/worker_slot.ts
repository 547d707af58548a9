/** The place of one worker: one process at a time, and another when it ends. */
import { Backoff } from "../../lib/backoff.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Random } from "../../lib/prng.ts";
import type { ShutPort } from "../../model/shut_port.ts";
import type { Side } from "../../proxy/listener/connection_gate.ts";
import type { ProxyRefusals } from "../../proxy/proxy_options.ts";
import type { TlsMaterial } from "../../runtime/tls_options.ts";
import type { CallRecorder } from "../../telemetry/call_recorder.ts";
import type { Tap } from "../../telemetry/tap.ts";
import type { EdgeRegistry } from "../../telemetry/edge_metrics.ts";
import type { PolicyCounts } from "../../telemetry/policy_counts.ts";
import type { Log } from "../../telemetry/log.ts";
import { OpenConnections } from "./open_connections.ts";
import { addRefusals, NO_REFUSALS } from "./refusal_sums.ts";
import type { SnapshotChange } from "../snapshot_change.ts";
import { startFailure, type StartWorker, WorkerLink } from "./worker_link.ts";
import type { Start, WorkerCounts } from "./worker_messages.ts";

/** How soon a worker that ended is replaced: the first time, and at most, when one after the other ends. */
export const RESTART_BASE_MS = 100;
export const RESTART_MAX_MS = 10_000;

/** A worker that served for this long did not end because of how it was started: the next wait is short again. */
export const STEADY_MS = 10_000;

/** A worker that was told to end and is still there after this is killed. */
export const END_MS = 2_000;

/** What a worker needs to serve. */
export type WorkerState = Pick<Start, "settings" | "identity" | "snapshot">;

export interface WorkerSlotOptions {
  /** From 1, for the log and the process list. */
  readonly number: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly start: StartWorker;
  /** Takes what the worker counted. */
  readonly edges: EdgeRegistry;
  readonly decisions: PolicyCounts;
  readonly calls: CallRecorder;
  readonly tap: Tap;
  /** Null as long as there is nothing to serve by. */
  state(): WorkerState | null;
  /** `shutPorts` may have changed. */
  onShutPorts(): void;
}

export class WorkerSlot {
  restarts = 0;
  /** Ports that the worker cannot open; those of the one before it until it says otherwise. */
  shutPorts: readonly ShutPort[] = [];
  readonly #options: WorkerSlotOptions;
  readonly #backoff: Backoff;
  #link: WorkerLink | null = null;
  #greeted = false;
  #started = false;
  /** When it began to serve, on the monotonic clock. */
  #servesSinceMs: number | null = null;
  /** Resolves when the process serves, or is gone. */
  #arrived = Promise.withResolvers<void>();
  /** Resolves when the process is gone. */
  #ended = Promise.withResolvers<void>();
  #cancelRestart: () => void = () => {};
  #stopping = false;
  #connections = 0;
  readonly #open = new OpenConnections();
  #refusals = NO_REFUSALS;
  /** What the workers refused that are gone. */
  #refusalsBefore = NO_REFUSALS;

  constructor(options: WorkerSlotOptions) {
    this.#options = options;
    const { random } = options;
    this.#backoff = new Backoff({ baseMs: RESTART_BASE_MS, maxMs: RESTART_MAX_MS, random });
  }

  get serves(): boolean {
    return this.#servesSinceMs !== null;
  }

  get connections(): number {
    return this.#connections;
  }

  get refusals(): ProxyRefusals {
    return addRefusals(this.#refusalsBefore, this.#refusals);
  }

  start(): void {
    this.#arrived = Promise.withResolvers();
    this.#ended = Promise.withResolvers();
    try {
      const link = new WorkerLink(this.#options.start, this.#options.number, {
        greeted: () => {
          this.#greeted = true;
          this.#offer();
        },
        counted: (counts) => this.#take(counts),
        ended: (reason) => this.#onEnd(link.pid, reason),
      });
      this.#link = link;
    } catch (error) {
      this.#onEnd(0, startFailure(error));
    }
  }

  /** The state is another one: resolves when the worker serves by it, or is gone. */
  async update(change: SnapshotChange): Promise<void> {
    if (this.#link === null) return;
    if (this.#started) {
      await this.#link.ask({ type: "change", ...change });
      return;
    }
    this.#offer();
    await this.#arrived.promise;
  }

  useIdentity(identity: TlsMaterial): void {
    if (this.#started) this.#link?.tell({ type: "identity", identity });
    else this.#offer();
  }

  openTap(leaseMs: number): void {
    if (this.#started) this.#link?.tell({ type: "tap", leaseMs });
  }

  /** Resolves when the worker has told its counts, or is gone. */
  async collect(): Promise<void> {
    if (this.#started) await this.#link?.ask({ type: "collect" });
  }

  look(): void {
    this.#link?.look();
  }

  /**
   * Resolves when the worker listens no more on that side, or is gone; none takes its place from now on, and one that
   * does not serve yet never will.
   */
  async close(side: Side): Promise<void> {
    this.#stopping = true;
    this.#cancelRestart();
    if (this.#started) await this.#link?.ask({ type: "close", side });
    else this.#link?.kill("it is not needed any more");
  }

  /** Resolves when nothing is in flight any more on a side that was closed, or the worker is gone. */
  async drain(side: Side, timeoutMs: number): Promise<void> {
    if (this.#started) await this.#link?.ask({ type: "drain", side, timeoutMs });
  }

  /** Resolves when what is in flight now on a side that stays open is over, or the worker is gone. */
  async drainOlder(side: Side, timeoutMs: number): Promise<void> {
    if (this.#started) await this.#link?.ask({ type: "drain-older", side, timeoutMs });
  }

  /** Resolves when the worker, which was closed before, is gone. */
  async end(): Promise<void> {
    const link = this.#link;
    if (link === null) return;
    if (this.#started) void link.ask({ type: "end" });
    const cancelKill = this.#options.clock.after(END_MS, () => link.kill("it did not end in time"));
    await this.#ended.promise;
    cancelKill();
  }

  /** Starts it off once both it and the state are there. */
  #offer(): void {
    const link = this.#link;
    if (link === null || !this.#greeted || this.#started || this.#stopping) return;
    const state = this.#options.state();
    if (state === null) return;
    this.#started = true;
    void link.ask({ type: "start", ...state }).then((serves) => {
      if (!serves) return;
      this.#servesSinceMs = this.#options.clock.monotonic();
      this.#arrived.resolve();
    });
  }

  #take({ edges, decisions, calls, tapped, refusals, connections, shutPorts }: WorkerCounts): void {
    for (const report of edges) this.#open.add(this.#options.edges.absorb(report), report);
    for (const report of decisions) this.#options.decisions.absorb(report);
    this.#options.calls.absorb(calls);
    this.#options.tap.absorb(tapped);
    this.#refusals = refusals;
    this.#connections = connections;
    if (shutPorts.length === 0 && this.shutPorts.length === 0) return;
    this.shutPorts = shutPorts;
    this.#options.onShutPorts();
  }

  #onEnd(pid: number, reason: string): void {
    const { clock, log, number } = this.#options;
    const servedMs = this.#servesSinceMs === null ? 0 : clock.monotonic() - this.#servesSinceMs;
    this.#link = null;
    this.#greeted = this.#started = false;
    this.#servesSinceMs = null;
    this.#connections = 0;
    this.#open.closeAll();
    this.#refusalsBefore = this.refusals;
    this.#refusals = NO_REFUSALS;
    this.#arrived.resolve();
    this.#ended.resolve();
    if (this.#stopping) return;
    if (servedMs >= STEADY_MS) this.#backoff.reset();
    const waitMs = this.#backoff.next();
    log.error("A worker ended; another takes its place", { worker: number, pid, reason, waitMs });
    this.#cancelRestart = clock.after(waitMs, () => {
      this.restarts++;
      this.start();
    });
  }
}
