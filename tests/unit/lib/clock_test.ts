import { describe, expect, test } from "bun:test";
import { systemClock } from "../../../src/lib/clock.ts";

const DAY_MS = 24 * 3_600_000;

describe("systemClock", () => {
  test("systemClock.after() waits for longer than a timer of the runtime can", async () => {
    const calls: string[] = [];
    const cancel = systemClock.after(45 * DAY_MS, () => calls.push("45 days"));
    await new Promise<void>((resolve) => systemClock.after(20, resolve));
    expect(calls).toEqual([]);
    cancel();
  });
});
