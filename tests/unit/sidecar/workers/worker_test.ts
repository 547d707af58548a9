import { TAPPED } from "../../telemetry/tapped.ts";
import { ManualClock } from "../../../../src/lib/clock.ts";
import { Tap } from "../../../../src/telemetry/tap.ts";
import { DEFAULT_LIMITS } from "../../../../src/model/limits.ts";
import { describe, expect, test } from "bun:test";
import type { Snapshot } from "../../../../src/model/snapshot.ts";
import type { Side } from "../../../../src/proxy/listener/connection_gate.ts";
import type { TlsMaterial } from "../../../../src/runtime/tls_options.ts";
import { NO_REFUSALS } from "../../../../src/sidecar/workers/refusal_sums.ts";
import { ORPHAN_DRAIN_MS, Worker, type WorkerProxy } from "../../../../src/sidecar/workers/worker.ts";
import type { FromWorker, ToWorker } from "../../../../src/sidecar/workers/worker_messages.ts";
import { CallRecorder } from "../../../../src/telemetry/call_recorder.ts";
import { EdgeRegistry } from "../../../../src/telemetry/edge_metrics.ts";
import { PolicyCounts } from "../../../../src/telemetry/policy_counts.ts";
import { cluster, settings, snapshotOf } from "../../proxy/data_plane.ts";
import { settle } from "../../proxy/fake_wire.ts";

const FIRST = snapshotOf(settings());
const IDENTITY = { chain: "chain", key: "key", roots: "roots" };
const START: ToWorker = {
  type: "start",
  id: 1,
  settings: {
    trustDomain: "mesh.test",
    gateway: null,
    credentials: null,
    addresses: {
      outbound: { hostname: "127.0.0.1", port: 1 },
      inboundPlain: { hostname: "127.0.0.1", port: 3 },
      mesh: { hostname: "127.0.0.1", port: 2 },
    },
    deliverTo: "127.0.0.1",
    jwksAllow: [],
    limits: DEFAULT_LIMITS,
  },
  identity: IDENTITY,
  snapshot: [...FIRST],
};

/** A proxy that notes what it was told to do, in order. */
class FakeProxy implements WorkerProxy {
  readonly edges = new EdgeRegistry();
  readonly decisions = new PolicyCounts();
  readonly calls = new CallRecorder();
  readonly tap = new Tap(new ManualClock());
  readonly refusals = NO_REFUSALS;
  readonly connections = 7;
  readonly shutPorts = [{ port: 80, reason: "it is taken" }];
  readonly did: string[] = [];
  applied: Snapshot | null = null;
  readonly drained = Promise.withResolvers<void>();
  failure: Error | null = null;

  constructor(readonly identity: () => TlsMaterial | null) {}

  warming: Promise<void> | null = null;

  warm(): Promise<void> | null {
    return this.warming;
  }

  apply(snapshot: Snapshot): void {
    this.did.push("apply");
    this.applied = snapshot;
  }

  listen(): void {
    if (this.failure !== null) throw this.failure;
    this.did.push("listen");
  }

  stopListening(side: Side): void {
    this.did.push(`close ${side}`);
  }

  drainSide(side: Side, timeoutMs: number): Promise<void> {
    this.did.push(`drain ${side} ${timeoutMs}`);
    return this.drained.promise;
  }

  drainOlder(side: Side, timeoutMs: number): Promise<void> {
    this.did.push(`drain older ${side} ${timeoutMs}`);
    return this.drained.promise;
  }

  cut(): void {
    this.did.push("cut");
  }

  drain(timeoutMs: number): Promise<void> {
    this.did.push(`drain ${timeoutMs}`);
    return this.drained.promise;
  }
}

function build(failure: Error | null = null) {
  const said: FromWorker[] = [];
  const ends: string[] = [];
  const proxies: FakeProxy[] = [];
  const worker = new Worker({
    createProxy: (_settings, identity) => {
      const proxy = new FakeProxy(identity);
      proxy.failure = failure;
      proxies.push(proxy);
      return proxy;
    },
    send: (message, sent) => {
      said.push(message);
      sent?.();
    },
    end: (how) => ends.push(how),
  });
  return { worker, said, ends, proxies };
}

function started() {
  const built = build();
  built.worker.receive(START);
  return { ...built, proxy: built.proxies[0] as FakeProxy };
}

