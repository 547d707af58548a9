/** Pushes that take their time: answered in order, and nothing is told to a new stream while one is half done. */
import { describe, expect, test } from "bun:test";
import { ManualClock } from "../../../src/lib/clock.ts";
import { Prng } from "../../../src/lib/prng.ts";
import { DISCOVERY_HEARTBEAT_MS, DISCOVERY_PROTOCOL } from "../../../src/model/discovery.ts";
import { packText } from "../../../src/lib/packed_text.ts";
import type { WorkloadHealth } from "../../../src/model/health_probe.ts";
import type { ShutPort } from "../../../src/model/shut_port.ts";
import type { Resource, Snapshot } from "../../../src/model/snapshot.ts";
import { snapshotVersion } from "../../../src/model/snapshot_version.ts";
import type { ControlClient } from "../../../src/sidecar/control_client.ts";
import { BACKOFF_BASE_MS, DiscoveryClient } from "../../../src/sidecar/discovery_client.ts";
import { createLog } from "../../../src/telemetry/log.ts";
import { cluster } from "../proxy/data_plane.ts";
import { settle } from "../proxy/fake_wire.ts";

interface Stream {
  readonly sent: { readonly type: string; readonly [field: string]: unknown }[];
  /** The client gave it up. */
  closed: boolean;
  onOpen(): void;
  onLine(line: string): void;
  onEnd(reason: string, code?: string): void;
}

/** A client, its streams, and the snapshots that wait to be applied. */
function build(health: () => WorkloadHealth = () => "healthy", shutPorts: readonly ShutPort[] = []) {
  const clock = new ManualClock();
  const streams: Stream[] = [];
  const applying: { snapshot: Snapshot; done: PromiseWithResolvers<void> }[] = [];
  const taps: number[] = [];
  const lines: { readonly message: string; readonly reason?: string }[] = [];
  const client = {
    stream(_path: string, events: Pick<Stream, "onOpen" | "onLine" | "onEnd">) {
      const stream: Stream = { sent: [], closed: false, ...events };
      streams.push(stream);
      return {
        send: (message: Stream["sent"][number]) => void stream.sent.push(message),
        close: () => stream.closed = true,
      };
    },
  } as unknown as ControlClient;
  const discovery = new DiscoveryClient({
    client,
    clock,
    random: new Prng(1),
    log: createLog({ clock, format: "json", write: (line) => lines.push(JSON.parse(line)) }),
    hello: {
      type: "hello",
      protocol: DISCOVERY_PROTOCOL,
      version: "0",
      role: "sidecar",
      workload: "shop/web",
      address: "",
      meshPort: 15008,
    },
    certificate: () => "5d",
    health,
    shutPorts: () => shutPorts,
    onTap: (leaseMs) => taps.push(leaseMs),
    apply(snapshot) {
      const done = Promise.withResolvers<void>();
      applying.push({ snapshot, done });
      return done.promise;
    },
  }, new Map());
  discovery.start();
  /** All that came is applied; the stream breaks, and the next one opens. */
  const again = async () => {
    await settle();
    applying.at(-1)?.done.resolve();
    await settle();
    streams.at(-1)?.onEnd("broken");
    clock.advance(10_000);
    streams.at(-1)?.onOpen();
    await settle();
  };
  return { clock, discovery, streams, applying, taps, lines, again };
}

function push(nonce: number, version: string, body: Resource): string {
  return JSON.stringify({ type: "push", nonce, set: [{ version, body }], remove: [] });
}

