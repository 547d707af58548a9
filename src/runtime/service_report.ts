/**
 * What the service manager is told of this process (sd_notify(3)): that it serves, or what it waits for, that it is alive,
 * and that it stops.
 */
import type { Clock } from "../lib/clock.ts";
import type { Notify } from "./notify_socket.ts";

/** How often it is looked whether there is something to tell, before the service counts as started and afterwards. */
const START_LOOK_MS = 100;
const LOOK_MS = 1_000;

/**
 * A service that listens counts as started after this, whatever it still waits for: the manager would give up on one that
 * waits for a control plane, and start it again. Until then a token that is refused makes the start fail.
 */
export const START_WAIT_MS = 10_000;

const US_PER_MS = 1_000;

/** What is reported of. */
export interface ServiceState {
  /** Why it does not serve, as a clause; null when it does. */
  notReady(): string | null;
  /** False: the processes that serve for it are gone. */
  isAlive(): boolean;
  /** The longest that it may take to stop; 0: it does so at once. */
  readonly stopMs: number;
}

export interface ServiceReportOptions {
  readonly clock: Clock;
  readonly notify: Notify;
  /** The manager ends a service that says nothing for so long; null: it does not watch. */
  readonly watchdogMs: number | null;
}

export class ServiceReport {
  readonly #options: ServiceReportOptions;
  /** Null until it listens. */
  #state: ServiceState | null = null;
  #listensSinceMs = 0;
  #started = false;
  #stopping = false;
  #status = "";
  /** What the manager has yet to hear, or did not take. */
  readonly #unsent = new Map<string, string>();
  #cancelLook: () => void = () => {};
  #cancelWatchdog: () => void = () => {};

  constructor(options: ServiceReportOptions) {
    this.#options = options;
  }

  /** The service listens. */
  follow(state: ServiceState): void {
    this.#state = state;
    this.#listensSinceMs = this.#options.clock.monotonic();
    this.#look();
    this.#watch(state);
  }

  /** It was told to end, and lets what is in flight end before. */
  stopping(): void {
    this.#stopping = true;
    this.#unsent.set("STOPPING", "1");
    this.#unsent.set("STATUS", "Stopping; what is in flight may end");
    const stopMs = this.#state?.stopMs ?? 0;
    // For all of the time at once: one that hangs as it stops gets no more.
    if (stopMs > 0) this.#unsent.set("EXTEND_TIMEOUT_USEC", String(stopMs * US_PER_MS));
    this.#look();
  }

  close(): void {
    this.#cancelLook();
    this.#cancelWatchdog();
  }

  #look(): void {
    this.#cancelLook();
    if (this.#state !== null && !this.#stopping) this.#compare(this.#state);
    const lines = [...this.#unsent].map(([name, value]) => `${name}=${value}`);
    if (lines.length > 0 && this.#options.notify(lines.join("\n"))) this.#unsent.clear();
    const nextMs = this.#started ? LOOK_MS : START_LOOK_MS;
    this.#cancelLook = this.#options.clock.after(nextMs, () => this.#look());
  }

  /** With what was told. */
  #compare(state: ServiceState): void {
    const reason = state.notReady();
    const waitedMs = this.#options.clock.monotonic() - this.#listensSinceMs;
    if (!this.#started && (reason === null || waitedMs >= START_WAIT_MS)) {
      this.#started = true;
      this.#unsent.set("READY", "1");
    }
    const status = reason === null ? "Serving" : reason.charAt(0).toUpperCase() + reason.slice(1);
    if (status !== this.#status) this.#unsent.set("STATUS", status);
    this.#status = status;
  }

  /** Twice in the time that the manager waits, as long as timers come at all. */
  #watch(state: ServiceState): void {
    const { clock, notify, watchdogMs } = this.#options;
    if (watchdogMs === null) return;
    if (state.isAlive()) notify("WATCHDOG=1");
    this.#cancelWatchdog = clock.after(watchdogMs / 2, () => this.#watch(state));
  }
}
