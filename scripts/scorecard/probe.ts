/** The probe: a constant 200 requests a second through the mesh while a row runs; each that fails counts. */
import { type HttpTarget, KeepAliveClient, Tally } from "../../tests/integration/keep_alive_client.ts";

const PROBE_REQUESTS_PER_SECOND = 200;

const STEP_MS = 1_000 / PROBE_REQUESTS_PER_SECOND;

/** Requests that are sent at once after a standstill of the prober itself; further ones are left out. */
const CATCH_UP_MAX = 20;

export class Probe {
  readonly tally = new Tally();
  readonly #target: HttpTarget;
  readonly #idle: KeepAliveClient[] = [];
  readonly #pending = new Set<Promise<void>>();
  readonly #startedMs = performance.now();
  readonly #timer: ReturnType<typeof setInterval>;
  #sent = 0;

  constructor(target: HttpTarget) {
    this.#target = target;
    this.#timer = setInterval(() => this.#sendDue(), STEP_MS);
  }

  /** Ends it, and waits for what is in flight. */
  async stop(): Promise<Tally> {
    clearInterval(this.#timer);
    await Promise.all(this.#pending);
    for (const client of this.#idle) client.close();
    return this.tally;
  }

  /** As many as are due by now: a timer that comes late must not thin the probe out, nor make a volley of it. */
  #sendDue(): void {
    const due = (performance.now() - this.#startedMs) / STEP_MS;
    this.#sent = Math.max(this.#sent, Math.floor(due) - CATCH_UP_MAX);
    for (; this.#sent < due; this.#sent++) {
      const request = this.#send().finally(() => this.#pending.delete(request));
      this.#pending.add(request);
    }
  }

  async #send(): Promise<void> {
    const client = this.#idle.pop() ?? new KeepAliveClient(this.#target);
    this.tally.add(await client.get("/probe"), client.reply);
    this.#idle.push(client);
  }
}
