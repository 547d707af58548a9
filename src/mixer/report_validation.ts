/** The strict check of a telemetry report before anything of it is believed: a workload may be broken or hostile. */
import { isPort } from "../model/ports.ts";
import * as v from "valibot";
import {
  DURATION_BUCKETS_MS,
  GRPC_STATUS_MAX,
  REPORT_EDGES_MAX,
  type TelemetryReport,
} from "../model/report.ts";
import { parseIp } from "../lib/ip.ts";
import { RECORDED_CALLS_MAX, RECORDED_TEXT_LENGTH_MAX } from "../model/recorded_call.ts";
import { parseSpiffeId, SPIFFE_ID_LENGTH_MAX } from "../model/spiffe_id.ts";

/** The longest body of a report that the control plane should read, in bytes. */
export const REPORT_BYTES_MAX = 8 * 1024 * 1024;

/** Endings (status, flags, gRPC status) in one edge of a report. */
export const REPORT_RESPONSES_MAX = 256;

/** Characters of a name: what DNS allows a host name. */
export const REPORT_NAME_LENGTH_MAX = 253;

/** Characters of all response flags of one call: Envoy's are two to five letters, joined by commas. */
export const REPORT_FLAGS_LENGTH_MAX = 64;

/** Calls, milliseconds, and bytes, that one number of a report may stand for: far above any real one, far below 2^53. */
export const REPORT_COUNT_MAX = 1_000_000_000_000;

const STATUS_MAX = 999;

/** Why a report was refused as a whole. */
export class ReportError extends Error {
  override readonly name = "ReportError";
  readonly code = "malformed";
}

export const name = v.pipe(
  v.string(),
  v.maxLength(REPORT_NAME_LENGTH_MAX),
  // Names end up in terminals, logs and pages.
  v.regex(/^[\x21-\x7e]*$/, "must be printable ASCII without blanks"),
);
const principal = v.pipe(
  v.string(),
  v.maxLength(SPIFFE_ID_LENGTH_MAX),
  v.check((text) => text === "" || parseSpiffeId(text) !== undefined, "must be a SPIFFE ID or empty"),
);
export const count = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(REPORT_COUNT_MAX));
// `NAMESPACE/NAME`, so as long as both.
export const key = v.pipe(v.string(), v.maxLength(2 * REPORT_NAME_LENGTH_MAX + 1), v.regex(/^[\x21-\x7e]*$/));

const workload = v.object({ key, namespace: name, name, principal, app: name, version: name });

// They end up in terminals, logs and files of policies.
const text = v.pipe(v.string(), v.maxLength(RECORDED_TEXT_LENGTH_MAX), v.regex(/^[\x21-\x7e]*$/));

const recordedCall = v.object({
  principal: v.pipe(
    v.string(),
    v.check(
      (id) => id === "" || parseSpiffeId(`spiffe://${id}`) !== undefined,
      "must be a principal or empty",
    ),
  ),
  caller: key,
  address: v.pipe(v.string(), v.check((address) => parseIp(address) !== null, "must be an IP address")),
  port: v.pipe(v.number(), v.check((port) => isPort(port), "must be a port")),
  protocol: v.picklist(["http", "tcp"]),
  method: text,
  authority: text,
  path: text,
  allowed: count,
  refused: count,
});

// Unknown fields are dropped, not refused: a proxy may be one version ahead of its control plane.
const report = v.object({
  edges: v.pipe(
    v.array(v.object({
      reporter: v.picklist(["source", "destination"]),
      source: workload,
      destination: workload,
      service: v.object({ host: name, name, namespace: name }),
      protocol: v.picklist(["http", "grpc", "tcp"]),
      mtls: v.boolean(),
      responses: v.pipe(
        v.array(v.object({
          code: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(STATUS_MAX)),
          flags: v.pipe(v.string(), v.maxLength(REPORT_FLAGS_LENGTH_MAX), v.regex(/^[A-Za-z,_-]*$/)),
          grpcStatus: v.exactOptional(
            v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(GRPC_STATUS_MAX)),
          ),
          count,
        })),
        v.maxLength(REPORT_RESPONSES_MAX),
      ),
      durations: v.pipe(v.array(count), v.length(DURATION_BUCKETS_MS.length + 1)),
      receivedBytes: v.exactOptional(count),
      sentBytes: v.exactOptional(count),
      opened: v.exactOptional(count),
      durationSumMs: v.pipe(v.number(), v.finite(), v.minValue(0), v.maxValue(REPORT_COUNT_MAX)),
    })),
    v.maxLength(REPORT_EDGES_MAX),
  ),
  calls: v.exactOptional(v.object({
    workload: key,
    calls: v.pipe(v.array(recordedCall), v.maxLength(RECORDED_CALLS_MAX)),
    omitted: count,
  })),
});

/** The report in a parsed JSON body, without unknown fields. Throws ReportError `malformed`, naming the first bad field. */
export function validateReport(body: unknown): TelemetryReport {
  const edges = (body as { edges?: unknown } | null)?.edges;
  // Before valibot looks at each of them.
  if (Array.isArray(edges) && edges.length > REPORT_EDGES_MAX) {
    throw new ReportError(`edges: has ${edges.length} items, more than ${REPORT_EDGES_MAX}`);
  }
  return checked(report, body);
}

/** Throws ReportError `malformed`, naming the first bad field. */
export function checked<Output>(schema: v.GenericSchema<unknown, Output>, body: unknown): Output {
  const result = v.safeParse(schema, body, { abortEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw new ReportError(`${v.getDotPath(issue) ?? "report"}: ${issue.message}`);
}
