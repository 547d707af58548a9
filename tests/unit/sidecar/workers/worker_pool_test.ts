/** The pool against workers of which the test decides what they do, on a clock that it moves. */
import { DEFAULT_LIMITS } from "../../../../src/model/limits.ts";
import { describe, expect, test } from "bun:test";
import { ManualClock } from "../../../../src/lib/clock.ts";
import { Prng } from "../../../../src/lib/prng.ts";
import type { ShutPort } from "../../../../src/model/shut_port.ts";
import type { Snapshot } from "../../../../src/model/snapshot.ts";
import { LATE_CALLS_MS } from "../../../../src/proxy/proxy.ts";
import { ChildStartError } from "../../../../src/runtime/child_process.ts";
import { NO_REFUSALS } from "../../../../src/sidecar/workers/refusal_sums.ts";
import { SILENT_LOOKS_MAX } from "../../../../src/sidecar/workers/worker_link.ts";
import {
  CLOSE_WAIT_MS,
  COLLECT_INTERVAL_MS,
  COLLECT_WAIT_MS,
  DRAIN_GRACE_MS,
  WorkerPool,
  type WorkerPoolOptions,
} from "../../../../src/sidecar/workers/worker_pool.ts";
import {
  END_MS,
  RESTART_BASE_MS,
  RESTART_MAX_MS,
  STEADY_MS,
} from "../../../../src/sidecar/workers/worker_slot.ts";
import { EdgeRegistry, UNKNOWN_WORKLOAD } from "../../../../src/telemetry/edge_metrics.ts";
import { prometheusText } from "../../../../src/telemetry/prometheus_text.ts";
import { cluster, settings, snapshotOf } from "../../proxy/data_plane.ts";
import { settle } from "../../proxy/fake_wire.ts";
import { type FakeWorker, FakeWorkers } from "./fake_workers.ts";

const SETTINGS = {
  trustDomain: "mesh.test",
  addresses: {
    outbound: { hostname: "127.0.0.1", port: 15001 },
    inboundPlain: { hostname: "0.0.0.0", port: 15006 },
    mesh: { hostname: "0.0.0.0", port: 15008 },
  },
  gateway: null,
  credentials: null,
  deliverTo: "127.0.0.1",
  jwksAllow: [],
  limits: DEFAULT_LIMITS,
};
const IDENTITY = { chain: "chain", key: "key", roots: "roots" };
const RENEWED = { chain: "chain 2", key: "key 2", roots: "roots" };
const FIRST = snapshotOf(settings());
const SECOND = snapshotOf(settings({ outboundPolicy: "REGISTRY_ONLY" }), cluster());
/** Does not compile: it has no settings. */
const BROKEN: Snapshot = new Map();

function build(workers = 2, more: Partial<WorkerPoolOptions> = {}) {
  const clock = new ManualClock(1_000);
  const started = new FakeWorkers();
  const held = new Set<number>();
  const said: string[] = [];
  /** What was shut whenever that changed. */
  const shut: (readonly ShutPort[])[] = [];
  const say = (message: string, fields: object = {}) =>
    void said.push(`${message} ${JSON.stringify(fields)}`);
  const pool = new WorkerPool({
    workers,
    settings: SETTINGS,
    clock,
    random: new Prng(1),
    log: { info: say, warn: say, error: say },
    start: started.start,
    hold: ({ port }) => {
      held.add(port);
      return { port, stop: () => void held.delete(port) };
    },
    onShutPorts: () => void shut.push(pool.shutPorts),
    ...more,
  });
  return { pool, clock, workers: started.all, started, held, said, shut };
}

/** A pool whose workers all serve FIRST. */
async function serving(count = 2, more: Partial<WorkerPoolOptions> = {}) {
  const built = build(count, more);
  built.pool.listen();
  built.pool.useIdentity(IDENTITY);
  const applied = built.pool.apply(FIRST);
  for (const worker of built.workers) await worker.serves();
  await applied;
  return built;
}

