/** Clients that open tunnels of every kind, say something through them, end them or break them off, and open the next. */
import { connect as connectHttp2 } from "node:http2";
import { connect as connectTcp } from "node:net";
import { GrpcClient, ORDERS } from "../../tests/integration/grpc_peers.ts";
import { type HttpTarget, Tally } from "../../tests/integration/keep_alive_client.ts";
import { Prng, type Random } from "../../src/lib/prng.ts";
import { type Check, exactly } from "./row.ts";
import type { Stand } from "./stand.ts";

const CLIENTS_OF_EACH_KIND = 3;
/** No tunnel lasts longer by itself than a fraction of a second: this is far above noise. */
const END_MS = 10_000;
const PIECES_MAX = 5;
const PAUSE_MS_MAX = 15;
/** One piece in so many is large enough to be held up by windows and buffers on its way. */
const LARGE_ONCE_IN = 8;
const SMALL_BYTES_MAX = 2_000;
const LARGE = Buffer.alloc(500_000, 7);
/** One tunnel in so many is broken off by its client. */
const BROKEN_ONCE_IN = 10;

const UPGRADE = ["connection: upgrade", "upgrade: websocket", "sec-websocket-version: 13"];
const KEY = "AAAAAAAAAAAAAAAAAAAAAA==";

/** The client's half of a tunnel. */
interface Half {
  write(piece: Buffer): unknown;
  end(): unknown;
  breakOff(): unknown;
}

/** One tunnel from its beginning to its end; `whole`: both halves ended in order. */
type Tunnel = (random: Random) => Promise<"whole" | "broken">;

export class ShortTunnels {
  readonly #tallies: readonly (readonly [string, Tally])[];
  readonly #clients: Promise<unknown>;
  readonly #underWay = new Set<Promise<unknown>>();
  #stopped = false;

  constructor(stand: Stand, seed: number) {
    const kinds: Readonly<Record<string, Tunnel>> = {
      CONNECT: overSocket(
        stand.target("tcp-db"),
        ({ host }) => [`CONNECT ${host} HTTP/1.1`, `host: ${host}`],
      ),
      WebSocket: overSocket(
        stand.target("ws"),
        ({ host }) => ["GET /chat HTTP/1.1", `host: ${host}`, ...UPGRADE, `sec-websocket-key: ${KEY}`],
      ),
      "CONNECT over HTTP/2": overHttp2(stand.target("tcp-db"), {}),
      "WebSocket over HTTP/2": overHttp2(stand.target("ws"), {
        ":protocol": "websocket",
        ":scheme": "http",
        ":path": "/chat",
        "sec-websocket-version": "13",
        "sec-websocket-key": KEY,
      }),
      gRPC: overGrpc(stand.clientAddress, stand.target("grpc").host),
    };
    const each = Object.entries(kinds).map(([kind, open]) => [kind, new Tally(), open] as const);
    this.#tallies = each.map(([kind, tally]) => [kind, tally] as const);
    this.#clients = Promise.all(each.flatMap(([kind, tally, open], i) =>
      Array.from(
        { length: CLIENTS_OF_EACH_KIND },
        (_, n) => this.#repeat(kind, tally, open, new Prng(seed + 100 * i + n)),
      )
    ));
  }

  /** Tunnels of which both halves ended in order. */
  get whole(): number {
    return this.#tallies.reduce((sum, [, tally]) => sum + tally.get(200), 0);
  }

  /** Waits for those that are under way, for as long as they may take. */
  async settled(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#clients;
  }

  checks(): Check[] {
    return this.#tallies.flatMap(([kind, tally]) => [
      { what: kind, bar: "told below", measured: String(tally), ok: tally.get(200) > 0 },
      exactly(`${kind}: tunnels that did not end within ${END_MS} ms`, tally.get("lost"), 0),
    ]);
  }

  async #repeat(kind: string, tally: Tally, open: Tunnel, random: Random): Promise<void> {
    while (!this.#stopped) {
      const over = open(random).then((how) => how === "whole" ? 200 : how);
      const either = Promise.race([over, Bun.sleep(END_MS).then(() => "lost" as const)]);
      this.#underWay.add(either);
      const outcome = await either;
      this.#underWay.delete(either);
      if (outcome === "lost") console.error(`  ${kind}: a tunnel did not end within ${END_MS} ms`);
      tally.add(outcome);
      await Bun.sleep(random.below(PAUSE_MS_MAX));
    }
  }
}