describe("DiscoveryClient", () => {
  test("tells which certificate is on the disk, in the hello and when there is another", async () => {
    const { discovery, streams } = build();
    discovery.tellCertificate("5e");
    streams[0]?.onOpen();
    await settle();
    discovery.tellCertificate("5f");
    expect(streams[0]?.sent).toMatchObject([{ type: "hello", certificate: "5d" }, {
      type: "certificate",
      serial: "5f",
    }]);
  });

  test("has the code by which it was refused until the control plane serves it", async () => {
    const { clock, discovery, streams } = build();
    expect(discovery.refusal).toBeNull();
    streams[0]?.onEnd("it answered 403", "certificate_revoked");
    clock.advance(10_000);
    streams[1]?.onEnd("nobody accepts connections there");
    expect(discovery.refusal).toBe("certificate_revoked");
    clock.advance(10_000);
    streams[2]?.onOpen();
    streams[2]?.onLine('{"type":"heartbeat"}');
    await settle();
    expect(discovery.refusal).toBeNull();
  });

  test("answers a push once it is applied, or refused, and takes the next one after it", async () => {
    const { streams: [stream], applying } = build();
    stream?.onLine(push(1, "a", cluster({ name: "one" })));
    stream?.onLine(push(2, "b", cluster({ name: "two" })));
    await settle();
    expect([applying.length, stream?.sent]).toEqual([1, []]);
    applying[0]?.done.reject(new Error("it does not compile"));
    await settle();
    expect(stream?.sent).toEqual([{ type: "nack", nonce: 1, reason: "it does not compile" }]);
    expect([...applying[1]?.snapshot.keys() ?? []]).toEqual(["cluster/two"]);
    applying[1]?.done.resolve();
    await settle();
    expect(stream?.sent.at(-1)).toEqual({ type: "ack", nonce: 2 });
  });

  test("tells a new stream what it has only when nothing is half applied", async () => {
    const { clock, streams, applying } = build();
    streams[0]?.onOpen();
    await settle();
    expect(streams[0]?.sent).toMatchObject([{ type: "hello", known: {} }]);
    streams[0]?.onLine(push(1, "a", cluster({ name: "one" })));
    await settle();
    streams[0]?.onEnd("broken");
    clock.advance(10_000);
    streams[1]?.onOpen();
    await settle();
    streams[1]?.onEnd("broken");
    clock.advance(10_000);
    streams[2]?.onOpen();
    await settle();
    const hellos = () => streams.map(({ sent }) => sent.filter(({ type }) => type === "hello").length);
    expect(hellos()).toEqual([1, 0, 0]);
    applying[0]?.done.resolve();
    await settle();
    const snapshot = snapshotVersion(applying[0]?.snapshot as Snapshot);
    expect(hellos()).toEqual([1, 0, 1]);
    expect(streams[2]?.sent.at(-1)).toMatchObject({ type: "hello", known: {}, snapshot });
  });

  test("takes the first push of a stream for everything, unless it names what the hello said", async () => {
    const { streams, applying, again } = build();
    const keys = () => [...applying.at(-1)?.snapshot.keys() ?? []];
    streams[0]?.onLine(push(1, "a", cluster({ name: "one" })));
    await again();
    // Nothing is relative to what was never named, as with a control plane that does not read the version.
    streams[1]?.onLine(push(1, "b", cluster({ name: "two" })));
    await again();
    expect(keys()).toEqual(["cluster/two"]);
    const { snapshot } = streams[2]?.sent.at(-1) as unknown as { snapshot: string };
    const change = JSON.parse(push(1, "c", cluster({ name: "three" })));
    streams[2]?.onLine(JSON.stringify({ ...change, base: snapshot }));
    await settle();
    expect(keys()).toEqual(["cluster/two", "cluster/three"]);
    applying.at(-1)?.done.resolve();
    await settle();
    streams[2]?.onLine(push(2, "d", cluster({ name: "four" })));
    await settle();
    expect(keys()).toEqual(["cluster/two", "cluster/three", "cluster/four"]);
  });

  test("unpacks what is packed, and refuses what cannot be unpacked", async () => {
    const { streams: [stream], applying } = build();
    const packed = packText(JSON.stringify([{ version: "b", body: cluster({ name: "two" }) }]));
    const one = JSON.parse(push(1, "a", cluster({ name: "one" })));
    stream?.onLine(JSON.stringify({ ...one, packed }));
    await settle();
    expect([...applying[0]?.snapshot.keys() ?? []]).toEqual(["cluster/one", "cluster/two"]);
    applying[0]?.done.resolve();
    await settle();
    stream?.onLine(JSON.stringify({ ...one, nonce: 2, packed: "?" }));
    await settle();
    expect(stream?.sent.at(-1)).toEqual({ type: "nack", nonce: 2, reason: "It is not base64 of gzip" });
  });

  test("tells the workload's health in the hello, and after it when it changes", async () => {
    let health: WorkloadHealth = "unknown";
    const { clock, discovery, streams } = build(() => health);
    discovery.tellHealth(health = "healthy");
    streams[0]?.onOpen();
    await settle();
    discovery.tellHealth(health = "unhealthy");
    expect(streams[0]?.sent).toMatchObject([{ type: "hello", health: "healthy" }, {
      type: "health",
      health,
    }]);
    streams[0]?.onEnd("broken");
    discovery.tellHealth(health = "healthy");
    clock.advance(10_000);
    discovery.tellHealth(health = "unhealthy");
    streams[1]?.onOpen();
    await settle();
    expect(streams[0]?.sent).toHaveLength(2);
    expect(streams[1]?.sent).toMatchObject([{ type: "hello", health: "unhealthy" }]);
  });

  test("tells ports that are shut in the hello, and after it when that changes", async () => {
    const taken = { port: 443, reason: "it is taken" };
    const { discovery, streams } = build(undefined, [taken]);
    discovery.tellPorts([taken]);
    streams[0]?.onOpen();
    await settle();
    discovery.tellPorts([]);
    expect(streams[0]?.sent).toMatchObject([
      { type: "hello", shutPorts: [taken] },
      { type: "ports", shut: [] },
    ]);
  });
});