/** Whether it has resolved by now. */
async function isDone(promise: Promise<unknown>): Promise<boolean> {
  let done = false;
  void promise.then(() => done = true);
  await settle();
  return done;
}

function last(workers: readonly FakeWorker[]): FakeWorker {
  return workers.at(-1) as FakeWorker;
}

/** What a worker counted in `requests` requests. */
function reports(requests: number, source = "a") {
  const registry = new EdgeRegistry();
  const service = { host: "shop", name: "shop", namespace: "ns" };
  const edge = registry.edge({
    reporter: "source",
    source: { ...UNKNOWN_WORKLOAD, name: source },
    destination: UNKNOWN_WORKLOAD,
    service,
    mtls: true,
  });
  for (let i = 0; i < requests; i++) edge.record(200, "-", 2);
  return registry.takeReport();
}

function counted(pool: WorkerPool): number {
  return [...prometheusText(pool.edges.edges(), []).matchAll(/^istio_requests_total\{.*\} (\d+)$/gm)]
    .reduce((sum, [, count]) => sum + Number(count), 0);
}

describe("WorkerPool.listen()", () => {
  test("holds the ports alone until there is something to serve by, and then shares them", async () => {
    const { pool, workers, held } = build();
    pool.listen();
    expect([...held]).toEqual([15001, 15006, 15008]);
    expect(workers.map(({ number }) => number)).toEqual([1, 2]);
    await workers[0]?.says({ type: "hello" });
    pool.useIdentity(IDENTITY);
    expect(workers[0]?.heard).toEqual([]);
    expect([...held]).toEqual([15001, 15006, 15008]);
    void pool.apply(FIRST);
    expect([...held]).toEqual([]);
    expect(workers[0]?.heard).toEqual([{
      type: "start",
      id: 1,
      settings: {
        ...SETTINGS,
        servesSockets: true,
        addresses: {
          outbound: { ...SETTINGS.addresses.outbound, shared: true },
          inboundPlain: { ...SETTINGS.addresses.inboundPlain, shared: true },
          mesh: { ...SETTINGS.addresses.mesh, shared: true },
        },
      },
      identity: IDENTITY,
      snapshot: [...FIRST],
    }]);
    // The other one has not said that it listens.
    expect(workers[1]?.heard).toEqual([]);
    await workers[1]?.says({ type: "hello" });
    expect(workers[1]?.types).toEqual(["start"]);
    // Nobody can share a socket.
    expect(workers[1]?.heard[0]).toMatchObject({ settings: { servesSockets: false } });
  });

  test("throws when a port is taken, and then holds none and starts nobody", () => {
    const held = new Set<number>();
    const hold = ({ port }: { port: number }) => {
      if (port === 15008) throw new Error("taken");
      held.add(port);
      return { port, stop: () => void held.delete(port) };
    };
    const { pool, workers } = build(2, { hold });
    expect(() => pool.listen()).toThrow("taken");
    expect([held.size, workers.length]).toEqual([0, 0]);
  });
});

describe("WorkerPool.apply()", () => {
  test("resolves when every worker serves by it, and sends only what changed", async () => {
    const { pool, workers } = await serving();
    const applied = pool.apply(SECOND);
    expect(workers[0]?.heard.at(-1)).toEqual({
      type: "change",
      id: 2,
      set: [...SECOND.values()],
      remove: [],
    });
    await workers[0]?.answers("change");
    expect(await isDone(applied)).toBe(false);
    await workers[1]?.answers("change");
    expect(await isDone(applied)).toBe(true);
    void pool.apply(FIRST);
    expect(workers[1]?.heard.at(-1)).toMatchObject({
      set: [...FIRST.values()],
      remove: [...SECOND.keys()].slice(1),
    });
  });

  test("rejects what does not compile, and tells no worker", async () => {
    const { pool, workers } = await serving();
    const before = workers[0]?.types;
    expect(pool.apply(BROKEN)).rejects.toThrow("The snapshot has no proxy settings");
    await settle();
    expect(workers[0]?.types).toEqual(before as string[]);
    // What the next worker gets is what the others have.
    await workers[0]?.ends();
    expect(pool.workers.serving).toBe(1);
  });

  test("does not wait for a worker that ends meanwhile; the one in its place gets the new state", async () => {
    const { pool, workers, clock } = await serving();
    const applied = pool.apply(SECOND);
    await workers[1]?.answers("change");
    await workers[0]?.ends();
    expect(await isDone(applied)).toBe(true);
    clock.advance(RESTART_BASE_MS);
    await last(workers).says({ type: "hello" });
    expect(last(workers).heard).toMatchObject([{ type: "start", snapshot: [...SECOND] }]);
  });

  test("is not kept waiting by a worker that has yet to be started again", async () => {
    const { pool, workers } = await serving();
    await workers[0]?.ends();
    const applied = pool.apply(SECOND);
    await workers[1]?.answers("change");
    expect(await isDone(applied)).toBe(true);
  });
});

