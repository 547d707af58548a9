import { describe, expect, test } from "bun:test";
import { ReportError } from "../../../src/mixer/report_validation.ts";
import { validateTap } from "../../../src/mixer/tap_validation.ts";
import { TAPPED_CALLS_MAX, TAPPED_TEXT_LENGTH_MAX } from "../../../src/model/tap.ts";
import { TAPPED } from "../telemetry/tapped.ts";

const REPORT = {
  workload: "shop/web",
  calls: [TAPPED, { ...TAPPED, grpcStatus: 16, verdict: null }],
  omitted: 1,
};

describe("validateTap()", () => {
  test("returns a good report as it is, without fields of a newer proxy", () => {
    expect(validateTap({ ...REPORT, later: 1 })).toEqual(REPORT);
  });

  test("takes whatever a client wrote, up to its length", () => {
    const call = { ...TAPPED, path: "\u001b[31m".padEnd(TAPPED_TEXT_LENGTH_MAX, "x") };
    expect(validateTap({ ...REPORT, calls: [call] }).calls).toEqual([call]);
  });

  const bad: [string, unknown][] = [
    ["no object", null],
    ["a workload with a blank", { ...REPORT, workload: "shop/ web" }],
    ["too many calls", { ...REPORT, calls: new Array(TAPPED_CALLS_MAX + 1).fill(TAPPED) }],
    ...Object.entries({
      path: "x".repeat(TAPPED_TEXT_LENGTH_MAX + 1),
      reporter: "me",
      source: 7,
      status: 1_000,
      grpcStatus: 17,
      durationMs: -1,
      requestBytes: 0.5,
      timeMs: null,
      verdict: { allowed: "yes" },
    }).map((
      [field, value],
    ): [string, unknown] => [field, { ...REPORT, calls: [{ ...TAPPED, [field]: value }] }]),
  ];
  test.each(bad)("refuses %s", (_, body) => {
    expect(() => validateTap(body)).toThrow(ReportError);
  });
});
