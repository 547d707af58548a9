import { describe, expect, test } from "bun:test";
import { ManualClock } from "../../../src/lib/clock.ts";
import { LimitedWarnings, WARNING_INTERVAL_MS } from "../../../src/telemetry/limited_warnings.ts";

describe("LimitedWarnings", () => {
  test("LimitedWarnings says one of a kind in its time, and how many it did not say", () => {
    const clock = new ManualClock();
    const said: string[] = [];
    const warnings = new LimitedWarnings<"a" | "b">(clock, (message) => void said.push(message));
    for (let i = 0; i < 4; i++) warnings.say("a", `a${i}`);
    warnings.say("b", "b");
    expect(said).toEqual(["a0", "b"]);
    clock.advance(WARNING_INTERVAL_MS - 1);
    warnings.say("a", "a4");
    expect(said).toHaveLength(2);
    clock.advance(1);
    warnings.say("a", "a5");
    warnings.say("b", "b1");
    expect(said.slice(2)).toEqual(["a5 (and 4 more like it)", "b1"]);
  });
});
