import { describe, expect, test } from "bun:test";
import { PackedTextError, packText, unpackText } from "../../../src/lib/packed_text.ts";

const TEXT = "größe ".repeat(1_000);
const BYTES = new TextEncoder().encode(TEXT).length;

describe("packText()", () => {
  test("packText() makes a text that repeats itself much shorter, and unpackText() gives it back", () => {
    const packed = packText(TEXT);
    expect(packed.length).toBeLessThan(TEXT.length / 20);
    expect(unpackText(packed, BYTES)).toBe(TEXT);
    expect(unpackText(packText(""), 0)).toBe("");
  });

  test("unpackText() takes as many bytes as are allowed, and not one more", () => {
    expect(() => unpackText(packText(TEXT), BYTES - 1)).toThrow(`It unpacks to more than ${BYTES - 1} bytes`);
  });

  test("unpackText() refuses what is no base64, no gzip, or cut off", () => {
    const cut = packText(TEXT).slice(0, 24) + packText(TEXT).slice(-24);
    for (const nonsense of ["?", "", "AAAA", "AAAAAAAAAAAAAAAA", cut]) {
      expect(() => unpackText(nonsense, 1 << 30)).toThrow(PackedTextError);
    }
  });
});