describe("DiscoveryClient that hears nothing", () => {
  /** Milliseconds after which a stream is given up: at the first heartbeat that is due beyond three silent ones. */
  const SILENCE_MS = 4 * DISCOVERY_HEARTBEAT_MS;
  const heartbeats = ({ sent }: Stream) => sent.filter(({ type }) => type === "heartbeat").length;

  /** A client whose stream is open and has been heard at once. */
  async function open() {
    const client = build();
    const [stream] = client.streams as [Stream];
    stream.onOpen();
    await settle();
    return { ...client, stream };
  }

  test("gives the stream up, and opens another one that has as long", async () => {
    const { clock, streams, stream, lines } = await open();
    clock.advance(SILENCE_MS - 1);
    expect([stream.closed, heartbeats(stream)]).toEqual([false, 3]);
    clock.advance(1);
    expect([stream.closed, streams.length]).toEqual([true, 1]);
    expect(lines).toMatchObject([{ reason: "it has been silent for too long" }]);
    clock.advance(BACKOFF_BASE_MS);
    expect(streams).toHaveLength(2);
    const [, second] = streams as [Stream, Stream];
    clock.advance(SILENCE_MS - BACKOFF_BASE_MS);
    expect(second.closed).toBe(false);
    clock.advance(BACKOFF_BASE_MS);
    expect(second.closed).toBe(true);
  });

  test("keeps a stream that says anything", async () => {
    const { clock, streams, stream } = await open();
    for (let i = 0; i < 10; i++) {
      clock.advance(DISCOVERY_HEARTBEAT_MS);
      stream.onLine('{"type":"heartbeat"}');
    }
    expect([stream.closed, streams.length, heartbeats(stream)]).toEqual([false, 1, 10]);
  });
});

