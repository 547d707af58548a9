import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { PLACES_MAX, StreamTable } from "../../../../src/proxy/http2/stream_table.ts";

interface Stream {
  readonly id: number;
}

describe("StreamTable", () => {
  test("has what a Map would have, whatever ends first (property)", () => {
    const step = fc.oneof(
      fc.record({ open: fc.integer({ min: 1, max: 100 }) }),
      fc.record({ end: fc.nat() }),
      fc.record({ endAllBut: fc.nat(3) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.constantFrom(1, 2), (steps, first) => {
        const table = new StreamTable<Stream>();
        const open = new Map<number, Stream>();
        let next = first;
        const end = (stream: Stream) => {
          table.delete(stream);
          open.delete(stream.id);
        };
        for (const one of steps) {
          if ("open" in one) {
            for (let i = 0; i < one.open; i++, next += 2) {
              open.set(next, { id: next });
              table.add(open.get(next) as Stream);
            }
          } else if ("end" in one) {
            const stream = [...open.values()][one.end % Math.max(1, open.size)];
            if (stream !== undefined) end(stream);
          } else {
            [...open.values()].slice(one.endAllBut).forEach(end);
          }
          expect(table.size).toBe(open.size);
          expect(table.all()).toEqual([...open.values()]);
          for (let id = 1; id < next + 4; id++) expect(table.get(id)).toBe(open.get(id) as Stream);
        }
      }),
      { seed: 1, numRuns: 200 },
    );
  });

  test("keeps a stream that outlives more others than there are places", () => {
    const table = new StreamTable<Stream>();
    const old = { id: 1 };
    table.add(old);
    for (let id = 3; id < 3 + 4 * PLACES_MAX; id += 2) {
      const stream = { id };
      table.add(stream);
      table.delete(stream);
      expect(table.get(id)).toBeUndefined();
      expect(table.get(1)).toBe(old);
    }
    expect(table.all()).toEqual([old]);
    table.delete(old);
    expect(table.get(1)).toBeUndefined();
    expect(table.size).toBe(0);
  });
});
