import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { decodeHuffman } from "../../../../../src/proxy/http2/hpack/huffman.ts";
import { EOS, huffman, huffmanBits, octets } from "./huffman_code.ts";

const decode = (bytes: Buffer) => decodeHuffman(bytes, 0, bytes.length);

describe("decodeHuffman()", () => {
  test("decodes every octet, at every offset into a byte (RFC 7541 Appendix B)", () => {
    for (let symbol = 0; symbol < 256; symbol++) {
      const character = String.fromCharCode(symbol);
      for (let zeros = 0; zeros < 8; zeros++) {
        // "0" has five bits, so that eight of them come to every offset.
        const text = "0".repeat(zeros) + character + "0";
        expect(decode(huffman(Buffer.from(text, "latin1")))).toBe(text);
      }
    }
  });

  test("decodes whatever was encoded (property)", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(decode(huffman(bytes))).toBe(Buffer.from(bytes).toString("latin1"));
      }),
      { seed: 7_541, numRuns: 2_000 },
    );
  });

  test("decodes long strings, and empty ones", () => {
    const text = "0".repeat(100_000);
    expect(decode(huffman(Buffer.from(text)))).toBe(text);
    expect(decode(Buffer.alloc(0))).toBe("");
  });

  test("refuses EOS (§5.2)", () => {
    expect(decode(huffman([EOS]))).toBeUndefined();
    expect(decode(huffman([0x30, EOS, 0x30]))).toBeUndefined();
    // With two bits of the last octet before it, and then with none left behind it.
    expect(decode(huffman([0x30, 0x30, EOS]))).toBeUndefined();
  });

  test("refuses padding that is longer than seven bits (§5.2)", () => {
    expect(decode(Buffer.concat([huffman([0x30]), Buffer.from([0xff])]))).toBeUndefined();
    expect(decode(Buffer.from([0xff]))).toBeUndefined();
    expect(decode(Buffer.from([0xff, 0xff, 0xff]))).toBeUndefined();
  });

  test("refuses padding that is not all ones (§5.2)", () => {
    const bits = huffmanBits([0x30]);
    expect(decode(octets(bits, "1"))).toBe("0");
    expect(decode(octets(bits, "0"))).toBeUndefined();
    for (let bit = bits.length; bit < 8; bit++) {
      const wrong = bits.padEnd(8, "1").split("").with(bit, "0").join("");
      expect(decode(octets(wrong, "1"))).not.toBe("0");
    }
  });

  test("refuses a code that is cut off", () => {
    for (let symbol = 0; symbol < 256; symbol++) {
      const bits = huffmanBits([symbol]);
      if (bits.length < 16) continue;
      const cut = octets(bits.slice(0, 8), "1");
      expect(decode(cut)).toBeUndefined();
    }
  });
});