describe("WorkerPool.useIdentity()", () => {
  test("reaches every worker, and those that start later", async () => {
    const { pool, workers, clock } = await serving();
    await workers[0]?.ends();
    pool.useIdentity(RENEWED);
    expect(workers[1]?.heard.at(-1)).toEqual({ type: "identity", identity: RENEWED });
    clock.advance(RESTART_BASE_MS);
    await last(workers).says({ type: "hello" });
    expect(last(workers).heard).toMatchObject([{ type: "start", identity: RENEWED }]);
  });
});

describe("a worker that ends", () => {
  test("is replaced soon, told in the log, and counted", async () => {
    const { pool, workers, clock, said } = await serving();
    expect(pool.workers).toEqual({ serving: 2, restarts: 0 });
    await workers[0]?.ends({ code: null, signal: "SIGSEGV" });
    expect(pool.workers).toEqual({ serving: 1, restarts: 0 });
    expect(said.at(-1)).toContain('"worker":1,"pid":100,"reason":"signal SIGSEGV"');
    clock.advance(RESTART_BASE_MS);
    await last(workers).serves();
    expect([last(workers).number, workers.length]).toEqual([1, 3]);
    expect(pool.workers).toEqual({ serving: 2, restarts: 1 });
  });

  test("takes the TCP connections with it that stood, and those that ended already not", async () => {
    const { pool, workers, clock } = await serving();
    const registry = new EdgeRegistry();
    const edge = registry.edge({
      reporter: "source",
      source: UNKNOWN_WORKLOAD,
      destination: UNKNOWN_WORKLOAD,
      service: { host: "shop", name: "shop", namespace: "ns" },
      mtls: true,
    });
    const told = async (worker: number) => {
      clock.advance(COLLECT_INTERVAL_MS);
      await workers[worker]?.answers("collect", { edges: registry.takeReport() });
    };
    const sums = () =>
      [...pool.edges.edges()].flatMap(({ connections }) =>
        connections.map(({ flags, opened, closed }) => `${flags} +${opened} -${closed}`)
      );
    for (let i = 0; i < 3; i++) edge.openConnection();
    await told(0);
    edge.openConnection();
    edge.closeConnection("DC");
    await told(0);
    edge.openConnection();
    await told(1);
    expect(sums()).toEqual(["- +5 -0", "DC +0 -1"]);
    await workers[0]?.ends();
    expect(sums()).toEqual(["- +5 -0", "DC +0 -1", "LR +0 -3"]);
    await workers[1]?.ends();
    expect(sums()).toEqual(["- +5 -0", "DC +0 -1", "LR +0 -4"]);
  });

  test("waits longer each time, and is tried for ever; one that was steady begins anew", async () => {
    const { workers, clock } = await serving(1);
    for (let i = 0; i < 20; i++) {
      await last(workers).serves();
      await last(workers).ends();
      clock.advance(RESTART_MAX_MS);
    }
    expect(workers).toHaveLength(21);
    await last(workers).serves();
    clock.advance(STEADY_MS - 1);
    await last(workers).ends();
    clock.advance(RESTART_BASE_MS);
    expect(workers).toHaveLength(21);
    clock.advance(RESTART_MAX_MS);
    await last(workers).serves();
    clock.advance(STEADY_MS);
    await last(workers).ends();
    clock.advance(RESTART_BASE_MS);
    expect(workers).toHaveLength(23);
  });

  test("says why in its last words", async () => {
    const { workers, said } = await serving();
    await workers[1]?.says({ type: "failed", reason: "Cannot listen on 127.0.0.1:15001: taken" });
    await workers[1]?.ends();
    expect(said.at(-1)).toContain('"reason":"Cannot listen on 127.0.0.1:15001: taken"');
  });

  test("is told when it could not even be started", async () => {
    const { pool, started, clock, said, workers } = build(1);
    started.failure = new ChildStartError("Cannot start bowline: no memory");
    pool.listen();
    expect(said.at(-1)).toContain("Cannot start bowline: no memory");
    started.failure = null;
    clock.advance(RESTART_BASE_MS);
    expect(workers).toHaveLength(1);
  });

  test("is ended when it says what could not be understood", async () => {
    const { workers, said } = await serving();
    await workers[0]?.babbles({ type: "counts", id: 1, counts: { edges: [], connections: -1 } });
    expect(workers[0]?.killed).toBe(true);
    await workers[0]?.ends({ code: null, signal: "SIGKILL" });
    expect(said.at(-1)).toContain("it said what could not be understood");
  });

  test("is ended when it answers no more, however long this process itself stood still", async () => {
    const { workers, clock } = await serving();
    for (let look = 1; look <= SILENT_LOOKS_MAX; look++) {
      clock.advance(COLLECT_INTERVAL_MS);
      await workers[1]?.answers("collect", {});
    }
    expect(workers[0]?.killed).toBe(false);
    clock.advance(COLLECT_INTERVAL_MS);
    expect([workers[0]?.killed, workers[1]?.killed]).toEqual([true, false]);
  });
});

