/**
 * The TCP connections of an edge that have the same flags. A connection that stands counts under `-` from its start, its
 * bytes as they pass; its end counts under the flags that it ended with. One that never stood has its flags for both.
 */
import type { ConnectionDetail, ResponseCount } from "../model/report.ts";

export interface ConnectionCount extends ResponseCount {
  readonly detail: ConnectionDetail;
}

export class ConnectionSeries {
  opened = 0;
  closed = 0;
  /** From the client, as Istio names the directions. */
  receivedBytes = 0;
  /** To the client. */
  sentBytes = 0;
  #told = { opened: 0, closed: 0, receivedBytes: 0, sentBytes: 0 };

  constructor(readonly flags: string) {}

  /** What came since the last call, `count` for those that ended; null when nothing did. */
  take(): ConnectionCount | null {
    const { flags, opened, closed, receivedBytes, sentBytes } = this;
    const told = this.#told;
    const detail = {
      opened: opened - told.opened,
      receivedBytes: receivedBytes - told.receivedBytes,
      sentBytes: sentBytes - told.sentBytes,
    };
    const count = closed - told.closed;
    if (count === 0 && detail.opened === 0 && detail.receivedBytes === 0 && detail.sentBytes === 0) {
      return null;
    }
    this.#told = { opened, closed, receivedBytes, sentBytes };
    return { code: 0, flags, count, detail };
  }

  /** Adds what the same series of another process told. */
  absorb(closed: number, { opened, receivedBytes, sentBytes }: ConnectionDetail): void {
    this.closed += closed;
    this.opened += opened;
    this.receivedBytes += receivedBytes;
    this.sentBytes += sentBytes;
  }
}
