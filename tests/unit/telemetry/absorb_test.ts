import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { EdgeReport } from "../../../src/model/report.ts";
import { type Edge, EdgeRegistry, EDGES_MAX, UNKNOWN_WORKLOAD } from "../../../src/telemetry/edge_metrics.ts";
import { GRPC_STATUS_NONE, NOT_GRPC } from "../../../src/telemetry/grpc_status.ts";
import { prometheusText } from "../../../src/telemetry/prometheus_text.ts";

function edgeIn(registry: EdgeRegistry, name: string): Edge {
  const source = { ...UNKNOWN_WORKLOAD, name };
  const service = { host: "shop", name: "shop", namespace: "ns" };
  return registry.edge({ reporter: "source", source, destination: UNKNOWN_WORKLOAD, service, mtls: true });
}

/** As a message between processes: nothing but what JSON carries. */
function carried(reports: readonly EdgeReport[]): EdgeReport[] {
  return JSON.parse(JSON.stringify(reports)) as EdgeReport[];
}

/** The order in which edges and endings came first is of no meaning. */
function exposition(registry: EdgeRegistry): string[] {
  return prometheusText(registry.edges(), []).split("\n").sort();
}

function sorted(reports: readonly EdgeReport[]): string[] {
  return reports.map((report) => {
    const responses = report.responses.map((one) => JSON.stringify(one)).sort();
    return JSON.stringify({ ...report, responses });
  }).sort();
}

/** Something that a proxy counts. */
type Act = (edge: Edge) => void;

// Whole numbers, whose sums do not depend on their order.
const bytes = fc.nat(5_000_000);
const flags = fc.constantFrom("-", "UF", "UF,URX");
const act: fc.Arbitrary<Act> = fc.oneof(
  fc.record({
    code: fc.constantFrom(0, 200, 503),
    flags,
    durationMs: fc.nat(4_000_000),
    grpcStatus: fc.constantFrom(NOT_GRPC, GRPC_STATUS_NONE, 0, 14),
    requestBytes: bytes,
    responseBytes: bytes,
  }).map(({ code, flags, durationMs, grpcStatus, requestBytes, responseBytes }) => (edge: Edge) =>
    edge.record(code, flags, durationMs, grpcStatus, requestBytes, responseBytes)
  ),
  fc.record({ flags, received: bytes, sent: bytes }).map(({ flags, received, sent }) => (edge: Edge) => {
    const series = edge.openConnection(flags);
    series.receivedBytes += received;
    series.sentBytes += sent;
  }),
  flags.map((ending) => (edge: Edge) => edge.closeConnection(ending)),
  fc.nat(9).map((messages) => (edge: Edge) => {
    edge.requestMessages += messages;
    edge.responseMessages += 9 - messages;
  }),
);
const recording = fc.record({
  registry: fc.nat(3),
  edge: fc.constantFrom("a", "b", "c"),
  act,
  /** Reports are taken, and absorbed, after this one. */
  told: fc.boolean(),
});

describe("EdgeRegistry.absorb()", () => {
  test("EdgeRegistry.absorb() makes of any split of recordings what one registry would have made of all", () => {
    fc.assert(fc.property(fc.array(recording, { maxLength: 60 }), (recordings) => {
      const one = new EdgeRegistry();
      const merged = new EdgeRegistry();
      const parts = Array.from({ length: 4 }, () => new EdgeRegistry());
      const tell = () => {
        // The last first: the order does not matter.
        for (const part of parts.toReversed()) {
          for (const report of carried(part.takeReport())) merged.absorb(report);
        }
        expect(sorted(merged.takeReport())).toEqual(sorted(one.takeReport()));
      };
      for (const { registry, edge, act, told } of recordings) {
        for (const into of [one, parts[registry] as EdgeRegistry]) act(edgeIn(into, edge));
        if (told) tell();
      }
      tell();
      expect(exposition(merged)).toEqual(exposition(one));
    }));
  });

  test("EdgeRegistry.absorb() adds to what was recorded here", () => {
    const [here, there] = [new EdgeRegistry(), new EdgeRegistry()];
    edgeIn(here, "a").record(200, "-", 1);
    edgeIn(there, "a").record(200, "-", 2);
    edgeIn(there, "a").record(503, "UF", 4);
    for (const report of there.takeReport()) here.absorb(report);
    expect(here.takeReport()).toMatchObject([
      {
        responses: [{ code: 200, count: 2 }, { code: 503, flags: "UF", count: 1 }],
        durationSumMs: 7,
      },
    ]);
    expect(there.takeReport()).toEqual([]);
  });

  test("EdgeRegistry.absorb() counts what another process had no room for where it has none itself", () => {
    const [here, there] = [new EdgeRegistry(), new EdgeRegistry()];
    for (const registry of [here, there]) {
      for (let i = 0; i < EDGES_MAX; i++) edgeIn(registry, String(i));
      edgeIn(registry, "more").record(200, "-", 1);
    }
    for (const report of carried(there.takeReport())) here.absorb(report);
    const overflow = [...here.edges()].filter(({ labels }) => labels.service.name === "overflow");
    expect(overflow.map(({ series }) => series[0]?.count)).toEqual([2]);
  });

  test("EdgeRegistry.absorb() throws on a report that was made for the control plane", () => {
    const registry = new EdgeRegistry();
    edgeIn(registry, "a").record(200, "-", 1);
    const [report] = registry.takeReport() as [EdgeReport];
    const responses = report.responses.map(({ detail: _, ...response }) => response);
    expect(() => registry.absorb({ ...report, responses })).toThrow(TypeError);
  });
});