describe("DiscoveryClient that is told", () => {
  test("of somebody who watches the calls, and of why it is not served, and nothing else of either", () => {
    const { streams: [stream], taps, lines } = build();
    stream?.onLine('{"type":"heartbeat"}');
    expect([taps, lines]).toEqual([[], []]);
    stream?.onLine('{"type":"tap","leaseMs":1500}');
    expect([taps, lines]).toEqual([[1_500], []]);
    stream?.onLine('{"type":"refusal","reason":"no such group"}');
    expect([taps, lines]).toMatchObject([[1_500], [{ level: "error", reason: "no such group" }]]);
  });

  test("the same reason again and again says it once, until a push has come", async () => {
    const { clock, streams, lines, again } = build();
    const troubles = () => lines.filter(({ message }) => message.startsWith("No discovery stream"));
    for (let i = 0; i < 3; i++) {
      streams.at(-1)?.onEnd("broken");
      clock.advance(10_000);
    }
    expect(troubles()).toHaveLength(1);
    streams.at(-1)?.onEnd("silent");
    clock.advance(10_000);
    expect(troubles().map(({ reason }) => reason)).toEqual(["broken", "silent"]);
    streams.at(-1)?.onEnd("broken");
    clock.advance(10_000);
    streams.at(-1)?.onLine(push(1, "a", cluster({ name: "one" })));
    await again();
    expect(troubles().map(({ reason }) => reason)).toEqual(["broken", "silent", "broken", "broken"]);
  });

  test("of nothing waits longer and longer, and no longer than at first once a push has come", async () => {
    const { clock, streams, again } = build();
    for (let i = 0; i < 8; i++) {
      streams.at(-1)?.onEnd("broken");
      clock.advance(10_000);
    }
    expect(streams).toHaveLength(9);
    streams.at(-1)?.onEnd("broken");
    clock.advance(BACKOFF_BASE_MS);
    expect(streams).toHaveLength(9);
    clock.advance(10_000);
    streams.at(-1)?.onLine(push(1, "a", cluster({ name: "one" })));
    await again();
    streams.at(-1)?.onLine(push(1, "a", cluster({ name: "one" })));
    streams.at(-1)?.onEnd("broken");
    const { length } = streams;
    clock.advance(BACKOFF_BASE_MS);
    expect(streams).toHaveLength(length + 1);
  });

  test("to stop closes the stream, opens none, and says nothing more", async () => {
    const open = build();
    open.streams[0]?.onOpen();
    await settle();
    open.discovery.stop();
    expect([open.streams[0]?.closed, open.clock.pending]).toEqual([true, 0]);
    open.streams[0]?.onEnd("closed");
    expect([open.clock.pending, open.lines]).toEqual([0, []]);

    const waiting = build();
    waiting.streams[0]?.onEnd("broken");
    waiting.discovery.stop();
    expect(waiting.clock.pending).toBe(0);
  });
});

describe("DiscoveryClient.leave()", () => {
  const WAIT_MS = 5_000;

  /** A client whose stream has been heard, and whether it has left. */
  async function leaving() {
    const { clock, discovery, streams } = build();
    streams[0]?.onOpen();
    await settle();
    streams[0]?.onLine('{"type":"heartbeat"}');
    await settle();
    const left = { isOver: false };
    void discovery.leave(WAIT_MS).then(() => left.isOver = true);
    await settle();
    expect([streams[0]?.sent.at(-1), left.isOver]).toEqual([{ type: "goodbye" }, false]);
    return { clock, streams, left };
  }

  /** What happens, and how many timers are left then: a stream has its heartbeat. */
  test.each<[string, number, (client: Awaited<ReturnType<typeof leaving>>) => void]>([
    ["others are sent elsewhere", 1, ({ streams }) => streams[0]?.onLine('{"type":"farewell"}')],
    ["the time is up", 1, ({ clock }) => clock.advance(WAIT_MS)],
    ["the stream breaks", 0, ({ streams }) => streams[0]?.onEnd("broken")],
  ])("says good-bye and waits until %s, and connects no more", async (_what, timers, happen) => {
    const client = await leaving();
    client.clock.advance(WAIT_MS - 1);
    await settle();
    expect(client.left.isOver).toBe(false);
    happen(client);
    await settle();
    expect([client.left.isOver, client.clock.pending]).toEqual([true, timers]);
    client.streams[0]?.onEnd("broken");
    client.clock.advance(60_000);
    expect(client.streams).toHaveLength(1);
  });

  test("waits for nobody where this stream has brought nothing, whatever those before it did", async () => {
    const { clock, discovery, streams } = build();
    streams[0]?.onLine('{"type":"heartbeat"}');
    streams[0]?.onEnd("broken");
    clock.advance(10_000);
    expect(streams).toHaveLength(2);
    await discovery.leave(WAIT_MS);
    expect([streams[1]?.closed, clock.pending]).toEqual([true, 0]);
  });

  test("waits for nobody where nothing was heard, and tries no more", async () => {
    const { clock, discovery, streams } = build();
    streams[0]?.onEnd("nobody accepts connections there");
    await discovery.leave(WAIT_MS);
    clock.advance(60_000);
    expect(streams).toHaveLength(1);
  });
});
