/**
 * A client and a server connection back to back, over wires that take and deliver what a seed says: every byte arrives,
 * once and in order, both ways, on many streams at once.
 */
import { describe, expect, test } from "bun:test";
import { ManualClock } from "../../../../src/lib/clock.ts";
import { Prng } from "../../../../src/lib/prng.ts";
import { TimerWheel } from "../../../../src/lib/timer_wheel.ts";
import type {
  ClientHandler,
  ClientStream,
  HeaderList,
  RequestHead,
  ResponseHead,
  ServerHandler,
  ServerStream,
} from "../../../../src/proxy/exchange.ts";
import { Http2ClientConnection } from "../../../../src/proxy/http2/client_connection.ts";
import { Http2ServerConnection } from "../../../../src/proxy/http2/server_connection.ts";
import type { WireOwner } from "../../../../src/runtime/wire.ts";
import { FakeWire, settle } from "../fake_wire.ts";
import { requestHead } from "../request_head.ts";

const PIECE_BYTES_MAX = 70_000;
const KERNEL_BYTES = 200_000;

/** One direction: takes a part of what is written, delivers it in other parts. */
class Pipe extends FakeWire {
  reader!: WireOwner;
  writer!: WireOwner;
  readonly #random: Prng;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #blocked = false;

  constructor(random: Prng) {
    super();
    this.#random = random;
  }

