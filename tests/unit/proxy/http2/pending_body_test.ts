import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { PendingBody } from "../../../../src/proxy/http2/pending_body.ts";

describe("PendingBody", () => {
  test("gives back what it was given, in order, whatever the pieces (property)", () => {
    const step = fc.oneof(
      fc.record({ push: fc.integer({ min: 1, max: 9_000 }), spare: fc.constantFrom(0, 100_000) }),
      fc.record({ drop: fc.integer({ min: 0, max: 9_000 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const pending = new PendingBody();
        let [written, read] = [0, 0];
        for (const one of steps) {
          if ("push" in one) {
            const chunk = new Uint8Array(one.push + one.spare).subarray(0, one.push).map(() =>
              written++ & 0xff
            );
            pending.push(chunk);
          } else {
            const { first } = pending;
            const taken = Math.min(one.drop, first.length);
            for (const octet of first.subarray(0, taken)) expect(octet).toBe(read++ & 0xff);
            pending.drop(taken);
          }
          expect(pending.bytes).toBe(written - read);
          expect(pending.first.length > 0).toBe(pending.bytes > 0);
        }
      }),
      { seed: 1, numRuns: 300 },
    );
  });

  test("keeps a held piece and a large whole one as they are, and copies the others", () => {
    const chunk = new Uint8Array(8_192);
    const kept = (act: (pending: PendingBody) => void) => {
      const pending = new PendingBody();
      act(pending);
      return pending.first.buffer === chunk.buffer;
    };
    expect(kept((pending) => pending.hold(chunk.subarray(0, 1)))).toBeTrue();
    expect(kept((pending) => pending.push(chunk))).toBeTrue();
    expect(kept((pending) => pending.push(chunk.subarray(0, 4_095)))).toBeFalse();
    const part = new Uint8Array(5 * 4_096);
    const pending = new PendingBody();
    pending.push(part.subarray(0, 4_096));
    expect(pending.first.buffer === part.buffer).toBeFalse();
  });

  test("holds nothing after clear()", () => {
    const pending = new PendingBody();
    pending.push(new Uint8Array(10));
    pending.clear();
    expect([pending.bytes, pending.first.length]).toEqual([0, 0]);
    pending.push(Buffer.from("again"));
    expect(Buffer.from(pending.first).toString()).toBe("again");
  });
});
