import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { parseDuration } from "../../src/lib/duration.ts";
import { splitAuthority } from "../../src/proxy/cluster/authority_address.ts";
import { ExplainRequestError, readExplainRequest } from "../../src/proxy/explain/request.ts";
import { textOf } from "./texts.ts";

const RUNS = Number(process.env["FUZZ_RUNS"] ?? 5_000);

const text = textOf(
  "http",
  "https",
  "tcp",
  "://",
  "/",
  ":",
  "?",
  "#",
  "@",
  "[",
  "]",
  "a",
  "80",
  ".",
  "%",
  " ",
);

describe("what people type", () => {
  test("readExplainRequest() gives a request that the proxy can route, or an ExplainRequestError", () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.constant("GET"), fc.constant(null), text),
        text,
        fc.array(text, { maxLength: 3 }),
        (method, url, headers) => {
          try {
            const { head, scheme } = readExplainRequest(method, url, headers);
            if (scheme === "tcp") expect(splitAuthority(head.authority)).not.toBeNull();
            expect(head.authority).not.toBe("");
            expect(head.path[0]).toBe(scheme === "tcp" ? undefined : "/");
            expect(head.headers.join("")).not.toMatch(/[\r\n]/);
          } catch (error) {
            if (!(error instanceof ExplainRequestError)) throw error;
          }
        },
      ),
      { numRuns: RUNS },
    );
  });

  test("parseDuration() gives milliseconds or nothing", () => {
    const unit = fc.constantFrom("1", "0", ".", "ns", "us", "ms", "s", "m", "h", "-", " ");
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.array(unit).map((units) => units.join(""))), (typed) => {
        const ms = parseDuration(typed);
        expect(ms === undefined || (Number.isFinite(ms) && ms >= 0)).toBe(true);
      }),
      { numRuns: RUNS },
    );
  });
});
