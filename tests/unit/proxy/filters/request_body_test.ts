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
