import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  REPORT_COUNT_MAX,
  REPORT_FLAGS_LENGTH_MAX,
  REPORT_NAME_LENGTH_MAX,
  REPORT_RESPONSES_MAX,
  ReportError,
  validateReport,
} from "../../../src/mixer/report_validation.ts";
import { RECORDED_CALLS_MAX, RECORDED_TEXT_LENGTH_MAX } from "../../../src/model/recorded_call.ts";
import { GRPC_STATUS_MAX, REPORT_EDGES_MAX } from "../../../src/model/report.ts";
import { SPIFFE_ID_LENGTH_MAX } from "../../../src/model/spiffe_id.ts";
import { recordedCall } from "../telemetry/recorded_call.ts";
import { durations, edge, workload } from "./reports.ts";

function refusal(body: unknown): string | undefined {
  try {
    validateReport(body);
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(ReportError);
    expect((error as ReportError).code).toBe("malformed");
    return (error as ReportError).message;
  }
}

function withEdge(overrides: object): unknown {
  return { edges: [{ ...edge(), ...overrides }] };
}

const CALL = recordedCall();

function withCalls(calls: readonly unknown[]): unknown {
  return { edges: [], calls: { workload: "shop/web", calls, omitted: 0 } };
}

describe("validateReport()", () => {
  test("returns a good report as it is", () => {
    const report = { edges: [edge(), edge({ reporter: "destination", protocol: "tcp", mtls: false })] };
    expect(validateReport(structuredClone(report))).toEqual(report);
    expect(validateReport({ edges: [] })).toEqual({ edges: [] });
    const responses = [{ code: 200, flags: "-", grpcStatus: 14, count: 1 }, {
      code: 0,
      flags: "DC",
      count: 1,
    }];
    const tcp = {
      edges: [edge({ protocol: "tcp", responses: [], opened: 1, receivedBytes: 2, sentBytes: 3 })],
    };
    expect(validateReport(structuredClone(tcp))).toEqual(tcp);
    const grpc = { edges: [edge({ protocol: "grpc", responses })] };
    expect(validateReport(structuredClone(grpc))).toEqual(grpc);
  });

  test("drops fields that a newer proxy sends", () => {
    expect(validateReport({ ...(withEdge({ later: 1 }) as object), later: true })).toEqual({
      edges: [edge()],
    });
  });

  test("takes a caller outside of the mesh", () => {
    const source = { key: "", namespace: "", name: "", principal: "", app: "", version: "" };
    expect(refusal(withEdge({ reporter: "destination", source }))).toBeUndefined();
  });

  test("takes what came to the own workload", () => {
    const calls = { workload: "shop/web", calls: [CALL], omitted: 2 };
    expect(validateReport({ edges: [], calls })).toEqual({ edges: [], calls });
  });

  const bad: [string, unknown, string][] = [
    ["calls to nobody", { edges: [], calls: { calls: [], omitted: 0 } }, "calls.workload"],
    ["too many calls", withCalls(new Array(RECORDED_CALLS_MAX + 1).fill(CALL)), "calls.calls"],
    ["a call of a wrong type", withCalls([7]), "calls.calls.0"],
    ["a path with an escape", withCalls([{ ...CALL, path: "/\x1b[m" }]), "calls.calls.0.path"],
    [
      "a path that is too long",
      withCalls([{ ...CALL, path: "/".repeat(RECORDED_TEXT_LENGTH_MAX + 1) }]),
      "calls.calls.0.path",
    ],
    ["an address that is none", withCalls([{ ...CALL, address: "here" }]), "calls.calls.0.address"],
    ["a caller that is no principal", withCalls([{ ...CALL, principal: "me" }]), "calls.calls.0.principal"],
    ["a port that is none", withCalls([{ ...CALL, port: 0 }]), "calls.calls.0.port"],
    ["less than no call", withCalls([{ ...CALL, allowed: -1 }]), "calls.calls.0.allowed"],
    ["no object", null, "report"],
    ["no edges", {}, "edges"],
    ["edges of a wrong type", { edges: {} }, "edges"],
    ["a part of a byte", withEdge({ sentBytes: 0.5 }), "edges.0.sentBytes"],
    ["less than no byte", withEdge({ receivedBytes: -1 }), "edges.0.receivedBytes"],
    ["a connection that is none", withEdge({ opened: null }), "edges.0.opened"],
    ["an edge of a wrong type", { edges: [7] }, "edges.0"],
    ["an unknown reporter", withEdge({ reporter: "me" }), "edges.0.reporter"],
    ["an unknown protocol", withEdge({ protocol: "udp" }), "edges.0.protocol"],
    ["text for a flag", withEdge({ mtls: "yes" }), "edges.0.mtls"],
    ["a missing workload", withEdge({ source: undefined }), "edges.0.source"],
    ["a name with a blank", withEdge({ source: { ...workload("a"), name: "a b" } }), "edges.0.source.name"],
    [
      "a name with an escape",
      withEdge({ source: { ...workload("a"), app: "\x1b[m" } }),
      "edges.0.source.app",
    ],
    [
      "a principal that is no SPIFFE ID",
      withEdge({ source: { ...workload("a"), principal: "root" } }),
      "edges.0.source.principal",
    ],
    [
      "a negative count",
      withEdge({ responses: [{ code: 200, flags: "-", count: -1 }] }),
      "edges.0.responses.0.count",
    ],
    [
      "a fraction",
      withEdge({ responses: [{ code: 200, flags: "-", count: 0.5 }] }),
      "edges.0.responses.0.count",
    ],
    [
      "a status too high",
      withEdge({ responses: [{ code: 1000, flags: "-", count: 1 }] }),
      "edges.0.responses.0.code",
    ],
    [
      "flags with markup",
      withEdge({ responses: [{ code: 1, flags: "<b>", count: 1 }] }),
      "edges.0.responses.0.flags",
    ],
    ["too few buckets", withEdge({ durations: durations({}).slice(1) }), "edges.0.durations"],
    ["too many buckets", withEdge({ durations: [...durations({}), 0] }), "edges.0.durations"],
    ["an infinite sum", withEdge({ durationSumMs: Infinity }), "edges.0.durationSumMs"],
    ["a sum that is no number", withEdge({ durationSumMs: NaN }), "edges.0.durationSumMs"],
  ];
  test.each(bad)("refuses %s", (_, body, path) => {
    expect(refusal(body)).toStartWith(`${path}: `);
  });

  const limits: [string, number, (size: number) => unknown][] = [
    ["edges", REPORT_EDGES_MAX, (size) => ({ edges: Array(size).fill(edge()) })],
    [
      "responses",
      REPORT_RESPONSES_MAX,
      (size) => withEdge({ responses: Array(size).fill({ code: 200, flags: "-", count: 1 }) }),
    ],
    [
      "a name",
      REPORT_NAME_LENGTH_MAX,
      (size) => withEdge({ source: { ...workload("a"), name: "n".repeat(size) } }),
    ],
    [
      "a key",
      2 * REPORT_NAME_LENGTH_MAX + 1,
      (size) => withEdge({ source: { ...workload("a"), key: "n".repeat(size) } }),
    ],
    [
      "a principal",
      SPIFFE_ID_LENGTH_MAX,
      (size) => {
        const prefix = "spiffe://td/ns/n/sa/";
        return withEdge({ source: { ...workload("a"), principal: prefix.padEnd(size, "a") } });
      },
    ],
    [
      "flags",
      REPORT_FLAGS_LENGTH_MAX,
      (size) => withEdge({ responses: [{ code: 0, flags: "U".repeat(size), count: 1 }] }),
    ],
    [
      "a gRPC status",
      GRPC_STATUS_MAX,
      (size) => withEdge({ responses: [{ code: 200, flags: "-", grpcStatus: size, count: 1 }] }),
    ],
    [
      "a count",
      REPORT_COUNT_MAX,
      (size) => withEdge({ responses: [{ code: 200, flags: "-", count: size }] }),
    ],
    ["a duration", REPORT_COUNT_MAX, (size) => withEdge({ durations: durations({ 0: size }) })],
    ["a sum", REPORT_COUNT_MAX, (size) => withEdge({ durationSumMs: size })],
  ];
  test.each(limits)("takes %s at the limit and refuses one more", (_, limit, body) => {
    expect(refusal(body(limit))).toBeUndefined();
    expect(refusal(body(limit + 1))).toBeDefined();
  });

  test("never throws anything but a ReportError", () => {
    fc.assert(fc.property(fc.jsonValue(), (value) => {
      refusal(value);
      refusal({ edges: value });
      refusal({ edges: [value] });
    }));
  });
});
