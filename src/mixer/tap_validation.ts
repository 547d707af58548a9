/** The strict check of what a proxy tells of its calls: texts in it are what clients wrote. */
import * as v from "valibot";
import { GRPC_STATUS_MAX } from "../model/report.ts";
import { TAPPED_CALLS_MAX, TAPPED_TEXT_LENGTH_MAX, type WorkloadTap } from "../model/tap.ts";
import { checked, count, key, name, REPORT_FLAGS_LENGTH_MAX } from "./report_validation.ts";

/** Characters of response code details: a policy's name and rule are the longest. */
const TAP_DETAILS_LENGTH_MAX = 1_024;

/** Characters of a path of a file. */
const FILE_LENGTH_MAX = 4_096;

const STATUS_MAX = 999;

const text = v.pipe(v.string(), v.maxLength(TAPPED_TEXT_LENGTH_MAX));
const duration = v.pipe(v.number(), v.finite(), v.minValue(0));
const position = v.pipe(v.number(), v.integer(), v.minValue(0));

const call = v.object({
  timeMs: v.pipe(v.number(), v.finite()),
  reporter: v.picklist(["source", "destination"]),
  source: key,
  destination: key,
  service: name,
  mtls: v.boolean(),
  protocol: v.picklist(["http", "grpc", "tcp"]),
  method: text,
  authority: text,
  path: text,
  status: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(STATUS_MAX)),
  grpcStatus: v.exactOptional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(GRPC_STATUS_MAX))),
  flags: v.pipe(v.string(), v.maxLength(REPORT_FLAGS_LENGTH_MAX)),
  details: v.pipe(v.string(), v.maxLength(TAP_DETAILS_LENGTH_MAX)),
  durationMs: duration,
  requestBytes: count,
  responseBytes: count,
  verdict: v.nullable(v.object({
    allowed: v.boolean(),
    policy: v.nullable(v.pipe(v.string(), v.maxLength(TAPPED_TEXT_LENGTH_MAX))),
    rule: v.nullable(position),
    file: v.nullable(v.pipe(v.string(), v.maxLength(FILE_LENGTH_MAX))),
    line: v.nullable(position),
  })),
});

const report = v.object({
  workload: key,
  calls: v.pipe(v.array(call), v.maxLength(TAPPED_CALLS_MAX)),
  omitted: count,
});

/** As validateReport(). */
export function validateTap(body: unknown): WorkloadTap {
  return checked(report, body);
}
