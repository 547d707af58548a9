import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  EdgeTally,
  latencyOf,
  RESPONSE_CODES_MAX,
  WINDOW_MS,
  WINDOW_SLOT_MS,
} from "../../../src/mixer/edge_tally.ts";
import { durations, edge } from "./reports.ts";

const START_MS = 1_000_000;

function responses(...pairs: [code: number, count: number, flags?: string][]) {
  return pairs.map(([code, count, flags = "-"]) => ({ code, flags, count }));
}

describe("EdgeTally", () => {
  test("adds up everything since the beginning", () => {
    const tally = new EdgeTally(START_MS);
    tally.add(edge(), START_MS);
    tally.add(
      edge({ responses: responses([200, 1], [503, 2, "UH"]), durationSumMs: 5 }),
      START_MS + 10 * WINDOW_MS,
    );
    expect(tally.total).toMatchObject({ requests: 13, errors: 2, durationSumMs: 35 });
    expect([...tally.total.responses]).toEqual([[200, 11], [503, 2]]);
  });

  test("takes 500 and above, and calls without a status, for errors", () => {
    const tally = new EdgeTally(START_MS);
    tally.add(
      edge({ responses: responses([0, 1, "DC"], [200, 2], [404, 4], [499, 8], [500, 16], [504, 32]) }),
      START_MS,
    );
    expect(tally.total.errors).toBe(1 + 16 + 32);
  });

  test("takes every gRPC status but OK, and none at all, for an error", () => {
    const tally = new EdgeTally(START_MS);
    const statuses = [{ grpcStatus: 0, count: 1 }, { grpcStatus: 5, count: 2 }, { grpcStatus: 14, count: 4 }];
    const ended = statuses.map((status) => ({ code: 200, flags: "-", ...status }));
    tally.add(
      edge({ protocol: "grpc", responses: [...ended, { code: 200, flags: "UR", count: 8 }] }),
      START_MS,
    );
    expect(tally.total).toMatchObject({ requests: 15, errors: 14 });
  });

  test("takes a connection for good when nothing was flagged", () => {
    const tally = new EdgeTally(START_MS);
    const began = edge({ protocol: "tcp", responses: [], durations: durations({}), opened: 5 });
    tally.add({ ...began, receivedBytes: 10, sentBytes: 2 ** 40 }, START_MS);
    tally.add({ ...began, opened: 1, responses: responses([0, 3], [0, 1, "UF"]) }, START_MS);
    expect(tally.total).toMatchObject({ requests: 6, errors: 1, receivedBytes: 10, sentBytes: 2 ** 40 });
    expect([...tally.total.responses]).toEqual([]);
  });

  test("forgets in its window what is older", () => {
    const tally = new EdgeTally(START_MS);
    tally.add(edge(), START_MS);
    expect(tally.window(START_MS, WINDOW_MS).requests).toBe(10);
    expect(tally.window(START_MS + WINDOW_MS - 1, WINDOW_MS).requests).toBe(10);
    expect(tally.window(START_MS + WINDOW_MS, WINDOW_MS).requests).toBe(0);
    expect(tally.window(START_MS + WINDOW_SLOT_MS, WINDOW_SLOT_MS).requests).toBe(0);
    expect(tally.total.requests).toBe(10);
  });

  test("does not count a slot of the last turn again", () => {
    const tally = new EdgeTally(START_MS);
    tally.add(edge(), START_MS);
    tally.add(edge(), START_MS + WINDOW_MS);
    expect(tally.window(START_MS + WINDOW_MS, WINDOW_MS).requests).toBe(10);
  });

  test("says how much time its window covers", () => {
    const tally = new EdgeTally(START_MS);
    expect(tally.window(START_MS, WINDOW_MS).coveredMs).toBe(WINDOW_SLOT_MS);
    expect(tally.window(START_MS + 12_000, WINDOW_MS).coveredMs).toBe(12_000);
    expect(tally.window(START_MS + 10 * WINDOW_MS + 1, WINDOW_MS).coveredMs).toBe(
      WINDOW_MS - WINDOW_SLOT_MS + 1,
    );
  });

  test("keeps a limited number of codes apart", () => {
    const tally = new EdgeTally(START_MS);
    const codes = Array.from({ length: RESPONSE_CODES_MAX }, (_, index) => 201 + index);
    tally.add(
      edge({ responses: responses(...codes.map((code) => [code, 1] as [number, number])) }),
      START_MS,
    );
    expect(tally.total.responses.size).toBe(RESPONSE_CODES_MAX);
    expect(tally.total.responses.has(200)).toBe(false);
    tally.add(edge({ responses: responses([250, 7], [201, 1]) }), START_MS);
    expect(tally.total.responses.get(200)).toBe(7);
    expect(tally.total.responses.get(201)).toBe(2);
  });

  test("counts in a window what a plain list of reports would", () => {
    fc.assert(fc.property(
      fc.array(fc.record({ afterMs: fc.nat(20_000), count: fc.nat(100) }), { maxLength: 60 }),
      fc.integer({ min: 1, max: WINDOW_MS }),
      (steps, windowMs) => {
        const tally = new EdgeTally(START_MS);
        const added: { slot: number; count: number }[] = [];
        let nowMs = START_MS;
        for (const { afterMs, count } of steps) {
          nowMs += afterMs;
          tally.add(edge({ responses: responses([200, count]) }), nowMs);
          added.push({ slot: Math.floor(nowMs / WINDOW_SLOT_MS), count });
        }
        const first = Math.floor(nowMs / WINDOW_SLOT_MS) - Math.ceil(windowMs / WINDOW_SLOT_MS);
        const expected = added.filter(({ slot }) => slot > first).reduce((sum, { count }) => sum + count, 0);
        expect(tally.window(nowMs, windowMs).requests).toBe(expected);
        expect(tally.total.requests).toBe(added.reduce((sum, { count }) => sum + count, 0));
      },
    ));
  });
});

test("latencyOf() interpolates in the proxies' buckets", () => {
  const tally = new EdgeTally(START_MS);
  // 90 calls from 1 to 5 ms, 10 calls from 50 to 100 ms.
  tally.add(edge({ durations: durations({ 2: 90, 6: 10 }) }), START_MS);
  expect(latencyOf(tally.total)).toEqual({ p50: 1 + 4 * 50 / 90, p90: 5, p99: 95 });
  expect(latencyOf(new EdgeTally(START_MS).total)).toEqual({ p50: null, p90: null, p99: null });
});
