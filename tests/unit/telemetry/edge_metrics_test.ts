import { describe, expect, test } from "bun:test";
import { DURATION_BUCKETS_MS } from "../../../src/model/report.ts";
import {
  Edge,
  type EdgeLabels,
  EdgeRegistry,
  EDGES_MAX,
  SERIES_PER_EDGE_MAX,
  UNKNOWN_WORKLOAD,
} from "../../../src/telemetry/edge_metrics.ts";

function labels(name: string, more: Partial<EdgeLabels> = {}): EdgeLabels {
  const workload = { ...UNKNOWN_WORKLOAD, name };
  const service = { host: "shop", name: "shop", namespace: "ns" };
  return {
    reporter: "source",
    source: workload,
    destination: UNKNOWN_WORKLOAD,
    service,
    mtls: true,
    ...more,
  };
}

describe("Edge", () => {
  test("Edge.record() counts by code and flags", () => {
    const edge = new Edge(labels("a"));
    for (const [code, flags] of [[200, "-"], [503, "UF"], [200, "-"], [503, "UH"], [200, "-"]] as const) {
      edge.record(code, flags, 1);
    }
    expect(edge.series.map(({ code, flags, count }) => [code, flags, count])).toEqual([
      [200, "-", 3],
      [503, "UF", 1],
      [503, "UH", 1],
    ]);
  });

  test("Edge.record() puts a duration into the first bucket that is not below it", () => {
    const edge = new Edge(labels("a"));
    const durations = [0, 0.5, 0.500001, 1, 3_600_000, 3_600_001, 1e12];
    for (const ms of durations) edge.record(200, "-", ms);
    const [series] = edge.series;
    const filled = [...series?.buckets ?? []].flatMap((count, i) => count === 0 ? [] : [[i, count]]);
    const last = DURATION_BUCKETS_MS.length;
    expect(filled).toEqual([[0, 2], [1, 2], [last - 1, 1], [last, 2]]);
  });

  test("Edge tells so many series apart, and counts further ones as one", () => {
    const edge = new Edge(labels("a"));
    for (let code = 1; code <= SERIES_PER_EDGE_MAX; code++) edge.record(code, "-", 1);
    expect(edge.series).toHaveLength(SERIES_PER_EDGE_MAX);
    edge.record(900, "-", 1);
    edge.record(901, "UF", 1);
    edge.record(1, "-", 1);
    expect(edge.series).toHaveLength(SERIES_PER_EDGE_MAX + 1);
    expect(edge.series.at(-1)).toMatchObject({ code: 0, count: 2 });
    expect(edge.series[0]?.count).toBe(2);
  });

  test("Edge.takeReport() gives differences, and null when nothing happened", () => {
    const edge = new Edge(labels("a"));
    expect(edge.takeReport()).toBeNull();
    edge.record(200, "-", 2);
    edge.record(503, "UF", 7);
    const first = edge.takeReport();
    expect(first).toMatchObject({
      reporter: "source",
      protocol: "http",
      mtls: true,
      responses: [{ code: 200, flags: "-", count: 1 }, { code: 503, flags: "UF", count: 1 }],
      durationSumMs: 9,
    });
    expect(first?.durations.reduce((sum, count) => sum + count, 0)).toBe(2);
    expect(edge.takeReport()).toBeNull();
    edge.record(200, "-", 3);
    const second = edge.takeReport();
    expect(second).toMatchObject({ responses: [{ code: 200, flags: "-", count: 1 }], durationSumMs: 3 });
    expect(second?.durations.reduce((sum, count) => sum + count, 0)).toBe(1);
  });
});

describe("EdgeRegistry", () => {
  test("EdgeRegistry.edge() gives the same edge for the same labels, and another for any other", () => {
    const registry = new EdgeRegistry();
    const edge = registry.edge(labels("a"));
    expect(registry.edge(labels("a"))).toBe(edge);
    for (
      const other of [labels("b"), labels("a", { reporter: "destination" }), labels("a", { mtls: false })]
    ) {
      expect(registry.edge(other)).not.toBe(edge);
    }
  });

  test("EdgeRegistry holds so many edges, and gives one named overflow for each reporter above that", () => {
    const registry = new EdgeRegistry();
    for (let i = 0; i < EDGES_MAX; i++) registry.edge(labels(String(i)));
    expect(registry.edge(labels("0")).labels.source.name).toBe("0");
    const overflow = registry.edge(labels("more"));
    expect(overflow.labels.service.name).toBe("overflow");
    expect(registry.edge(labels("still more"))).toBe(overflow);
    expect(registry.edge(labels("more", { reporter: "destination" })).labels.reporter).toBe("destination");
    expect([...registry.edges()]).toHaveLength(EDGES_MAX + 2);
  });

  test("EdgeRegistry.takeReport() tells of edges on which something happened", () => {
    const registry = new EdgeRegistry();
    registry.edge(labels("quiet"));
    registry.edge(labels("busy")).record(200, "-", 1);
    expect(registry.takeReport().map(({ source }) => source.name)).toEqual(["busy"]);
    expect(registry.takeReport()).toEqual([]);
  });
});
