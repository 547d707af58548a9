/** What one host uses of its cluster's limits: its connections, the requests that each took, and those that wait. */
import type { TimerWheel } from "../../lib/timer_wheel.ts";
import type { UpstreamConnection } from "../upstream_connection.ts";
import { ConnectionAge } from "./connection_age.ts";
import type { PoolLimits } from "./pool_limits.ts";

export class HostUsage {
  readonly limits: PoolLimits;
  /** Connections that take requests, or carry the last of them, and how many each has taken. */
  readonly #open = new Map<UpstreamConnection, number>();
  readonly #ages = new Map<UpstreamConnection, ConnectionAge>();
  readonly #wheel: TimerWheel;
  #connecting = 0;
  #waiting = 0;

  constructor(limits: PoolLimits, wheel: TimerWheel) {
    this.limits = limits;
    this.#wheel = wheel;
  }

  /** A host without any connection may always make one (as in Envoy): who waits for it would wait for ever. */
  get mayConnect(): boolean {
    return !this.limits.connectionsFull || this.#open.size + this.#connecting === 0;
  }

  onWaiting(count: number): void {
    this.limits.pending += count - this.#waiting;
    this.#waiting = count;
  }

  onConnect(): void {
    this.#connecting++;
    this.limits.connections++;
  }

  onConnectFailed(): void {
    this.#connecting--;
    this.limits.connections--;
  }

  onConnected(connection: UpstreamConnection): void {
    this.#connecting--;
    this.#open.set(connection, 0);
    const { durationMs } = this.limits.terms;
    if (durationMs > 0) this.#ages.set(connection, new ConnectionAge(this.#wheel, connection, durationMs));
  }

  /** The connection takes requests; one whose peer had no room for any comes back like this. */
  onOpen(connection: UpstreamConnection): void {
    if (this.#open.has(connection)) return;
    this.#open.set(connection, 0);
    this.limits.connections++;
  }

  onRequest(connection: UpstreamConnection): void {
    const taken = this.#open.get(connection);
    if (taken === undefined) return;
    this.#open.set(connection, taken + 1);
    if (taken + 1 >= this.limits.requestsPerConnection) connection.retire();
  }

  onGone(connection: UpstreamConnection): void {
    this.#ages.get(connection)?.stop();
    this.#ages.delete(connection);
    if (this.#open.delete(connection)) this.limits.connections--;
  }
}
