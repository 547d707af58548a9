/**
 * Connections of bytes through both sidecars, ended and broken at any moment: what arrives is what was said, an end is told
 * only where one was said, and a break never looks like one.
 */
import { expect, test } from "bun:test";
import { Prng } from "../../src/lib/prng.ts";
import type { WireOwner } from "../../src/runtime/wire.ts";
import { type End, JoinedPlanes, NOTHING_HELD, Reader } from "./joined_planes.ts";

const RUNS = Number(process.env["FUZZ_RUNS"] ?? 300);
const SEED = Number(process.env["FUZZ_SEED"] ?? 1);
const ADDRESS = { hostname: "10.96.0.1", port: 80 };
const CONNECT = "CONNECT shop:80 HTTP/1.1\r\nHost: shop\r\n\r\n";
const UPGRADE = "GET / HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
const GRANTED = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

/** One end of a tunnel. */
class Side implements WireOwner {
  end!: End;
  /** Bytes that it said and heard; which they are follows from their place. */
  said = 0;
  heard = 0;
  wrong = false;
  /** Of the other's: a clean end, or a break. */
  fate: "open" | "ended" | "broken" = "open";
  /** Own. */
  shut = false;
  terminated = false;
  /** The bytes begin behind a head. */
  #head: string | null;

  constructor(readonly mark: number, hasHead: boolean, readonly onHead: (head: string) => void = () => {}) {
    this.#head = hasHead ? "" : null;
  }

  /** It has a connection on which there is nothing but bytes. */
  get isReady(): boolean {
    return this.end !== undefined && this.#head === null;
  }

  say(bytes: number): void {
    if (this.shut || this.terminated) return;
    this.end.say(contentAt(this.mark, this.said, bytes).toString("latin1"));
    this.said += bytes;
  }

  shutdown(): void {
    this.shut = true;
    this.end.shutdown();
  }

  terminate(): void {
    this.terminated = true;
    this.end.terminate();
  }

