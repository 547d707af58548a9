import { describe, expect, test } from "bun:test";
import { Prng, type Random } from "../../../src/lib/prng.ts";
import { isTraceparent, newRequestId, newTraceparent } from "../../../src/telemetry/trace_context.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const SPAN = "b7ad6b7169203331";

/** The same number for ever. */
function constant(value: number): Random {
  return { uint32: () => value, float: () => 0, below: () => 0 };
}

describe("isTraceparent()", () => {
  test.each([
    `00-${TRACE}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}-ff`,
    `01-${TRACE}-${SPAN}-00`,
    `cc-${TRACE}-${SPAN}-01-more`,
  ])(
    "isTraceparent() takes %p",
    (value) => expect(isTraceparent(value)).toBe(true),
  );

  test.each([
    "",
    `ff-${TRACE}-${SPAN}-01`,
    `00-${"0".repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${"0".repeat(16)}-01`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}-1`,
    `00-${TRACE}-${SPAN}`,
    `00-${TRACE}-${SPAN}-01-more`,
    `cc-${TRACE}-${SPAN}-01.more`,
    `00-${TRACE}-${SPAN}-01 `,
    `0-${TRACE}-${SPAN}-01`,
    `00_${TRACE}_${SPAN}_01`,
    `00-${TRACE}-${SPAN}-01\n`,
  ])("isTraceparent() refuses %p", (value) => expect(isTraceparent(value)).toBe(false));
});

describe("newTraceparent()", () => {
  test("newTraceparent() is valid, differs each time, and is not sampled", () => {
    const random = new Prng(1);
    const all = Array.from({ length: 1_000 }, () => newTraceparent(random));
    expect(all.every(isTraceparent)).toBe(true);
    expect(all.every((one) => one.endsWith("-00"))).toBe(true);
    expect(new Set(all).size).toBe(1_000);
  });

  test("newTraceparent() never gives the ids that are forbidden", () => {
    expect(isTraceparent(newTraceparent(constant(0)))).toBe(true);
  });
});

describe("newRequestId()", () => {
  test("newRequestId() is a version 4 UUID whatever the dice say", () => {
    const uuid4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
    for (const value of [0, 0xffffffff, 0x80000000, 0x12345678]) {
      expect(newRequestId(constant(value))).toMatch(uuid4);
    }
    const random = new Prng(2);
    const all = Array.from({ length: 1_000 }, () => newRequestId(random));
    for (const id of all) expect(id).toMatch(uuid4);
    expect(new Set(all).size).toBe(1_000);
  });
});
