import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { encodeRequest, readStatus } from "../../src/sidecar/probe/grpc_check.ts";

const RUNS = Number(process.env["FUZZ_RUNS"] ?? 5_000);

describe("readStatus()", () => {
  test("any bytes give a whole number, or nothing, and never an error", () => {
    const framed = fc.uint8Array({ maxLength: 60 }).map((message) =>
      new Uint8Array([0, 0, 0, 0, message.length, ...message])
    );
    fc.assert(
      fc.property(fc.oneof(framed, fc.uint8Array({ maxLength: 60 })), (bytes) => {
        const status = readStatus(bytes);
        expect(status === undefined || (Number.isInteger(status) && status >= 0)).toBe(true);
      }),
      { numRuns: RUNS },
    );
  });
});

describe("encodeRequest()", () => {
  test("any name makes a message that can be stepped over", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 300 }), (name) => {
        expect(readStatus(encodeRequest(name))).toBe(0);
      }),
      { numRuns: RUNS },
    );
  });
});
