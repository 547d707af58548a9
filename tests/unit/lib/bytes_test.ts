import { describe, expect, test } from "bun:test";
import { partOf, putBytes } from "../../../src/lib/bytes.ts";

/** Around the sizes at which another way is taken. */
const SIZES = [0, 1, 63, 64, 65, 999, 1_000, 1_001, 5_000];

const numbered = (length: number) => Buffer.from(Uint8Array.from({ length }, (_, i) => i));

describe("bytes", () => {
  test("partOf() gives the bytes of the part, whatever its size", () => {
    const bytes = numbered(6_000);
    for (const size of SIZES) {
      for (const from of [0, 7]) {
        expect(Buffer.from(partOf(bytes, from, from + size)).equals(bytes.subarray(from, from + size))).toBe(
          true,
        );
      }
    }
  });

  test("partOf() copies up to 1,000 bytes, so that a small part keeps no large buffer alive", () => {
    const bytes = numbered(6_000);
    expect(partOf(bytes, 5, 1_005).buffer).not.toBe(bytes.buffer);
    expect(partOf(bytes, 5, 1_006).buffer).toBe(bytes.buffer);
  });

  test("putBytes() writes all of them where it is told, and nothing beside", () => {
    for (const size of SIZES) {
      const target = new Uint8Array(size + 4).fill(0xee);
      const source = numbered(size);
      putBytes(source, target, 3);
      expect([...target]).toEqual([0xee, 0xee, 0xee, ...source, 0xee]);
    }
  });
});
