import { describe, expect, test } from "bun:test";
import type { Snapshot, VersionedResource } from "../../../src/model/snapshot.ts";
import { snapshotVersion, versionOfSum, versionShare } from "../../../src/model/snapshot_version.ts";

function snapshot(versions: Record<string, string>): Snapshot {
  const entries = Object.entries(versions);
  return new Map(entries.map(([key, version]) => [key, { version } as VersionedResource]));
}

describe("snapshotVersion()", () => {
  test("snapshotVersion() does not depend on the order of the resources", () => {
    const version = snapshotVersion(snapshot({ a: "1", b: "2" }));
    expect(version).toMatch(/^[0-9a-f]{32}$/);
    expect(snapshotVersion(snapshot({ b: "2", a: "1" }))).toBe(version);
  });

  test("snapshotVersion() differs by a version, by a key, and by which key has which version", () => {
    const all: Record<string, string>[] = [
      { a: "1", b: "2" },
      { a: "1", b: "3" },
      { a: "1", c: "2" },
      { a: "2", b: "1" },
      { a: "1" },
      {},
    ];
    expect(new Set(all.map((versions) => snapshotVersion(snapshot(versions)))).size).toBe(all.length);
  });

  test("versionOfSum() follows additions and subtractions, below zero too", () => {
    const sum = -versionShare("b", "2") + versionShare("a", "1") + versionShare("b", "2") -
      versionShare("c", "3");
    expect(versionOfSum(sum + versionShare("c", "3"))).toBe(snapshotVersion(snapshot({ a: "1" })));
    expect(versionOfSum(0n)).toBe("0".repeat(32));
    expect(versionOfSum(-1n)).toBe("f".repeat(32));
  });
});
