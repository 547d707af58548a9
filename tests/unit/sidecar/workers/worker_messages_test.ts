import { describe, expect, test } from "bun:test";
import { NO_REFUSALS } from "../../../../src/sidecar/workers/refusal_sums.ts";
import { NOTHING_COUNTED, readFromWorker } from "../../../../src/sidecar/workers/worker_messages.ts";
import { NOTHING_TAPPED } from "../../../../src/telemetry/tap.ts";
import { CallRecorder } from "../../../../src/telemetry/call_recorder.ts";
import { EdgeRegistry, UNKNOWN_WORKLOAD } from "../../../../src/telemetry/edge_metrics.ts";

function counts() {
  const registry = new EdgeRegistry();
  registry.edge({
    reporter: "destination",
    source: UNKNOWN_WORKLOAD,
    destination: UNKNOWN_WORKLOAD,
    service: { host: "shop", name: "shop", namespace: "ns" },
    mtls: true,
  }).record(200, "-", 1.5);
  const calls = new CallRecorder();
  calls.caller({ principal: "", caller: "unknown", address: "10.0.0.1", port: 80 }).recordConnection(true);
  return {
    ...NOTHING_COUNTED,
    edges: registry.takeReport(),
    calls: calls.takeReport(),
    connections: 1,
    shutPorts: [{ port: 80, reason: "it is taken" }],
  };
}

describe("readFromWorker()", () => {
  test("takes what a worker says", () => {
    const messages = [
      { type: "hello" },
      { type: "done", id: 1 },
      { type: "failed", reason: "because" },
      { type: "counts", id: 2, counts: counts() },
    ];
    for (const message of messages) {
      expect(readFromWorker(JSON.parse(JSON.stringify(message)))).toEqual(message as never);
    }
  });

  test("takes nothing that would spoil a counter", () => {
    const good = counts();
    const [edge] = good.edges;
    const response = edge?.responses[0];
    const bad = [
      null,
      7,
      { type: "sing" },
      { type: "done" },
      { type: "failed" },
      { type: "counts", id: 1 },
      { type: "counts", counts: good },
      ...[
        { ...good, connections: null },
        { ...good, connections: -1 },
        { ...good, refusals: { ...NO_REFUSALS, requests: "1" } },
        { ...good, refusals: { ...NO_REFUSALS, upstream: null } },
        { ...good, refusals: { ...NO_REFUSALS, upstream: { connecting: null, descriptors: 0 } } },
        { ...good, tapped: null },
        { ...good, tapped: { ...NOTHING_TAPPED, omitted: -1 } },
        { ...good, calls: null },
        { ...good, calls: { ...good.calls, calls: {} } },
        { ...good, calls: { ...good.calls, omitted: null } },
        { ...good, edges: {} },
        { ...good, edges: [null] },
        { ...good, edges: [{ ...edge, reporter: "nobody" }] },
        { ...good, edges: [{ ...edge, source: null }] },
        { ...good, edges: [{ ...edge, responses: null }] },
        { ...good, edges: [{ ...edge, responses: [{ ...response, count: null }] }] },
        { ...good, edges: [{ ...edge, durations: [1, null] }] },
        { ...good, edges: [{ ...edge, responses: [{ ...response, detail: { anything: -1 } }] }] },
      ].map((one) => ({ type: "counts", id: 1, counts: one })),
    ];
    for (const message of bad) expect(() => readFromWorker(message)).toThrow(TypeError);
  });
});
