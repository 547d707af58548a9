import { describe, expect, test } from "bun:test";
import { DURATION_BUCKETS_MS, withoutDetail } from "../../../src/model/report.ts";
import {
  Edge,
  type EdgeLabels,
  EdgeRegistry,
  EDGES_MAX,
  SERIES_PER_EDGE_MAX,
  UNKNOWN_WORKLOAD,
} from "../../../src/telemetry/edge_metrics.ts";
import { GRPC_STATUS_NONE, NOT_GRPC, parseGrpcStatus } from "../../../src/telemetry/grpc_status.ts";

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
    const filled = [...series?.durations.counts ?? []].flatMap((count, i) => count === 0 ? [] : [[i, count]]);
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

  test("Edge.takeReports() gives differences, and nothing when nothing happened", () => {
    const edge = new Edge(labels("a"));
    expect(edge.takeReports()).toEqual([]);
    edge.record(200, "-", 2);
    edge.record(503, "UF", 7);
    const [first] = edge.takeReports();
    expect(first).toMatchObject({
      reporter: "source",
      protocol: "http",
      mtls: true,
      responses: [{ code: 200, flags: "-", count: 1 }, { code: 503, flags: "UF", count: 1 }],
      durationSumMs: 9,
    });
    expect(first?.durations.reduce((sum, count) => sum + count, 0)).toBe(2);
    expect(edge.takeReports()).toEqual([]);
    edge.record(200, "-", 3);
    const [second] = edge.takeReports();
    expect(second).toMatchObject({ responses: [{ code: 200, flags: "-", count: 1 }], durationSumMs: 3 });
    expect(second?.durations.reduce((sum, count) => sum + count, 0)).toBe(1);
  });
});

describe("TCP", () => {
  test("Edge.takeReports() tells of a connection while it stands, and of its end under its flags", () => {
    const edge = new Edge(labels("a"));
    const series = edge.openConnection();
    series.receivedBytes += 5;
    expect(edge.takeReports()).toMatchObject([
      { protocol: "tcp", opened: 1, receivedBytes: 5, sentBytes: 0, responses: [{ flags: "-", count: 0 }] },
    ]);
    series.sentBytes += 9;
    expect(edge.takeReports()).toMatchObject([{ opened: 0, receivedBytes: 0, sentBytes: 9 }]);
    edge.closeConnection("UC");
    expect(edge.takeReports()).toMatchObject([
      { opened: 0, receivedBytes: 0, sentBytes: 0, responses: [{ code: 0, flags: "UC", count: 1 }] },
    ]);
    expect(edge.takeReports()).toEqual([]);
  });

  test("withoutDetail() leaves what an older control plane understands, and nothing of what has only messages", () => {
    const edge = new Edge(labels("a"));
    edge.openConnection().sentBytes += 9;
    edge.requestMessages += 3;
    expect(edge.takeReports().map(withoutDetail)).toMatchObject([null, {
      protocol: "tcp",
      responses: [],
      durationSumMs: 0,
      opened: 1,
      sentBytes: 9,
    }]);
    edge.record(200, "-", 1, 0, 2, 3);
    const [report] = edge.takeReports().map(withoutDetail);
    expect(report?.responses).toEqual([{ code: 200, flags: "-", grpcStatus: 0, count: 1 }]);
    expect(report).toMatchObject({ receivedBytes: 2, sentBytes: 3, durationSumMs: 1 });
  });
});

describe("gRPC", () => {
  test("Edge.record() tells calls apart by their gRPC status, and from plain HTTP", () => {
    const edge = new Edge(labels("a"));
    for (const status of [0, 14, NOT_GRPC, 0, GRPC_STATUS_NONE]) edge.record(200, "-", 1, status);
    expect(edge.series.map(({ protocol, grpcStatus, count }) => [protocol, grpcStatus, count])).toEqual([
      ["grpc", 0, 2],
      ["grpc", 14, 1],
      ["http", NOT_GRPC, 1],
      ["grpc", GRPC_STATUS_NONE, 1],
    ]);
  });

  test("Edge.takeReports() reports gRPC beside plain HTTP, each with its own durations", () => {
    const edge = new Edge(labels("a"));
    edge.record(200, "-", 2);
    edge.record(200, "-", 30, 0);
    edge.record(200, "-", 40, 14);
    edge.record(0, "DC", 1, GRPC_STATUS_NONE);
    expect(edge.takeReports()).toMatchObject([
      { protocol: "http", responses: [{ code: 200, flags: "-", count: 1 }], durationSumMs: 2 },
      {
        protocol: "grpc",
        responses: [
          { code: 200, flags: "-", grpcStatus: 0, count: 1 },
          { code: 200, flags: "-", grpcStatus: 14, count: 1 },
          { code: 0, flags: "DC", count: 1 },
        ],
        durationSumMs: 71,
      },
    ]);
    edge.record(200, "-", 5, 0);
    const [report, ...others] = edge.takeReports();
    expect(others).toEqual([]);
    expect(report).toMatchObject({ protocol: "grpc", durationSumMs: 5 });
    expect(report?.durations.reduce((sum, count) => sum + count, 0)).toBe(1);
  });

  test("parseGrpcStatus() takes what gRPC does not define for UNKNOWN", () => {
    expect(["0", "14", "16", "17", "99", "100", "", "x", "-1", " 1"].map(parseGrpcStatus)).toEqual([
      ...[0, 14, 16],
      ...[2, 2, 2, 2, 2, 2, 2],
    ]);
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