  override write(bytes: Uint8Array, offset = 0, length = bytes.length - offset): number {
    if (this.closed) return -1;
    const room = Math.max(0, KERNEL_BYTES - this.#heldBytes);
    const taken = Math.min(
      length,
      room,
      this.#random.float() < 0.3 ? Math.floor(this.#random.float() * 5_000) : Infinity,
    );
    if (taken > 0) this.#held.push(Buffer.from(bytes.subarray(offset, offset + taken)));
    this.#heldBytes += taken;
    if (taken < length) this.#blocked = true;
    return taken;
  }

  /** Delivers some of it, and lets the writer go on. False: there was nothing to do. */
  pump(): boolean {
    const busy = this.#heldBytes > 0 || this.#blocked;
    let budget = Math.floor(this.#random.float() * 2 * PIECE_BYTES_MAX);
    while (budget > 0 && this.#held.length > 0) {
      const [piece] = this.#held as [Buffer];
      const size = Math.min(piece.length, 1 + Math.floor(this.#random.float() * PIECE_BYTES_MAX), budget);
      if (size === piece.length) this.#held.shift();
      else this.#held[0] = piece.subarray(size);
      this.#heldBytes -= size;
      budget -= size;
      this.reader.onData(Buffer.from(piece.subarray(0, size)));
    }
    if (this.#blocked) {
      this.#blocked = false;
      this.writer.onDrain();
    }
    return busy;
  }
}

/** Writes so many bytes whose content follows from the stream and the place, in pieces of any size, and stops when told. */
class Source {
  #sent = 0;
  #waiting = false;
  #ended = false;
  /** An answer that ends before its request would break the request off (RFC 9113 §8.1). */
  mayEnd = true;

  constructor(
    readonly mark: number,
    readonly bytes: number,
    readonly random: Prng,
    readonly stream: { body(chunk: Uint8Array): boolean; end(trailers: HeaderList | null): void },
  ) {}

  go(): void {
    this.#waiting = false;
    while (!this.#waiting && this.#sent < this.bytes) {
      const small = this.random.float() < 0.5;
      const size = Math.min(
        this.bytes - this.#sent,
        1 + Math.floor(this.random.float() * (small ? 5_000 : 100_000)),
      );
      const chunk = contentAt(this.mark, this.#sent, size);
      this.#sent += size;
      if (!this.stream.body(chunk)) this.#waiting = true;
    }
    if (this.#sent === this.bytes && this.mayEnd && !this.#ended) {
      this.#ended = true;
      this.stream.end(["x-sum", String(this.bytes)]);
    }
  }
}

/** Checks as it comes; pauses now and then. */
class Sink {
  received = 0;
  wrong = -1;
  trailers: HeaderList | null | undefined = undefined;
  reset = "";

  constructor(
    readonly mark: number,
    readonly random: Prng,
    readonly pause: (on: boolean) => void,
    readonly later: (() => void)[],
  ) {}

  take(chunk: Uint8Array): void {
    if (this.wrong < 0 && !Buffer.from(chunk).equals(contentAt(this.mark, this.received, chunk.length))) {
      this.wrong = this.received;
    }
    this.received += chunk.length;
    if (this.random.float() < 0.05) {
      this.pause(true);
      this.later.push(() => this.pause(false));
    }
  }
}

function contentAt(mark: number, from: number, size: number): Buffer {
  const chunk = Buffer.allocUnsafeSlow(size);
  for (let i = 0; i < size; i++) chunk[i] = (mark * 31 + (from + i) * 7 + ((from + i) >>> 8)) & 0xff;
  return chunk;
}

interface Exchange {
  readonly request: Sink;
  readonly response: Sink;
}

/** Runs `streams` exchanges at once, each with so many bytes up and down. */
async function run(
  seed: number,
  streams: number,
  bytes: number,
): Promise<{ exchanges: Exchange[]; closed: number; gone: number }> {
  const random = new Prng(seed);
  const wheel = new TimerWheel(new ManualClock());
  const [up, down] = [new Pipe(random), new Pipe(random)];
  const later: (() => void)[] = [];
  const exchanges: Exchange[] = [];
  let closed = 0;
  let gone = 0;
  const requests = new Map<number, Sink>();

  const acceptor = {
    accept(stream: ServerStream, head: RequestHead): ServerHandler {
      const mark = Number(head.path.slice(1));
      const source = new Source(mark + 1_000, bytes, random, stream);
      source.mayEnd = false;
      const sink = new Sink(mark, random, (on) => on ? stream.pauseRequest() : stream.resumeRequest(), later);
      requests.set(mark, sink);
      stream.respond({ status: 200, headers: [], bodyLength: -1 });
      later.push(() => source.go());
      return {
        onRequestBody: (chunk) => sink.take(chunk),
        onRequestEnd: (trailers) => {
          sink.trailers = trailers;
          source.mayEnd = true;
          later.push(() => source.go());
        },
        onDownstreamReset: (reason) => void (sink.reset = reason),
        onDownstreamWritable: () => void later.push(() => source.go()),
      };
    },
    onMalformed: (status: number, details: string) => {
      throw new Error(`${status} ${details}`);
    },
  };
  const server = new Http2ServerConnection(down, acceptor, wheel, () => closed++);
  const client = new Http2ClientConnection(up, { onCapacity() {}, onGone: () => void gone++ }, wheel);
  up.reader = server;
  up.writer = client;
  down.reader = client;
  down.writer = server;

  for (let n = 0; n < streams; n++) {
    let stream: ClientStream | null = null;
    let source: Source | null = null;
    const sink = new Sink(
      n + 1_000,
      random,
      (on) => on ? stream?.pauseResponse() : stream?.resumeResponse(),
      later,
    );
    const handler: ClientHandler = {
      onInform() {},
      onResponse: (_head: ResponseHead) => {},
      onResponseBody: (chunk) => sink.take(chunk),
      onResponseEnd: (trailers) => void (sink.trailers = trailers),
      onUpstreamReset: (reason) => void (sink.reset = reason),
      onUpstreamWritable: () => void later.push(() => source?.go()),
    };
    const head = requestHead({ method: "POST", path: `/${n}`, bodyLength: -1 });
    stream = client.request(handler, head, false);
    source = new Source(n, bytes, random, stream);
    later.push(() => source?.go());
    exchanges.push({
      get request() {
        return requests.get(n) as Sink;
      },
      response: sink,
    });
  }
  for (let idle = 0; idle < 3;) {
    for (const act of later.splice(0)) act();
    await settle();
    const [moved, back] = [up.pump(), down.pump()];
    idle = moved || back || later.length > 0 ? 0 : idle + 1;
  }
  return { exchanges, closed, gone };
}

describe("Two connections back to back carry everything, both ways:", () => {
  test.each([
    [1, 1, 10_000_000],
    [2, 10, 1_000_000],
    [3, 100, 100_000],
    [4, 37, 50_000],
    [5, 100, 1],
  ])("seed %d: %d streams of %d bytes", async (seed, streams, bytes) => {
    const { exchanges, closed, gone } = await run(seed, streams, bytes);
    expect([closed, gone]).toEqual([0, 0]);
    for (const { request, response } of exchanges) {
      for (const sink of [request, response]) {
        expect([sink.wrong, sink.received, sink.reset, sink.trailers]).toEqual([-1, bytes, "", [
          "x-sum",
          String(bytes),
        ]]);
      }
    }
  }, 60_000);

  test("whatever the seed", async () => {
    for (let seed = 100; seed < 130; seed++) {
      const { exchanges } = await run(seed, 5, 60_000);
      const wrong = exchanges.flatMap(({ request, response }) => [request, response]).filter((sink) =>
        sink.wrong >= 0 || sink.received !== 60_000
      );
      expect([seed, wrong.length]).toEqual([seed, 0]);
    }
  }, 60_000);
});
