import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { GrpcMessageCounter } from "../../../src/telemetry/grpc_messages.ts";

function message(length: number, flag = 0): Buffer {
  const bytes = Buffer.alloc(5 + length, 0xff);
  bytes[0] = flag;
  bytes.writeUInt32BE(length, 1);
  return bytes;
}

describe("GrpcMessageCounter", () => {
  test("GrpcMessageCounter.count() counts the same however the bytes are cut (property)", () => {
    const lengths = fc.array(fc.oneof(fc.nat(3), fc.nat(700)), { maxLength: 20 });
    fc.assert(fc.property(lengths, fc.array(fc.integer({ min: 1, max: 300 })), (all, cuts) => {
      const bytes = Buffer.concat(all.map((length, i) => message(length, i % 2)));
      const counter = new GrpcMessageCounter();
      let counted = 0;
      let at = 0;
      for (const size of [...cuts, bytes.length]) {
        counted += counter.count(bytes.subarray(at, at + size));
        at += size;
        // What is whole so far, by the lengths alone.
        let end = 0;
        const whole = all.filter((length) => (end += 5 + length) <= at).length;
        expect(counted).toBe(whole);
      }
      expect(counted).toBe(all.length);
    }));
  });

  test("GrpcMessageCounter.count() counts at every place where a message may be cut", () => {
    const bytes = Buffer.concat([message(3), message(0), message(1, 1)]);
    for (let first = 0; first <= bytes.length; first++) {
      for (let second = first; second <= bytes.length; second++) {
        const counter = new GrpcMessageCounter();
        const pieces = [bytes.subarray(0, first), bytes.subarray(first, second), bytes.subarray(second)];
        expect(pieces.reduce((sum, piece) => sum + counter.count(piece), 0)).toBe(3);
      }
    }
  });

  test("GrpcMessageCounter.count() takes the longest length that a prefix can say", () => {
    const counter = new GrpcMessageCounter();
    const chunk = Buffer.alloc(16 * 1024 * 1024);
    expect(counter.count(Buffer.from([0, 0xff, 0xff, 0xff, 0xff]))).toBe(0);
    for (let i = 0; i < 255; i++) expect(counter.count(chunk)).toBe(0);
    expect(counter.count(chunk.subarray(0, chunk.length - 2))).toBe(0);
    expect(counter.count(chunk.subarray(0, 1))).toBe(1);
  });
});