/** Says something, and ends the half or breaks the tunnel off, unless it is over before. */
async function talk(half: Half, random: Random, isOver: () => boolean): Promise<void> {
  for (let pieces = random.below(PIECES_MAX); pieces > 0 && !isOver(); pieces--) {
    const bytes = random.below(LARGE_ONCE_IN) === 0 ? LARGE.length : 1 + random.below(SMALL_BYTES_MAX);
    half.write(LARGE.subarray(0, bytes));
    await Bun.sleep(random.below(PAUSE_MS_MAX));
  }
  if (isOver()) return;
  if (random.below(BROKEN_ONCE_IN) === 0) half.breakOff();
  else half.end();
}

/** A tunnel that a connection becomes once the answer grants it. */
function overSocket(target: HttpTarget, head: (target: HttpTarget) => readonly string[]): Tunnel {
  const request = `${head(target).join("\r\n")}\r\n\r\n`;
  return (random) =>
    new Promise((resolve) => {
      const socket = connectTcp({ host: target.address, port: target.port, allowHalfOpen: true });
      let answer = "";
      let granted = false;
      let over = false;
      let ended = false;
      socket.on("connect", () => socket.write(request));
      socket.on("data", (chunk: Buffer) => {
        if (granted) return;
        answer += chunk.toString("latin1");
        if (!answer.includes("\r\n\r\n")) return;
        granted = /^HTTP\/1\.1 (200|101) /.test(answer);
        if (!granted) return void socket.destroy();
        const half = {
          write: (piece: Buffer) => socket.write(piece),
          end: () => socket.end(),
          breakOff: () => socket.destroy(),
        };
        void talk(half, random, () => over || socket.writableEnded);
      });
      socket.on("end", () => {
        ended = socket.writableEnded;
        socket.end();
      });
      socket.on("error", () => {});
      socket.on("close", () => {
        over = true;
        resolve(granted && ended ? "whole" : "broken");
      });
    });
}

/** One that is a stream of a connection of its own (RFC 9113 §8.5, RFC 8441). */
function overHttp2({ address, port, host }: HttpTarget, fields: Readonly<Record<string, string>>): Tunnel {
  return (random) =>
    new Promise((resolve) => {
      const session = connectHttp2(`http://${address}:${port}`);
      session.on("error", () => {});
      let granted = false;
      let over = false;
      let ended = false;
      session.on("close", () => {
        over = true;
        resolve(granted && ended ? "whole" : "broken");
      });
      session.once("remoteSettings", () => {
        const stream = session.request({ ":method": "CONNECT", ":authority": host, ...fields }, {
          endStream: false,
        });
        stream.on("response", (answer) => {
          granted = answer[":status"] === 200;
          if (!granted) return session.destroy();
          const half = {
            write: (piece: Buffer) => stream.write(piece),
            end: () => stream.end(),
            breakOff: () => session.destroy(),
          };
          void talk(half, random, () => over || stream.writableEnded);
        });
        stream.on("data", () => {});
        stream.on("end", () => {
          ended = stream.writableEnded;
          stream.end();
        });
        stream.on("error", () => {});
        stream.on("close", () => session.destroy());
      });
    });
}

/** A call that streams both ways. */
function overGrpc(address: string, host: string): Tunnel {
  return async (random) => {
    const client = new GrpcClient(address, host);
    const call = client.start(ORDERS.chat);
    let over = false;
    void talk(
      { write: (piece) => call.send(piece), end: () => call.end(), breakOff: () => call.cancel() },
      random,
      () => over,
    );
    const { code } = await call.outcome;
    over = true;
    client.close();
    return code === 0 ? "whole" : "broken";
  };
}
