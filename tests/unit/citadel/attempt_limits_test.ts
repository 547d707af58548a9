import { describe, expect, test } from "bun:test";
import {
  AttemptLimits,
  ATTEMPTS_MAX,
  SOURCE_ATTEMPTS_MAX,
  SOURCES_MAX,
} from "../../../src/citadel/attempt_limits.ts";
import { ManualClock } from "../../../src/lib/clock.ts";

/** Takes until nothing is left; returns how often it got one. */
function exhaust(limits: AttemptLimits, source: string): number {
  for (let taken = 0;; taken++) if (!limits.take(source).allowed) return taken;
}

describe("AttemptLimits", () => {
  test("AttemptLimits lets a source try so often, then says when to come back", () => {
    const clock = new ManualClock();
    const limits = new AttemptLimits(clock);
    expect(exhaust(limits, "10.0.0.1")).toBe(SOURCE_ATTEMPTS_MAX);
    expect(limits.take("10.0.0.2").allowed).toBe(true);
    expect(limits.take("10.0.0.1")).toMatchObject({ allowed: false, retryAfterS: 1, isFirst: false });
    clock.advance(999);
    expect(limits.take("10.0.0.1")).toMatchObject({ allowed: false, retryAfterS: 1 });
    clock.advance(1);
    expect(limits.take("10.0.0.1").allowed).toBe(true);
    expect(limits.take("10.0.0.1")).toMatchObject({ allowed: false, isFirst: true });
  });

  test("AttemptLimits counts no attempt that is given back", () => {
    const limits = new AttemptLimits(new ManualClock());
    for (let i = 0; i < 10 * ATTEMPTS_MAX; i++) {
      const attempt = limits.take("10.0.0.1");
      if (!attempt.allowed) throw new Error(`refused after ${i}`);
      attempt.giveBack();
    }
    limits.take("10.0.0.1");
    const attempt = limits.take("10.0.0.1");
    if (attempt.allowed) attempt.giveBack();
    expect(exhaust(limits, "10.0.0.1")).toBe(SOURCE_ATTEMPTS_MAX - 1);
  });

  test("AttemptLimits has a limit for all sources together", () => {
    const clock = new ManualClock();
    const limits = new AttemptLimits(clock);
    for (let i = 0; i < ATTEMPTS_MAX; i++) {
      expect(limits.take(`10.0.${i >> 8}.${i & 255}`).allowed).toBe(true);
    }
    expect(limits.take("10.9.0.1")).toMatchObject({ allowed: false, retryAfterS: 1, isFirst: true });
    clock.advance(10);
    expect(limits.take("10.9.0.1").allowed).toBe(true);
  });

  test("AttemptLimits takes an IPv6 network of 64 bits as one source", () => {
    const limits = new AttemptLimits(new ManualClock());
    for (let i = 0; i < SOURCE_ATTEMPTS_MAX; i++) limits.take(`fd00:0:0:1::${i.toString(16)}`);
    expect(limits.take("fd00:0:0:1:8000::1").allowed).toBe(false);
    expect(limits.take("fd00:0:0:2::1").allowed).toBe(true);
  });

  test("AttemptLimits forgets who asked least lately, once there are too many", () => {
    // Time stands still: it would bring attempts back to whoever is remembered.
    const limits = new AttemptLimits(new ManualClock());
    const others = (count: number) => {
      for (let i = 0; i < count; i++) {
        const attempt = limits.take(`other ${i}`);
        if (!attempt.allowed) throw new Error(`refused other ${i}`);
        attempt.giveBack();
      }
    };
    expect(exhaust(limits, "first")).toBe(SOURCE_ATTEMPTS_MAX);
    for (let i = 0; i < 2; i++) {
      others(SOURCES_MAX - 1);
      expect(limits.take("first").allowed).toBe(false);
    }
    others(SOURCES_MAX);
    expect(limits.take("first").allowed).toBe(true);
  });
});
