/** Ends a connection at a certain age, as soon as nobody uses it (DestinationRule `maxConnectionDuration`). */
import type { Timed, TimerWheel } from "../../lib/timer_wheel.ts";
import type { UpstreamConnection } from "../upstream_connection.ts";

export class ConnectionAge implements Timed {
  deadlineMs = 0;
  wheelTick = 0;
  wheelIndex = 0;
  readonly #wheel: TimerWheel;
  readonly #connection: UpstreamConnection;

  constructor(wheel: TimerWheel, connection: UpstreamConnection, durationMs: number) {
    this.#wheel = wheel;
    this.#connection = connection;
    wheel.set(this, durationMs);
  }

  stop(): void {
    this.#wheel.clear(this);
  }

  onDeadline(): void {
    this.#connection.retire();
  }
}
