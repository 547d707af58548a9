/**
 * Requests over HTTP/1.1 at a fixed rate, one after the other in even steps, whatever becomes of them: an answer that
 * takes long does not hold back the next request, as it would in a closed loop (wrk), nor do they go in volleys (h2load).
 */
import { connect, type Socket } from "node:net";
import type { Target } from "./pair.ts";

export interface FixedRate {
  readonly connections: number;
  /** Of all connections together, each second. */
  readonly requestsPerSecond: number;
  readonly seconds: number;
}

/** How long each request took until the last byte of its answer, in µs, ascending. Throws when one failed. */
export async function openLoop(target: Target, path: string, rate: FixedRate): Promise<readonly number[]> {
  const request = `GET ${path} HTTP/1.1\r\nHost: ${target.authority}\r\n\r\n`;
  const lanes = await Promise.all(Array.from({ length: rate.connections }, () => Lane.open(target, request)));
  const stepMs = 1_000 / rate.requestsPerSecond;
  const total = rate.seconds * rate.requestsPerSecond;
  const startMs = performance.now() + stepMs;
  for (let sent = 0; sent < total;) {
    const due = Math.min(total, Math.floor((performance.now() - startMs) / stepMs) + 1);
    for (; sent < due; sent++) lanes[sent % lanes.length]?.send();
    await Bun.sleep(stepMs);
  }
  const all = await Promise.all(lanes.map((lane) => lane.close()));
  return all.flat().sort((a, b) => a - b);
}

/** One connection; a request that is due while another is under way waits, and its time runs. */
class Lane {
  readonly #socket: Socket;
  readonly #request: string;
  readonly #micros: number[] = [];
  /** When each unanswered request was due; the first of them is under way. */
  readonly #dueMs: number[] = [];
  #received = "";
  #failure: Error | null = null;
  #idle: () => void = () => {};

  private constructor(socket: Socket, request: string) {
    this.#socket = socket;
    this.#request = request;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => this.#onData(chunk));
    socket.on("error", (error) => this.#fail(error));
    socket.on("close", () => this.#fail(new Error("The connection was closed")));
  }

  static open({ address, port }: Target, request: string): Promise<Lane> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: address, port });
      socket.once("error", reject);
      socket.once("connect", () => resolve(new Lane(socket, request)));
    });
  }

  send(): void {
    this.#dueMs.push(performance.now());
    if (this.#dueMs.length === 1) this.#socket.write(this.#request);
  }

  /** Waits for what is under way; returns the times, µs. */
  async close(): Promise<readonly number[]> {
    if (this.#dueMs.length > 0 && this.#failure === null) {
      await new Promise<void>((resolve) => this.#idle = resolve);
    }
    if (this.#failure !== null) throw this.#failure;
    this.#socket.destroy();
    return this.#micros;
  }

  #onData(chunk: Buffer): void {
    this.#received += chunk.toString("latin1");
    const headEnd = this.#received.indexOf("\r\n\r\n");
    if (headEnd < 0) return;
    const length = Number(/\r\ncontent-length: *([0-9]+)/i.exec(this.#received)?.[1]);
    if (!this.#received.startsWith("HTTP/1.1 200 ") || Number.isNaN(length)) {
      return this.#fail(new Error(`An answer that was not expected: ${this.#received.slice(0, 200)}`));
    }
    if (this.#received.length < headEnd + 4 + length) return;
    this.#received = "";
    this.#micros.push((performance.now() - (this.#dueMs.shift() as number)) * 1_000);
    if (this.#dueMs.length > 0) this.#socket.write(this.#request);
    else this.#idle();
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#socket.destroy();
    this.#idle();
  }
}
