import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { ManualClock } from "../../../src/lib/clock.ts";
import { buildGraph } from "../../../src/mixer/graph.ts";
import { TelemetryStore } from "../../../src/mixer/telemetry_store.ts";
import { durations, edge, reportOf, workload } from "./reports.ts";

const START_MS = Date.parse("2030-01-02T03:04:05.000Z");

function newStore(): { store: TelemetryStore; clock: ManualClock } {
  const clock = new ManualClock(START_MS);
  return { store: new TelemetryStore(clock), clock };
}

describe("buildGraph()", () => {
  test("is the JSON of GET /api/graph, field for field", () => {
    const { store, clock } = newStore();
    store.add(...reportOf(edge({
      receivedBytes: 5_000,
      sentBytes: 66_000,
      responses: [{ code: 200, flags: "-", count: 995 }, { code: 503, flags: "UH", count: 5 }],
      durations: durations({ 2: 1000 }),
    })));
    clock.advance(10_000);
    expect(buildGraph(store)).toEqual({
      generatedAt: "2030-01-02T03:04:15.000Z",
      nodes: [
        {
          id: "tutorial/customer",
          namespace: "tutorial",
          name: "customer",
          app: "customer",
          version: "latest",
        },
        {
          id: "tutorial/preference",
          namespace: "tutorial",
          name: "preference",
          app: "preference",
          version: "latest",
        },
      ],
      edges: [{
        source: "tutorial/customer",
        destination: "tutorial/preference",
        service: "preference.tutorial.svc.cluster.local",
        protocol: "http",
        requests: 1000,
        errors: 5,
        successRate: 0.995,
        requestsPerSecond: 100,
        latencyMs: { p50: 3, p90: 4.6, p99: 4.96 },
        mtls: true,
        receivedBytes: 5_000,
        sentBytes: 66_000,
        responses: { "200": 995, "503": 5 },
      }],
    });
  });

  test("counts TCP connections when they begin, and shows one that only carries bytes", () => {
    const { store, clock } = newStore();
    const tcp = edge({ protocol: "tcp", responses: [], durations: durations({}), durationSumMs: 0 });
    store.add(...reportOf({ ...tcp, opened: 2, responses: [{ code: 0, flags: "UF", count: 1 }] }));
    clock.advance(2 * 60_000);
    store.add(...reportOf({ ...tcp, receivedBytes: 1, sentBytes: 2 }));
    const all = { requests: 2, errors: 1, successRate: 0.5, receivedBytes: 1, sentBytes: 2, responses: {} };
    expect(buildGraph(store).edges).toMatchObject([all]);
    const latest = { requests: 0, errors: 0, successRate: 1, receivedBytes: 1, sentBytes: 2 };
    expect(buildGraph(store, { windowMs: 10_000 }).edges).toMatchObject([latest]);
    store.add(...reportOf({ ...tcp, responses: [{ code: 0, flags: "UC", count: 1 }] }));
    expect(buildGraph(store, { windowMs: 10_000 }).edges).toMatchObject([{ errors: 1, successRate: 0 }]);
  });

  test("is empty without reports", () => {
    expect(buildGraph(newStore().store)).toMatchObject({ nodes: [], edges: [] });
  });

  test("counts a call once that both ends reported, and by the source", () => {
    const { store } = newStore();
    store.add(
      ...reportOf(edge({ reporter: "destination", responses: [{ code: 200, flags: "-", count: 7 }] })),
    );
    expect(buildGraph(store).edges.map(({ requests }) => requests)).toEqual([7]);
    store.add(...reportOf(edge()));
    expect(buildGraph(store).edges.map(({ requests }) => requests)).toEqual([10]);
  });

  test("counts it once even when the ends name the service differently", () => {
    const { store } = newStore();
    const service = { host: "alias.tutorial.svc.cluster.local", name: "alias", namespace: "tutorial" };
    store.add(...reportOf(edge()));
    store.add(...reportOf(edge({ reporter: "destination", service })));
    expect(buildGraph(store).edges.map((each) => each.service)).toEqual([
      "preference.tutorial.svc.cluster.local",
    ]);
  });

  test("shows callers outside of the mesh by the destination's word", () => {
    const { store } = newStore();
    const source = { key: "", namespace: "", name: "", principal: "", app: "", version: "" };
    store.add(...reportOf(edge({ reporter: "destination", source, mtls: false })));
    const graph = buildGraph(store);
    expect(graph.edges).toMatchObject([{
      source: "unknown",
      destination: "tutorial/preference",
      mtls: false,
    }]);
    expect(graph.nodes.map(({ id }) => id)).toEqual(["tutorial/preference", "unknown"]);
  });

  test("rounds the success rate down, so that 1 means no error", () => {
    const { store } = newStore();
    store.add(...reportOf(edge({
      responses: [{ code: 200, flags: "-", count: 999_999 }, { code: 500, flags: "-", count: 1 }],
    })));
    expect(buildGraph(store).edges[0]?.successRate).toBe(0.9999);
  });

  test("keeps totals while the rate falls to zero", () => {
    const { store, clock } = newStore();
    store.add(...reportOf(edge()));
    clock.advance(120_000);
    expect(buildGraph(store).edges).toMatchObject([{ requests: 10, requestsPerSecond: 0 }]);
  });

  test("counts only a window when asked, without the edges that were silent in it", () => {
    const { store, clock } = newStore();
    const other = edge({ destination: workload("recommendation-v1") });
    store.add(...reportOf(edge(), other));
    clock.advance(30_000);
    store.add(...reportOf(edge()));
    const graph = buildGraph(store, { windowMs: 20_000 });
    expect(graph.edges).toMatchObject([{
      destination: "tutorial/preference",
      requests: 10,
      responses: { "200": 10 },
    }]);
    expect(graph.nodes.map(({ id }) => id)).toEqual(["tutorial/customer", "tutorial/preference"]);
  });

  test("does not depend on the order of reports, and loses no call", () => {
    const names = ["a", "b", "c"];
    const call = fc.record({
      from: fc.constantFrom(...names),
      to: fc.constantFrom(...names),
      count: fc.integer({ min: 1, max: 50 }),
    });
    fc.assert(fc.property(fc.array(call, { maxLength: 30 }), (calls) => {
      const graphOf = (list: typeof calls) => {
        const { store } = newStore();
        for (const { from, to, count } of list) {
          store.add(...reportOf(edge({
            source: workload(from),
            destination: workload(to),
            responses: [{ code: 200, flags: "-", count }],
          })));
        }
        return buildGraph(store);
      };
      const graph = graphOf(calls);
      expect(graphOf(calls.toReversed())).toEqual(graph);
      const sum = (list: readonly { requests: number }[]) =>
        list.reduce((total, { requests }) => total + requests, 0);
      expect(sum(graph.edges)).toBe(calls.reduce((total, { count }) => total + count, 0));
    }));
  });
});
