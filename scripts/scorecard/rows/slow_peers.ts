/** Row 9: peers that are slow to speak, to read or to shake hands cost little, and nobody else notices them. */
import { createServer, type Server } from "node:net";
import { until } from "../../../tests/integration/bowline.ts";
import { MemoryBefore } from "../memory_growth.ts";
import { atMost, type Check, exactly, noneFailed, type Row, type Size } from "../row.ts";
import { Stand, STORE_PORTS } from "../stand.ts";
import { SlowPeer } from "../slow_peer.ts";
import { unreadTunnels } from "./unread_tunnels.ts";

const COUNTS = {
  full: { speakers: 200, readers: 500, handshakes: 2_000 },
  small: { speakers: 10, readers: 20, handshakes: 100 },
};
const ANSWER_BYTES = 100 * 1024 * 1024;
const PIECE = Buffer.alloc(64 * 1024, "a");

/** 10 seconds, and what the proxy's timers, or the machine of a test, may be late by. */
const CLOSED_WITHIN_MS = { full: 11_000, small: 20_000 };
const GIVE_UP_MS = 30_000;
/** Of the answer, however large it is: what the kernel's buffers take on the way. */
const WRITTEN_BYTES_MAX = 20 * 1024 * 1024;
/** Until nothing moves any more. */
const SETTLE_MS = 2_000;

export const slowPeers: Row = {
  name: "9",
  what: "slow heads, bodies, readers and handshakes",
  async run(size) {
    const stand = await Stand.up();
    const large = await LargeUpstream.start(stand.storeAddress(), STORE_PORTS.large);
    const checks: Check[] = [];
    try {
      const probe = stand.probe();
      checks.push(
        ...(await Promise.all([
          speak(stand, size, "heads", (host) => `GET / HTTP/1.1\r\nHost: ${host}\r\nX-Slow: `),
          speak(
            stand,
            size,
            "bodies",
            (host) => `POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 10000\r\n\r\n`,
          ),
          shakeHands(stand, size),
        ])).flat(),
        ...await read(stand, large, size),
      );
      checks.push(noneFailed("probe", await probe.stop()));
    } finally {
      large.stop();
      await stand.down();
    }
    return [...checks, ...await unreadTunnels(size)];
  },
};

/** Clients that begin a request and go on by a byte a second. */
async function speak(
  stand: Stand,
  size: Size,
  what: string,
  begin: (host: string) => string,
): Promise<Check[]> {
  const { address, port, host } = stand.target();
  const count = COUNTS[size].speakers;
  const peers = await Promise.all(Array.from({ length: count }, () => SlowPeer.open(address, port)));
  for (const peer of peers) peer.say(begin(host));
  const drip = setInterval(() => peers.forEach((peer) => peer.say("a")), 1_000);
  const slowestMs = await closedAfterMs(peers);
  clearInterval(drip);
  const answered = peers.filter(({ heard }) => heard.startsWith("HTTP/1.1 408 ")).length;
  return [
    atMost(
      `${count} slow ${what}: the last is closed after`,
      slowestMs / 1_000,
      CLOSED_WITHIN_MS[size] / 1_000,
      "s",
    ),
    exactly(`${count} slow ${what}: answered 408`, answered, count),
  ];
}

/** Connections to the mesh port, half of which begin a handshake. */
async function shakeHands(stand: Stand, size: Size): Promise<Check[]> {
  const count = COUNTS[size].handshakes;
  const address = stand.storeAddress();
  const peers = await Promise.all(Array.from({ length: count }, () => SlowPeer.open(address, 15008)));
  // A record of 512 bytes, of which ten come.
  for (let i = 0; i < count; i += 2) peers[i]?.say("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03");
  const slowestMs = await closedAfterMs(peers);
  const limit = CLOSED_WITHIN_MS[size] / 1_000;
  return [atMost(`${count} handshakes: the last is closed after`, slowestMs / 1_000, limit, "s")];
}

/** Clients that take the first bytes of a large answer, and no more. */
async function read(stand: Stand, large: LargeUpstream, size: Size): Promise<Check[]> {
  const count = COUNTS[size].readers;
  const { address, port, host } = stand.target("large");
  const before = new MemoryBefore(stand);
  const peers = await Promise.all(Array.from({ length: count }, () => SlowPeer.open(address, port)));
  for (const peer of peers) {
    peer.readOnce();
    peer.say(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  }
  const begun = () => peers.every(({ heard }) => heard.startsWith("HTTP/1.1 200 "));
  await until("all answers have begun", begun, GIVE_UP_MS);
  await large.untilStill();
  const growth = await before.growth(count, size, `${count} readers: memory a reader`);
  const written = large.written();
  // A second later nothing has grown: whoever does not read holds up the upstream itself.
  await Bun.sleep(SETTLE_MS);
  const later = large.written();
  for (const peer of peers) peer.close();
  await until("the upstream is let go", () => large.connections === 0);
  return [
    ...growth,
    atMost(
      `${count} readers: the most that an upstream could write of 100 MiB`,
      written / 2 ** 20,
      WRITTEN_BYTES_MAX / 2 ** 20,
      "MiB",
    ),
    exactly(`${count} readers: it writes on while nobody reads`, later !== written, false),
  ];
}

/** When the last of them was closed by the other side, from now. */
async function closedAfterMs(peers: readonly SlowPeer[]): Promise<number> {
  const startedMs = performance.now();
  await until("all are closed", () => peers.every(({ closed }) => closed), GIVE_UP_MS)
    .catch(() => {});
  for (const peer of peers) peer.close();
  return performance.now() - startedMs;
}

/** Answers each request with 100 MiB, as fast as they are taken. */
class LargeUpstream {
  readonly #server: Server;
  readonly #taken = new Map<object, number>();

  private constructor() {
    this.#server = createServer((socket) => {
      this.#taken.set(socket, 0);
      socket.on("error", () => {});
      socket.on("close", () => this.#taken.delete(socket));
      socket.once("data", () => {
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${ANSWER_BYTES}\r\n\r\n`);
        let left = ANSWER_BYTES;
        const send = () => {
          for (; left > 0; left -= PIECE.length) {
            this.#taken.set(socket, ANSWER_BYTES - left);
            if (!socket.write(PIECE)) {
              left -= PIECE.length;
              return;
            }
          }
        };
        socket.on("drain", send);
        send();
      });
    });
  }

  static async start(hostname: string, port: number): Promise<LargeUpstream> {
    const upstream = new LargeUpstream();
    await new Promise<void>((resolve) => upstream.#server.listen(port, hostname, resolve));
    return upstream;
  }

  get connections(): number {
    return this.#taken.size;
  }

  /** The most bytes that one connection took. */
  written(): number {
    return Math.max(0, ...this.#taken.values());
  }

  async untilStill(): Promise<void> {
    const sum = () => [...this.#taken.values()].reduce((total, bytes) => total + bytes, 0);
    for (let before = -1; before !== sum();) {
      before = sum();
      await Bun.sleep(SETTLE_MS);
    }
  }

  stop(): void {
    this.#server.close();
  }
}
