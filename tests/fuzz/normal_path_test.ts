import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { parseRequestHead } from "../../src/proxy/http1/head.ts";
import { Malformed } from "../../src/proxy/http1/malformed.ts";
import { normalPath } from "../../src/proxy/route/normal_path.ts";
import { textOf } from "./texts.ts";

const RUNS = Number(process.env["FUZZ_RUNS"] ?? 5_000);

const target = fc.oneof(
  textOf(
    "/",
    ".",
    "..",
    "\\",
    ";",
    "%",
    "%2",
    "%2e",
    "%2F",
    "%5c",
    "%00",
    "?",
    "a",
    "http://a",
  ),
  fc.webUrl({ withQueryParameters: true }),
).map((text) => text.startsWith("http") ? text : `/${text}`);

function pathOf(text: string): string | undefined {
  const parsed = parseRequestHead(`GET ${text} HTTP/1.1\r\nhost: a\r\n`, "http");
  return parsed instanceof Malformed ? undefined : parsed.head.path;
}

describe("targets of requests", () => {
  test("normalPath() gives a path that the next proxy reads as the same, or refuses with 400", () => {
    fc.assert(
      fc.property(target, (text) => {
        const path = pathOf(text);
        if (path === undefined) return;
        const normal = normalPath(path);
        if (typeof normal !== "string") return expect(normal.status).toBe(400);
        expect(pathOf(normal)).toBe(normal);
        expect(normalPath(normal)).toBe(normal);
      }),
      { numRuns: RUNS },
    );
  });
});
