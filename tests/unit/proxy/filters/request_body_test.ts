import { DEFAULT_LIMITS } from "../../../../src/model/limits.ts";
import { describe, expect, test } from "bun:test";
import { ReplayBudget, RequestBody } from "../../../../src/proxy/filters/request_body.ts";

const bytes = (length: number) => new Uint8Array(length);

describe("RequestBody", () => {
  test("remembers a body of its limit, and nothing of a larger one", () => {
    const budget = new ReplayBudget(DEFAULT_LIMITS);
    const body = new RequestBody(budget);
    body.remember(bytes(DEFAULT_LIMITS.replayBytes));
    expect([body.lost, body.chunks.length, budget.bytes]).toEqual([false, 1, DEFAULT_LIMITS.replayBytes]);
    body.remember(bytes(1));
    expect([body.lost, body.chunks.length, budget.bytes]).toEqual([true, 0, 0]);
    body.remember(bytes(1));
    expect([body.chunks.length, budget.bytes]).toEqual([0, 0]);
  });

  test("holds what nobody else has, whatever the limit, until it was sent", () => {
    const body = new RequestBody(new ReplayBudget(DEFAULT_LIMITS));
    body.hold(bytes(DEFAULT_LIMITS.replayBytes + 1));
    expect([body.lost, body.chunks.length]).toEqual([false, 1]);
    body.sent();
    expect([body.lost, body.chunks.length]).toEqual([true, 0]);
  });

  test("holds no more memory than twice what it counts, however small the pieces and large what they are cut from", () => {
    for (const size of [13, 100, 4_095, 4_096, 16_384]) {
      const received = crypto.getRandomValues(bytes(64 * 1024));
      const body = new RequestBody(new ReplayBudget(DEFAULT_LIMITS));
      let length = 0;
      // Each piece came with much else that nobody keeps.
      for (; length + size <= 16 * 1024; length += size) {
        body.remember(new Uint8Array(received).subarray(length, length + size));
      }
      const buffers = new Set(body.chunks.map(({ buffer }) => buffer));
      const held = [...buffers].reduce((sum, { byteLength }) => sum + byteLength, 0);
      expect(held).toBeLessThanOrEqual(2 * length);
      expect(buffers.size).toBeLessThanOrEqual(Math.ceil(length / 4_096));
      expect(Buffer.concat(body.chunks).equals(received.subarray(0, length))).toBe(true);
    }
  });

  test("leaves what was sent as it was when more comes", () => {
    const body = new RequestBody(new ReplayBudget(DEFAULT_LIMITS));
    body.remember(Uint8Array.of(1));
    body.remember(Uint8Array.of(2));
    const sent = [...body.chunks];
    for (let i = 3; i < 100; i++) body.remember(Uint8Array.of(i));
    expect(sent).toEqual([Uint8Array.of(1, 2)]);
    expect(Buffer.concat(body.chunks)).toEqual(Buffer.from(Array.from({ length: 99 }, (_, i) => i + 1)));
  });

  test("remembers nothing beyond what all requests may keep together", () => {
    const budget = new ReplayBudget(DEFAULT_LIMITS);
    budget.bytes = DEFAULT_LIMITS.replayTotalBytes - 1;
    const fits = new RequestBody(budget);
    fits.remember(bytes(1));
    expect(fits.lost).toBe(false);
    const beyond = new RequestBody(budget);
    beyond.remember(bytes(1));
    expect(beyond.lost).toBe(true);
    fits.release();
    fits.release();
    expect(budget.bytes).toBe(DEFAULT_LIMITS.replayTotalBytes - 1);
  });
});