describe("Worker", () => {
  test("has the snapshot and the certificate before it listens", () => {
    const { proxy, said } = started();
    expect(proxy.did).toEqual(["apply", "listen"]);
    expect([proxy.identity(), proxy.applied]).toEqual([IDENTITY, new Map(FIRST)]);
    expect(said).toEqual([{ type: "done", id: 1 }]);
  });

  test("puts a change onto what it has, and takes a renewed certificate", () => {
    const { worker, proxy, said } = started();
    const added = snapshotOf(settings({ outboundPolicy: "REGISTRY_ONLY" }), cluster());
    worker.receive({ type: "change", id: 2, set: [...added.values()], remove: [] });
    expect(proxy.applied).toEqual(new Map(added));
    worker.receive({ type: "change", id: 3, set: [], remove: [...added.keys()].slice(1) });
    expect(proxy.applied?.size).toBe(1);
    expect(said.slice(1)).toEqual([{ type: "done", id: 2 }, { type: "done", id: 3 }]);
    worker.receive({ type: "identity", identity: { ...IDENTITY, key: "new" } });
    expect(proxy.identity()?.key).toBe("new");
  });

  test("waits for the names in a change before it applies it, and fails with it", async () => {
    const { worker, proxy, said, ends } = started();
    const names = Promise.withResolvers<void>();
    proxy.warming = names.promise;
    const added = snapshotOf(settings({ outboundPolicy: "REGISTRY_ONLY" }));
    worker.receive({ type: "change", id: 2, set: [...added.values()], remove: [] });
    expect([proxy.did.length, said.length]).toEqual([2, 1]);
    names.resolve();
    await names.promise;
    expect(said[1]).toEqual({ type: "done", id: 2 });
    expect(proxy.applied?.get("proxy/self")).toEqual(added.get("proxy/self"));
    proxy.apply = () => {
      throw new Error("It does not compile");
    };
    worker.receive({ type: "change", id: 3, set: [], remove: ["proxy/self"] });
    for (let i = 0; i < 5; i++) await Promise.resolve();
    expect(said[2]).toEqual({ type: "failed", reason: "It does not compile" });
    expect(ends).toEqual(["failed"]);
  });

  test("tells what it counted once", () => {
    const { worker, proxy, said } = started();
    const nobody = { key: "", namespace: "", name: "", principal: "", app: "", version: "" };
    const service = { host: "shop", name: "shop", namespace: "ns" };
    proxy.edges.edge({ reporter: "source", source: nobody, destination: nobody, service, mtls: false })
      .record(200, "-", 1);
    worker.receive({ type: "collect", id: 2 });
    worker.receive({ type: "collect", id: 3 });
    const [first, second] = said.slice(1).map((one) => one.type === "counts" ? one.counts : null);
    expect(first).toMatchObject({
      edges: [{ responses: [{ count: 1 }] }],
      connections: 7,
      shutPorts: [{ port: 80, reason: "it is taken" }],
      refusals: NO_REFUSALS,
    });
    expect(second?.edges).toEqual([]);
  });

  test("tells of calls for as long as somebody watches", () => {
    const { worker, proxy, said } = started();
    worker.receive({ type: "tap", leaseMs: 10 });
    expect(proxy.tap.active).toBe(true);
    proxy.tap.record(TAPPED);
    worker.receive({ type: "collect", id: 2 });
    expect(said.at(-1)).toMatchObject({ counts: { tapped: { calls: [TAPPED], omitted: 0 } } });
  });

  test("answers before it has anything to do", () => {
    const { worker, said } = build();
    worker.greet();
    worker.receive({ type: "collect", id: 1 });
    expect(said).toMatchObject([{ type: "hello" }, { type: "counts", id: 1, counts: { connections: 0 } }]);
  });

  test("drains a side and answers meanwhile", async () => {
    const { worker, proxy, said } = started();
    worker.receive({ type: "close", id: 2, side: "inbound" });
    worker.receive({ type: "drain", id: 3, side: "inbound", timeoutMs: 30_000 });
    worker.receive({ type: "collect", id: 4 });
    expect(proxy.did.slice(2)).toEqual(["close inbound", "drain inbound 30000"]);
    expect(said.map((one) => "id" in one ? one.id : 0)).toEqual([1, 2, 4]);
    proxy.drained.resolve();
    await settle();
    expect(said.at(-1)).toEqual({ type: "done", id: 3 });
    worker.receive({ type: "drain-older", id: 5, side: "outbound", timeoutMs: 20_000 });
    await settle();
    expect([proxy.did.at(-1), said.at(-1)]).toEqual(["drain older outbound 20000", { type: "done", id: 5 }]);
  });

  test("ends with its last numbers", () => {
    const { worker, proxy, said, ends } = started();
    worker.receive({ type: "end", id: 2 });
    expect(proxy.did.at(-1)).toBe("cut");
    expect([said.at(-1), ends]).toMatchObject([{ type: "counts", id: 2 }, ["drained"]]);
  });

  test("says why it cannot go on, and ends", () => {
    const { worker, said, ends } = build(new Error("Cannot listen on 127.0.0.1:1: taken"));
    worker.receive(START);
    expect(said).toEqual([{ type: "failed", reason: "Cannot listen on 127.0.0.1:1: taken" }]);
    expect(ends).toEqual(["failed"]);
  });

  test("ends at what is no message for it", () => {
    for (const nonsense of [null, 1, "start", {}, { type: "sing", id: 1 }, { type: "collect" }]) {
      const { worker, ends } = build();
      worker.receive(nonsense);
      expect(ends).toEqual(["failed"]);
    }
  });

  test("lets what is in flight end when the main process dies, for a while", async () => {
    const { worker, proxy, ends } = started();
    const over = worker.orphaned();
    expect(proxy.did.at(-1)).toBe(`drain ${ORPHAN_DRAIN_MS}`);
    expect(ends).toEqual([]);
    proxy.drained.resolve();
    await over;
    expect(ends).toEqual(["drained"]);
  });

  test("ends at once when the main process dies in a drain, which was forced then, or before the start", async () => {
    const { worker, ends } = started();
    worker.receive({ type: "close", id: 2, side: "inbound" });
    await worker.orphaned();
    expect(ends).toEqual(["drained"]);
    const idle = build();
    await idle.worker.orphaned();
    expect(idle.ends).toEqual(["drained"]);
  });
});