describe("WorkerPool.collect()", () => {
  test("adds up what all workers counted, each thing once", async () => {
    const { pool, workers, clock } = await serving();
    const collected = pool.collect();
    await workers[0]?.answers("collect", { edges: reports(3), connections: 4 });
    expect(await isDone(collected)).toBe(false);
    await workers[1]?.answers("collect", { edges: [...reports(2), ...reports(1, "b")], connections: 1 });
    expect(await isDone(collected)).toBe(true);
    expect([counted(pool), pool.connections]).toEqual([6, 5]);
    expect(pool.edges.takeReport().map(({ durationSumMs }) => durationSumMs)).toEqual([10, 2]);
    clock.advance(COLLECT_INTERVAL_MS);
    await workers[0]?.answers("collect", { edges: reports(5) });
    expect(counted(pool)).toBe(11);
  });

  test("keeps what a worker had told before it ended", async () => {
    const { pool, workers, clock } = await serving();
    const refused = (requests: number) => ({ refusals: { ...NO_REFUSALS, requests } });
    void pool.collect();
    await workers[0]?.answers("collect", { edges: reports(3), connections: 9, ...refused(5) });
    await workers[1]?.answers("collect", refused(1));
    await workers[0]?.ends();
    expect([counted(pool), pool.connections, pool.refusals.requests]).toEqual([3, 0, 6]);
    clock.advance(RESTART_BASE_MS);
    await last(workers).serves();
    void pool.collect();
    await last(workers).answers("collect", refused(2));
    expect(pool.refusals).toEqual({ ...NO_REFUSALS, requests: 8 });
  });

  test("says once which ports are shut, however many workers say so, and again when they are not", async () => {
    const { pool, workers, shut } = await serving();
    const taken = { port: 80, reason: "it is taken" };
    const tell = async (shutPorts: readonly ShutPort[]) => {
      void pool.collect();
      for (const worker of workers) await worker.answers("collect", { shutPorts });
    };
    await tell([]);
    await tell([taken]);
    await tell([taken]);
    await tell([]);
    expect(shut).toEqual([[taken], []]);
  });

  test("waits for a worker that does not answer, but not for long", async () => {
    const { pool, workers, clock } = await serving();
    const collected = pool.collect();
    await workers[0]?.answers("collect", { edges: reports(1) });
    clock.advance(COLLECT_WAIT_MS - 1);
    expect(await isDone(collected)).toBe(false);
    clock.advance(1);
    expect(await isDone(collected)).toBe(true);
    expect(counted(pool)).toBe(1);
  });
});

