import { describe, expect, test } from "bun:test";
import { LineReader, LineTooLongError } from "../../../src/lib/line_reader.ts";

const encode = (text: string) => new TextEncoder().encode(text);

/** All lines that the pieces complete. */
function read(bytesMax: number, ...pieces: Uint8Array[]): string[] {
  const reader = new LineReader(bytesMax);
  return pieces.flatMap((piece) => reader.push(piece));
}

describe("LineReader", () => {
  test("LineReader gives the lines that are whole, and leaves out empty ones", () => {
    expect(read(100, encode("a\n\nbc\n\n\nd"), encode("e\n"), encode("f"))).toEqual(["a", "bc", "de"]);
  });

  test("LineReader gives the same lines however the bytes are cut, within a character too", () => {
    const text = 'naïve 🪢\n{"a":"é"}\n\nx\n';
    const bytes = encode(text);
    const lines = text.split("\n").filter((line) => line !== "");
    for (let i = 0; i <= bytes.length; i++) {
      expect(read(100, bytes.slice(0, i), bytes.slice(i))).toEqual(lines);
    }
    expect(read(100, ...[...bytes].map((byte) => Uint8Array.of(byte)))).toEqual(lines);
  });

  test("LineReader does not hold on to the caller's buffer", () => {
    const reader = new LineReader(100);
    const buffer = encode("abc");
    reader.push(buffer);
    buffer.fill(0x78);
    expect(reader.push(encode("\n"))).toEqual(["abc"]);
  });

  test("LineReader takes the longest line and refuses one byte more, with its end or without", () => {
    const line = "x".repeat(10);
    expect(read(10, encode(`${line}\n${line}\n`))).toEqual([line, line]);
    expect(read(10, encode("x".repeat(5)), encode(`${"x".repeat(5)}\n`))).toEqual([line]);
    expect(() => read(10, encode(`${line}x\n`))).toThrow(LineTooLongError);
    expect(() => read(10, encode(line), encode("x"))).toThrow("A line is longer than 10 bytes");
  });
});
