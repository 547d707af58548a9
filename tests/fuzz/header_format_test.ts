/** Formats of headers' values, of whatever text: they are read as a whole, or refused. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { parseHeaderFormat } from "../../src/model/header_format.ts";
import { textOf } from "./texts.ts";

const RUNS = Number(process.env["FUZZ_RUNS"] ?? 5_000);

const text = textOf(
  "%",
  "%%",
  "REQ",
  "(",
  ")",
  "x-a",
  "?",
  ":",
  "12",
  "PROTOCOL",
  "%RESP(a?:path):3%",
  " ",
  "é",
);

describe("parseHeaderFormat()", () => {
  test("parseHeaderFormat() reads what has its percent signs doubled as itself", () => {
    fc.assert(
      fc.property(text, (text) => {
        expect(parseHeaderFormat(text.replaceAll("%", "%%"))).toEqual([text]);
      }),
      { numRuns: RUNS },
    );
  });

  test("parseHeaderFormat() takes parts that, written down again, are read as the same", () => {
    fc.assert(
      fc.property(text, (text) => {
        const parts = parseHeaderFormat(text);
        if ("fault" in parts) return expect(text).toContain("%");
        const written = parts.map((part) => {
          if (typeof part === "string") return part.replaceAll("%", "%%");
          const { command, headers, maxLength } = part;
          const names = headers.length === 0 ? "" : `(${headers.join("?")})`;
          return `%${command}${names}${maxLength === Infinity ? "" : `:${maxLength}`}%`;
        });
        expect(parseHeaderFormat(written.join(""))).toEqual(parts);
      }),
      { numRuns: RUNS },
    );
  });
});
