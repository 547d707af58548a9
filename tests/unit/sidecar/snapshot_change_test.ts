import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Snapshot } from "../../../src/model/snapshot.ts";
import { changeBetween, changedSnapshot } from "../../../src/sidecar/snapshot_change.ts";
import { cluster } from "../proxy/data_plane.ts";

const snapshot: fc.Arbitrary<Snapshot> = fc.dictionary(
  fc.constantFrom("a", "b", "c", "d"),
  fc.constantFrom("1", "2", "3"),
).map((versions) =>
  new Map(
    Object.entries(versions).map((
      [name, version],
    ) => [`cluster/${name}`, { version, body: cluster({ name }) }]),
  )
);

describe("changeBetween()", () => {
  test("is what brings the one to the other, and no more", () => {
    fc.assert(fc.property(snapshot, snapshot, (before, after) => {
      const change = changeBetween(before, after);
      expect(new Map([...changedSnapshot(before, change)].sort())).toEqual(new Map([...after].sort()));
      for (const { version, body } of change.set) {
        expect(before.get(`cluster/${body.name}`)?.version).not.toBe(version);
      }
      for (const key of change.remove) expect([before.has(key), after.has(key)]).toEqual([true, false]);
    }));
  });
});
