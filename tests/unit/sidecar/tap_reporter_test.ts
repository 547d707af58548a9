import { describe, expect, test } from "bun:test";
import { ManualClock } from "../../../src/lib/clock.ts";
import { TAP_LEASE_MS } from "../../../src/model/tap.ts";
import { TAP_REPORT_MS, TapReporter } from "../../../src/sidecar/tap_reporter.ts";
import { Tap } from "../../../src/telemetry/tap.ts";
import { TAPPED } from "../telemetry/tapped.ts";

function build(
  post: () => Promise<{ status: number; body: unknown }> = async () => ({ status: 204, body: null }),
) {
  const clock = new ManualClock();
  const tap = new Tap(clock);
  const posted: unknown[] = [];
  const reporter = new TapReporter({
    clock,
    workload: "shop/web",
    client: {
      post: (path: string, body: unknown) => {
        posted.push([path, body]);
        return post();
      },
    } as never,
    plane: { tap, openTap: (leaseMs) => tap.open(leaseMs), collect: async () => {} },
  });
  const advance = async (ms: number) => {
    for (let passed = 0; passed < ms; passed += TAP_REPORT_MS) {
      clock.advance(TAP_REPORT_MS);
      for (let i = 0; i < 10; i++) await Promise.resolve();
    }
  };
  return { tap, posted, reporter, advance };
}

describe("TapReporter", () => {
  test("tells of calls while somebody watches, and of nothing when there were none", async () => {
    const { tap, posted, reporter, advance } = build();
    reporter.open(TAP_LEASE_MS);
    await advance(TAP_REPORT_MS);
    expect(posted).toEqual([]);
    tap.record(TAPPED);
    await advance(TAP_REPORT_MS);
    expect(posted).toEqual([["/v1/tap", { workload: "shop/web", calls: [TAPPED], omitted: 0 }]]);
  });

  test("ends with the lease, which is never longer than it should be, and begins anew", async () => {
    const { tap, posted, reporter, advance } = build();
    reporter.open(1e9);
    await advance(TAP_LEASE_MS + TAP_REPORT_MS);
    expect(tap.active).toBe(false);
    reporter.open(TAP_LEASE_MS);
    tap.record(TAPPED);
    await advance(TAP_REPORT_MS);
    expect(posted).toHaveLength(1);
  });

  test("does without what cannot be told", async () => {
    const { tap, posted, reporter, advance } = build(() => Promise.reject(new Error("away")));
    reporter.open(TAP_LEASE_MS);
    for (let i = 0; i < 2; i++) {
      tap.record(TAPPED);
      await advance(TAP_REPORT_MS);
    }
    expect(posted).toHaveLength(2);
  });
});
