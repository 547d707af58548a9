import { describe, expect, test } from "bun:test";
import { encodeRequest, readStatus } from "../../../src/sidecar/probe/grpc_check.ts";

describe("encodeRequest()", () => {
  test("encodeRequest() writes nothing for the server as a whole, else the service's name", () => {
    expect([...encodeRequest("")]).toEqual([0, 0, 0, 0, 0]);
    expect([...encodeRequest("ab")]).toEqual([0, 0, 0, 0, 4, 0x0a, 2, 0x61, 0x62]);
  });

  test("encodeRequest() writes a length of two bytes from 128 on", () => {
    expect([...encodeRequest("x".repeat(127)).subarray(4, 8)]).toEqual([129, 0x0a, 127, 0x78]);
    expect([...encodeRequest("x".repeat(128)).subarray(4, 9)]).toEqual([131, 0x0a, 0x80, 1, 0x78]);
  });
});

describe("readStatus()", () => {
  const message = (...bytes: number[]) => new Uint8Array([0, 0, 0, 0, bytes.length, ...bytes]);

  test("readStatus() reads the status, which is UNKNOWN when nothing is written", () => {
    expect(readStatus(message())).toBe(0);
    expect(readStatus(message(8, 1))).toBe(1);
    expect(readStatus(message(8, 2))).toBe(2);
  });

  test("readStatus() steps over fields that it does not know, and takes the last status", () => {
    const others = [0x10, 0x80, 1, 0x1a, 2, 8, 1, 0x25, 1, 2, 3, 4, 0x29, 1, 2, 3, 4, 5, 6, 7, 8];
    expect(readStatus(message(...others, 8, 2, 8, 1, ...others))).toBe(1);
  });

  test.each([
    ["less than a prefix", new Uint8Array([0, 0, 0, 0])],
    ["compressed", new Uint8Array([1, 0, 0, 0, 2, 8, 1])],
    ["shorter than it says", new Uint8Array([0, 0, 0, 0, 3, 8, 1])],
    ["longer than it says", new Uint8Array([0, 0, 0, 0, 1, 8, 1])],
    ["a number without end", message(8, ...Array(10).fill(0x80), 1)],
    ["a number cut off", message(8, 0x80)],
    ["a text beyond the end", message(0x1a, 5, 1)],
    ["a group, which protobuf has no more", message(0x1b)],
  ])("readStatus() takes nothing from what is %s", (_what, bytes) => {
    expect(readStatus(bytes)).toBeUndefined();
  });
});