  onData(chunk: Buffer): void {
    if (this.#head !== null) {
      this.#head += chunk.toString("latin1");
      const at = this.#head.indexOf("\r\n\r\n");
      if (at < 0) return;
      chunk = Buffer.from(this.#head.slice(at + 4), "latin1");
      this.onHead(this.#head.slice(0, at));
      this.#head = null;
    }
    const expected = contentAt(1 - this.mark, this.heard, chunk.length);
    if (!chunk.equals(expected)) this.wrong = true;
    this.heard += chunk.length;
  }

  onDrain(): void {}

  onEnd(): void {
    if (this.fate === "open") this.fate = "ended";
  }

  onClose(error?: Error): void {
    if (this.fate === "open") this.fate = error === undefined ? "ended" : "broken";
  }
}

function contentAt(mark: number, from: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i++) bytes[i] = (mark * 31 + (from + i) * 7 + ((from + i) >>> 8)) & 0xff;
  return bytes;
}

test("a tunnel carries bytes, ends and breaks as they are", async () => {
  for (let seed = SEED; seed < SEED + RUNS; seed++) {
    const random = new Prng(seed);
    const kind = (["captured", "connect", "websocket"] as const)[random.below(3)];
    let granted = "";
    const client = new Side(0, kind !== "captured", (head) => granted = head.slice(0, 12));
    const workload = new Side(1, kind === "websocket", () => workload.end.say(GRANTED));
    const mesh = new JoinedPlanes(random, (end) => {
      workload.end = end;
      return workload;
    });
    client.end = mesh.client(client, kind === "captured" ? ADDRESS : null);
    if (kind !== "captured") client.end.say(kind === "connect" ? CONNECT : UPGRADE);
    // Some say the first bytes before it stands, and some break off then.
    if (random.below(3) === 0) client.say(random.below(5_000));
    if (random.below(10) === 0) client.shutdown();
    if (random.below(20) === 0) client.terminate();
    await (random.below(3) === 0 ? mesh.step(random.below(20)) : mesh.settle());
    for (let act = 0; act < 16; act++) {
      const side = workload.isReady && random.below(2) === 0 ? workload : client;
      const chance = random.below(24);
      if (chance < 12) side.say(random.below(chance < 2 ? 150_000 : 3_000));
      else if (chance < 14) side.end.pause();
      else if (chance < 17) side.end.resume();
      else if (chance < 19) side.shutdown();
      else if (chance === 19 && random.below(3) === 0) side.terminate();
      await mesh.step(random.below(12));
    }
    client.end.resume();
    workload.end?.resume();
    await mesh.settle();
    const story = { seed, kind, granted, client: tell(client), workload: tell(workload) };
    for (const [one, other] of [[client, workload], [workload, client]] as const) {
      if (one.end === undefined || one.terminated) continue;
      expect([story, one.wrong]).toEqual([story, false]);
      const ended = other.shut && other.end !== undefined;
      if (one.fate === "ended") expect([story, ended, one.heard]).toEqual([story, true, other.said]);
      if (ended && !other.terminated && !one.terminated) expect([story, one.fate]).toEqual([story, "ended"]);
      if (other.terminated && one.fate === "open") expect([story, "told of no break"]).toEqual([story, ""]);
      if (!other.terminated && one.fate === "broken") expect([story, "told of a break"]).toEqual([story, ""]);
    }
    if (!client.terminated && !workload.terminated) {
      for (const side of [client, workload]) if (side.end !== undefined && !side.shut) side.shutdown();
      await mesh.settle();
      expect([story, client.heard, workload.heard]).toEqual([story, workload.said, client.said]);
      expect([story, client.fate, workload.end === undefined ? "ended" : workload.fate]).toEqual([
        story,
        "ended",
        "ended",
      ]);
    }
    expect({ seed, ...mesh.held }).toEqual({ seed, ...NOTHING_HELD });
  }
}, 120_000);

const REFUSALS = [
  "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno",
  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
  "HTTP/1.1 426 Upgrade Required\r\nConnection: close\r\n\r\nno",
  "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nno",
  "HTTP/1.1 101 Switching Protocols\r\n\r\nno",
  "HTTP/1.1 204 No Content\r\n\r\n",
];
const SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: shop\r\n\r\n";
const NEXT = "GET /next HTTP/1.1\r\nHost: shop\r\n\r\n";

test("what is said behind an upgrade that is refused reaches nobody", async () => {
  for (let seed = SEED; seed < SEED + RUNS; seed++) {
    const random = new Prng(seed);
    const refusal = REFUSALS[random.below(REFUSALS.length)] as string;
    let got = "";
    const mesh = new JoinedPlanes(random, (end) => ({
      onData: (chunk) => {
        const heads = got.split("\r\n\r\n").length;
        got += chunk.toString("latin1");
        for (let n = heads; n < got.split("\r\n\r\n").length; n++) {
          end.say(n === 1 ? refusal : REFUSALS[0] as string);
          if (refusal.includes("close")) end.end();
        }
      },
      onDrain() {},
      onEnd: () => end.end(),
      onClose() {},
    }));
    const reader = new Reader();
    const client = mesh.client(reader);
    const early = random.below(2) === 0;
    client.say(early ? UPGRADE + SMUGGLED : UPGRADE);
    await (early ? mesh.step(random.below(30)) : mesh.settle());
    if (early && random.below(2) === 0) client.say(SMUGGLED);
    await mesh.settle();
    const story = { seed, refusal, early, got, text: reader.text, ended: reader.ended };
    expect([story, got.includes("smuggled")]).toEqual([story, false]);
    expect([story, /^HTTP\/1\.1 (403|200|426|204|502) /.test(reader.text)]).toEqual([story, true]);
    if (early) expect([story, reader.ended]).toEqual([story, true]);
    else if (!reader.ended) {
      client.say(NEXT);
      await mesh.settle();
      expect([story, got.includes("GET /next"), reader.text.endsWith("no")]).toEqual([story, true, true]);
    }
    client.terminate();
    await mesh.settle();
    expect({ seed, ...mesh.held }).toEqual({ seed, ...NOTHING_HELD });
  }
}, 120_000);

function tell({ said, heard, fate, shut, terminated }: Side): unknown {
  return { said, heard, fate, shut, terminated };
}
