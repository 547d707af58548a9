/** Pushes that take their time: answered in order, and nothing is told to a new stream while one is half done. */
import { describe, expect, test } from "bun:test";
import { ManualClock } from "../../../src/lib/clock.ts";
import { Prng } from "../../../src/lib/prng.ts";
import { DISCOVERY_PROTOCOL } from "../../../src/model/discovery.ts";
import { packText } from "../../../src/lib/packed_text.ts";
import type { WorkloadHealth } from "../../../src/model/health_probe.ts";
import type { ShutPort } from "../../../src/model/shut_port.ts";
import type { Resource, Snapshot } from "../../../src/model/snapshot.ts";
import { snapshotVersion } from "../../../src/model/snapshot_version.ts";
import type { ControlClient } from "../../../src/sidecar/control_client.ts";
import { DiscoveryClient } from "../../../src/sidecar/discovery_client.ts";
import { createLog } from "../../../src/telemetry/log.ts";
import { cluster } from "../proxy/data_plane.ts";
import { settle } from "../proxy/fake_wire.ts";

interface Stream {
  readonly sent: { readonly type: string; readonly [field: string]: unknown }[];
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
  const client = {
    stream(_path: string, events: Omit<Stream, "sent">) {
      const sent: Stream["sent"] = [];
      streams.push({ sent, ...events });
      return { send: (message: Stream["sent"][number]) => void sent.push(message), close() {} };
    },
  } as unknown as ControlClient;
  const discovery = new DiscoveryClient({
    client,
    clock,
    random: new Prng(1),
    log: createLog({ clock, format: "json", write() {} }),
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
  return { clock, discovery, streams, applying, again };
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
    expect(streams[1]?.sent.filter(({ type }) => type === "hello")).toEqual([]);
    applying[0]?.done.resolve();
    await settle();
    const snapshot = snapshotVersion(applying[0]?.snapshot as Snapshot);
    expect(streams[1]?.sent.at(-1)).toMatchObject({ type: "hello", known: {}, snapshot });
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
    streams[1]?.onOpen();
    await settle();
    expect(streams[1]?.sent).toMatchObject([{ type: "hello", health: "healthy" }]);
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

  test.each<[string, (client: Awaited<ReturnType<typeof leaving>>) => void]>([
    ["others are sent elsewhere", ({ streams }) => streams[0]?.onLine('{"type":"farewell"}')],
    ["the time is up", ({ clock }) => clock.advance(WAIT_MS)],
    ["the stream breaks", ({ streams }) => streams[0]?.onEnd("broken")],
  ])("says good-bye and waits until %s, and connects no more", async (_what, happen) => {
    const client = await leaving();
    client.clock.advance(WAIT_MS - 1);
    await settle();
    expect(client.left.isOver).toBe(false);
    happen(client);
    await settle();
    expect(client.left.isOver).toBe(true);
    client.streams[0]?.onEnd("broken");
    client.clock.advance(60_000);
    expect(client.streams).toHaveLength(1);
  });

  test("waits for nobody where nothing was heard, and tries no more", async () => {
    const { clock, discovery, streams } = build();
    streams[0]?.onEnd("nobody accepts connections there");
    await discovery.leave(WAIT_MS);
    clock.advance(60_000);
    expect(streams).toHaveLength(1);
  });
});
