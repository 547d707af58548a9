import { describe, expect, test } from "bun:test";
import { DerReader } from "../../../src/identity/der_reader.ts";
import { derBitString, derElement, derUnsignedInteger } from "../../../src/identity/der_writer.ts";

const bytes = (...octets: number[]) => Uint8Array.from(octets);
const time = (tag: number, text: string) => derElement(tag, new TextEncoder().encode(text));

describe("DerReader", () => {
  test("DerReader reads lengths of every size in their shortest form", () => {
    for (const length of [0, 1, 127, 128, 255, 256, 65_535, 65_536]) {
      const reader = new DerReader(derElement(0x04, new Uint8Array(length)));
      expect(reader.read(0x04).length).toBe(length);
      expect(reader.atEnd).toBe(true);
    }
  });

  test("DerReader refuses what BER allows and DER does not", () => {
    const odd: [Uint8Array, (reader: DerReader) => unknown][] = [
      [bytes(0x30, 0x80, 0, 0), (reader) => reader.readAny()],
      [bytes(0x04, 0x81, 0x01, 0), (reader) => reader.readAny()],
      [bytes(0x04, 0x82, 0x00, 0x80, ...new Uint8Array(128)), (reader) => reader.readAny()],
      [bytes(0x04, 0x85, 0, 0, 0, 0, 1, 0), (reader) => reader.readAny()],
      [bytes(0x04, 0x84, 0xff, 0xff, 0xff, 0xff), (reader) => reader.readAny()],
      [bytes(0x04, 0x02, 0x00), (reader) => reader.readAny()],
      [bytes(0x04), (reader) => reader.readAny()],
      [bytes(), (reader) => reader.readAny()],
      [bytes(0x1f, 0x01, 0x00), (reader) => reader.readAny()],
      [bytes(0x04, 0x00), (reader) => reader.read(0x30)],
      [bytes(0x01, 0x01, 0x01), (reader) => reader.readBoolean()],
      [bytes(0x01, 0x02, 0xff, 0xff), (reader) => reader.readBoolean()],
      [bytes(0x02, 0x00), (reader) => reader.readIntegerHex()],
      [bytes(0x02, 0x02, 0x00, 0x7f), (reader) => reader.readIntegerHex()],
      [bytes(0x02, 0x02, 0xff, 0x80), (reader) => reader.readIntegerHex()],
      [bytes(0x06, 0x00), (reader) => reader.readOidHex()],
      [bytes(0x06, 0x02, 0x2a, 0x83), (reader) => reader.readOidHex()],
      [bytes(0x04, 0x00), (reader) => reader.finish()],
    ];
    for (const [der, read] of odd) {
      expect(() => read(new DerReader(der))).toThrow(expect.objectContaining({ code: "der_malformed" }));
    }
  });

  test("DerReader reads times as RFC 5280 writes them, and no others", () => {
    expect(new DerReader(time(0x17, "491231235959Z")).readTime()).toBe(Date.UTC(2049, 11, 31, 23, 59, 59));
    expect(new DerReader(time(0x17, "500101000000Z")).readTime()).toBe(Date.UTC(1950, 0, 1));
    expect(new DerReader(time(0x18, "20500228120000Z")).readTime()).toBe(Date.UTC(2050, 1, 28, 12));
    const odd: [number, string][] = [
      [0x17, "4912312359Z"],
      [0x17, "491231235959+0100"],
      [0x17, "490231000000Z"],
      [0x17, "491301000000Z"],
      [0x17, "491231240000Z"],
      [0x18, "20500228120000.5Z"],
      [0x18, "500228120000Z"],
      [0x0c, "20500228120000Z"],
    ];
    for (const [tag, text] of odd) expect(() => new DerReader(time(tag, text)).readTime()).toThrow("time");
  });
});

describe("the DER writer", () => {
  test("derUnsignedInteger() is shortest and never negative", () => {
    expect(derUnsignedInteger(bytes(0))).toEqual(bytes(0x02, 1, 0));
    expect(derUnsignedInteger(bytes())).toEqual(bytes(0x02, 1, 0));
    expect(derUnsignedInteger(bytes(0, 0, 0x7f))).toEqual(bytes(0x02, 1, 0x7f));
    expect(derUnsignedInteger(bytes(0, 0x80))).toEqual(bytes(0x02, 2, 0, 0x80));
  });

  test("derBitString() says that no bit is unused", () => {
    expect(derBitString(bytes(7))).toEqual(bytes(0x03, 2, 0, 7));
  });
});
