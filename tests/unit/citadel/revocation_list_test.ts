import { afterAll, describe, expect, test } from "bun:test";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BACK_DATE_MS } from "../../../src/citadel/certificate_times.ts";
import {
  REVOCATION_KEPT_MS,
  RevocationList,
  REVOCATIONS_FILE,
  REVOCATIONS_MAX,
} from "../../../src/citadel/revocation_list.ts";
import { ManualClock } from "../../../src/lib/clock.ts";
import { privateFiles } from "../../../src/runtime/private_files.ts";
import { CART, failingFiles, freshDirectory, removeDirectories, START_MS } from "./test_citadel.ts";

afterAll(removeDirectories);

const HOUR_MS = 3_600_000;

function certificate(serial: string, notAfterMs = START_MS + HOUR_MS) {
  return { serial, spiffeId: CART.spiffeId, notAfterMs };
}

function open(directory: string, clock = new ManualClock(START_MS), files = privateFiles) {
  return RevocationList.open(directory, files, clock);
}

describe("RevocationList", () => {
  test("RevocationList.add() is on the disk, of mode 0600, and known after a restart", async () => {
    const directory = freshDirectory();
    const list = await open(directory);
    await Promise.all([list.add([certificate("4a")]), list.add([certificate("4b"), certificate("4a")])]);
    for (const each of [list, await open(directory)]) {
      expect(each.current()).toEqual([
        { ...certificate("4a"), revokedAtMs: START_MS, againAtMs: START_MS },
        { ...certificate("4b"), revokedAtMs: START_MS },
      ]);
      expect([each.has("4a"), each.has("4c")]).toEqual([true, false]);
    }
    expect(statSync(join(directory, REVOCATIONS_FILE)).mode & 0o777).toBe(0o600);
  });

  test("RevocationList tells of a certificate until all clocks find it expired, and forgets it a while later", async () => {
    const [directory, clock] = [freshDirectory(), new ManualClock(START_MS)];
    const list = await open(directory, clock);
    await list.add([certificate("4a"), certificate("4b", START_MS + 2 * HOUR_MS)]);
    clock.advance(HOUR_MS + BACK_DATE_MS);
    expect(list.current()).toHaveLength(2);
    clock.advance(1);
    expect(list.current().map(({ serial }) => serial)).toEqual(["4b"]);
    clock.advance(REVOCATION_KEPT_MS - BACK_DATE_MS - 1);
    await list.add([]);
    expect((await open(directory, clock)).has("4a")).toBe(true);
    clock.advance(1);
    await list.add([]);
    expect(readFileSync(join(directory, REVOCATIONS_FILE), "utf8")).not.toContain("4a");
  });

  test("RevocationList.identities() has what ended before the last revocation, and what current() tells of no more", async () => {
    const [directory, clock] = [freshDirectory(), new ManualClock(START_MS)];
    const list = await open(directory, clock);
    const endedBy = async () => {
      const [told, read] = [list.identities(), (await open(directory, clock)).identities()];
      expect(read).toEqual(told);
      return told.map(({ spiffeId, endedByMs }) => {
        expect(spiffeId).toBe(CART.spiffeId);
        return endedByMs - START_MS;
      });
    };
    await list.add([certificate("4a")]);
    clock.advance(HOUR_MS + BACK_DATE_MS);
    expect(await endedBy()).toEqual([0]);
    clock.advance(1);
    expect(await endedBy()).toEqual([HOUR_MS]);
    // Once more, when what it came back with has ended; and then although there is nothing that is not on the list.
    for (
      const again of [certificate("4b", START_MS + HOUR_MS + 1), certificate("4b", START_MS + HOUR_MS + 1)]
    ) {
      clock.advance(1_000);
      await list.add([again]);
      expect(await endedBy()).toEqual([clock.now() - START_MS]);
    }
    clock.advance(REVOCATION_KEPT_MS);
    expect(await endedBy()).toEqual([]);
  });

  test("RevocationList.has() what is on its way to the disk, unless it does not arrive", async () => {
    const list = await open(freshDirectory(), undefined, failingFiles(1, "before"));
    const [first, second] = [list.add([certificate("4a")]), list.add([certificate("4b")])];
    expect([list.has("4a"), list.has("4b"), list.has("4c")]).toEqual([true, true, false]);
    await first;
    expect([list.has("4a"), list.has("4b")]).toEqual([true, true]);
    await expect(second).rejects.toMatchObject({ code: "failed" });
    expect([list.has("4a"), list.has("4b")]).toEqual([true, false]);
  });

  test("RevocationList.add() changes nothing when the disk fails, and works again after it", async () => {
    const directory = freshDirectory();
    const list = await open(directory, undefined, failingFiles(0, "before"));
    await expect(list.add([certificate("4a")])).rejects.toMatchObject({ code: "failed" });
    expect(list.has("4a")).toBe(false);
    await list.add([certificate("4a")]);
    expect((await open(directory)).has("4a")).toBe(true);
  });

  test("RevocationList.add() has a limit", async () => {
    const list = await open(freshDirectory());
    await list.add(Array.from({ length: REVOCATIONS_MAX }, (_, at) => certificate(at.toString(16))));
    await expect(list.add([certificate("one more")])).rejects.toMatchObject({ code: "request_invalid" });
    expect(list.has("one more")).toBe(false);
    await list.add([certificate("0")]);
  });

  test("RevocationList.open() refuses a damaged list: it would let in again who was shut out", async () => {
    for (const text of ["", "{}", "[{}]", '[{"serial":"4a"}]', "[", "[null]"]) {
      const directory = freshDirectory();
      writeFileSync(join(directory, REVOCATIONS_FILE), text, { mode: 0o600 });
      await expect(open(directory)).rejects.toMatchObject({ code: "ca_unusable" });
    }
  });
});
