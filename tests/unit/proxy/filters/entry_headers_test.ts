import { describe, expect, test } from "bun:test";
import { Prng } from "../../../../src/lib/prng.ts";
import { ensureEntryHeaders } from "../../../../src/proxy/filters/entry_headers.ts";
import { isTraceparent } from "../../../../src/telemetry/trace_context.ts";
import { requestHead } from "../request_head.ts";

const TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

function entered(headers: string[]): string[] {
  ensureEntryHeaders(requestHead({ headers }), new Prng(1));
  return headers;
}

describe("ensureEntryHeaders()", () => {
  test("ensureEntryHeaders() adds what is missing and leaves what is there", () => {
    for (
      const [given, added] of [
        [[], ["x-request-id", "x-forwarded-proto", "traceparent"]],
        [["x-request-id", "mine"], ["x-forwarded-proto", "traceparent"]],
        // Fields that begin alike are none of them.
        [["tracestate", "a=b", "te", "x", "x-real-ip", "192.0.2.1"], [
          "x-request-id",
          "x-forwarded-proto",
          "traceparent",
        ]],
        [["traceparent", TRACEPARENT, "x-forwarded-proto", "https"], ["x-request-id"]],
        [["traceparent", TRACEPARENT, "x-request-id", "", "x-forwarded-proto", "http"], []],
      ] as const
    ) {
      const headers = entered([...given]);
      expect(headers.slice(0, given.length)).toEqual([...given]);
      expect(headers.slice(given.length).filter((_, i) => i % 2 === 0)).toEqual([...added]);
    }
  });

  test("ensureEntryHeaders() says the scheme in which the client spoke", () => {
    const headers = entered([]);
    expect(headers[headers.indexOf("x-forwarded-proto") + 1]).toBe("http");
  });

  test("ensureEntryHeaders() replaces a traceparent that is none", () => {
    const headers = entered(["traceparent", "nonsense", "x-request-id", "mine"]);
    expect(headers).toHaveLength(6);
    expect(isTraceparent(headers[1] as string)).toBe(true);
  });
});
