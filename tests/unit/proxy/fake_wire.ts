/** The other end of a Wire in tests: remembers what was written, takes as much as the test allows. */
import type { Wire, WireOwner } from "../../../src/runtime/wire.ts";

/** What every answer has (RFC 9110 §5.6.7). */
const DATE_LINES = /^date: [A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT\r\n/gm;

export class FakeWire implements Wire {
  readonly remoteAddress = "192.0.2.1";
  readonly remotePort = 40_000;
  readonly localAddress = "192.0.2.2";
  readonly localPort = 15_001;
  /** Whoever took the wire over, as `setOwner` has it on a real one. */
  data: WireOwner | null = null;
  /** Bytes that `write` still takes before it blocks. */
  room = Number.POSITIVE_INFINITY;
  paused = false;
  /** `shutdown()` was called: FIN after what was written. */
  shut = false;
  ended = false;
  terminated = false;
  writes = 0;
  #written: Buffer[] = [];

  /** Everything written so far, as Latin-1, but for the dates of HTTP/1 answers. */
  get written(): string {
    return this.dated.replace(DATE_LINES, "");
  }

  /** Everything written so far, as Latin-1. */
  get dated(): string {
    return Buffer.concat(this.#written).toString("latin1");
  }

  get closed(): boolean {
    return this.ended || this.terminated;
  }

  /** What was written since the last call. */
  take(): string {
    const text = this.written;
    this.#written = [];
    return text;
  }

  write(data: Uint8Array, offset = 0, length = data.length - offset): number {
    if (this.closed) return -1;
    if (this.shut) throw new Error("Written after shutdown");
    this.writes++;
    const taken = Math.min(length, this.room);
    this.room -= taken;
    if (taken > 0) this.#written.push(Buffer.from(data.subarray(offset, offset + taken)));
    return taken;
  }

  end(): void {
    this.ended = true;
  }

  shutdown(): void {
    this.shut = true;
  }

  terminate(): void {
    this.terminated = true;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }
}

/** Lets everything run that waits for the end of the running callback. */
export async function settle(): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(resolve));
}

export function latin1(text: string): Buffer {
  return Buffer.from(text, "latin1");
}