describe("WorkerPool.drain()", () => {
  test("closes a side of all before it drains it in any, and takes the last numbers", async () => {
    const { pool, workers, clock } = await serving();
    const drained = pool.drain(30_000);
    const heard = () => workers.map(({ heard }) => ({ ...heard.at(-1), id: 0 }));
    for (const [side, leftMs] of [["inbound", 30_000], ["outbound", 28_000]] as const) {
      // The own workload calls on for as long as it may.
      if (side === "outbound") {
        const older = { type: "drain-older", id: 0, side, timeoutMs: 29_000 };
        expect(heard()).toEqual([older, older]);
        clock.advance(COLLECT_INTERVAL_MS);
        for (const worker of workers) await worker.answers("drain-older");
      }
      const close = { type: "close", id: 0, side };
      expect(heard()).toEqual([close, close]);
      await workers[0]?.answers("close");
      expect(heard()).toEqual([close, close]);
      await workers[1]?.answers("close");
      const drain = { type: "drain", id: 0, side, timeoutMs: leftMs };
      expect(heard()).toEqual([drain, drain]);
      clock.advance(COLLECT_INTERVAL_MS);
      for (const worker of workers) await worker.answers("drain");
    }
    for (const worker of workers) {
      await worker.answers("end", { edges: reports(2) });
      await worker.ends({ code: 0, signal: null });
    }
    expect(await isDone(drained)).toBe(true);
    expect(counted(pool)).toBe(4);
    clock.advance(RESTART_MAX_MS);
    expect([workers.length, clock.pending]).toEqual([2, 0]);
  });

  test("leaves a gateway's ports open until what was in flight is over", async () => {
    const { pool, workers } = await serving(1, { settings: { ...SETTINGS, addresses: null } });
    void pool.drain(30_000);
    await settle();
    expect(workers[0]?.types.at(-1)).toBe("drain-older");
    await workers[0]?.answers("drain-older");
    expect(workers[0]?.heard.at(-1)).toMatchObject({ type: "close", side: "inbound" });
  });

  test("ends a worker that says nothing any more when the time is up", async () => {
    const { pool, workers, clock } = await serving(1);
    const drained = pool.drain(5_000);
    for (
      const ms of [
        CLOSE_WAIT_MS,
        5_000 - CLOSE_WAIT_MS + DRAIN_GRACE_MS,
        CLOSE_WAIT_MS,
        LATE_CALLS_MS + DRAIN_GRACE_MS,
      ]
    ) {
      clock.advance(ms);
      await settle();
    }
    expect(workers[0]?.types.at(-1)).toBe("end");
    clock.advance(END_MS - 1);
    expect(workers[0]?.killed).toBe(false);
    clock.advance(1);
    expect(workers[0]?.killed).toBe(true);
    await workers[0]?.ends({ code: null, signal: "SIGKILL" });
    expect(await isDone(drained)).toBe(true);
  });

  test("ends workers at once that have nothing to do, and starts none that comes late", async () => {
    const { pool, workers, held } = build();
    pool.useIdentity(IDENTITY);
    void pool.apply(FIRST);
    pool.listen();
    const drained = pool.drain(30_000);
    await workers[0]?.says({ type: "hello" });
    expect([workers[0]?.types, held.size, workers.every(({ killed }) => killed)]).toEqual([[], 0, true]);
    for (const worker of workers) await worker.ends({ code: null, signal: "SIGKILL" });
    expect(await isDone(drained)).toBe(true);
  });

  test("starts no other in the place of one that is waited for", async () => {
    const { pool, workers, clock } = await serving(1);
    await workers[0]?.ends();
    await pool.drain(30_000);
    clock.advance(RESTART_MAX_MS);
    expect(workers).toHaveLength(1);
  });
});
