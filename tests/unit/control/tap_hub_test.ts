import { describe, expect, test } from "bun:test";
import { TAP_WATCHERS_MAX, TapHub } from "../../../src/control/tap_hub.ts";
import { ManualClock } from "../../../src/lib/clock.ts";
import { TAP_LEASE_MS, TAP_RENEW_MS, type WorkloadTap } from "../../../src/model/tap.ts";
import { TAPPED } from "../telemetry/tapped.ts";

function build() {
  const clock = new ManualClock();
  const asked: (string | null)[] = [];
  const hub = new TapHub({
    clock,
    ask: (workload, leaseMs) => {
      expect(leaseMs).toBe(TAP_LEASE_MS);
      asked.push(workload);
    },
  });
  return { clock, asked, hub };
}

describe("TapHub", () => {
  test("asks the proxies at once, and again as long as somebody watches", () => {
    const { clock, asked, hub } = build();
    const stop = hub.watch({ workload: "shop/web", onReport() {} });
    clock.advance(TAP_RENEW_MS);
    clock.advance(TAP_RENEW_MS);
    expect(asked).toEqual(["shop/web", "shop/web", "shop/web"]);
    stop?.();
    clock.advance(10 * TAP_RENEW_MS);
    expect(asked).toHaveLength(3);
    expect(TAP_RENEW_MS).toBeLessThan(TAP_LEASE_MS);
  });

  test("asks everybody once where somebody watches all", () => {
    const { clock, asked, hub } = build();
    for (const workload of ["shop/web", null, "shop/api"]) hub.watch({ workload, onReport() {} });
    asked.length = 0;
    clock.advance(TAP_RENEW_MS);
    expect(asked).toEqual([null]);
  });

  test("hands a report to those who watch the workload, or all", () => {
    const { hub } = build();
    const heard: string[] = [];
    for (const workload of ["shop/web", "shop/api", null]) {
      hub.watch({ workload, onReport: (report) => heard.push(`${workload} ${report.workload}`) });
    }
    const report: WorkloadTap = { workload: "shop/web", calls: [TAPPED], omitted: 0 };
    hub.add(report);
    expect(heard).toEqual(["shop/web shop/web", "null shop/web"]);
  });

  test("refuses one watcher too many, and takes one again when another has gone", () => {
    const { hub } = build();
    const stops = Array.from(
      { length: TAP_WATCHERS_MAX },
      () => hub.watch({ workload: null, onReport() {} }),
    );
    expect(hub.watch({ workload: null, onReport() {} })).toBeNull();
    stops[0]?.();
    expect(hub.watch({ workload: null, onReport() {} })).not.toBeNull();
  });
});
