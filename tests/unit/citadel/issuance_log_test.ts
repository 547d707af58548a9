import { afterAll, describe, expect, test } from "bun:test";
import { appendFileSync, chmodSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { EXPIRED_SHOWN_MS, type Issuance, IssuanceLog } from "../../../src/citadel/issuance_log.ts";
import { ManualClock } from "../../../src/lib/clock.ts";
import { privateFiles } from "../../../src/runtime/private_files.ts";
import { CART, failingFiles, freshDirectory, removeDirectories, START_MS } from "./test_citadel.ts";

afterAll(removeDirectories);

const HOUR_MS = 3_600_000;

function issuance(workload: string | null, more: Partial<Issuance> = {}): Issuance {
  return {
    serial: "4a",
    spiffeId: CART.spiffeId,
    workload,
    notAfterMs: START_MS + HOUR_MS,
    how: "token",
    ...more,
  };
}

function lines(directory: string): string[] {
  return readFileSync(join(directory, "issued.jsonl"), "utf8").split("\n");
}

function open(directory: string, clock = new ManualClock(START_MS), bytesMax?: number) {
  return IssuanceLog.open(directory, privateFiles, clock, bytesMax);
}

describe("IssuanceLog", () => {
  test("IssuanceLog.append() writes one line of JSON", async () => {
    const directory = freshDirectory();
    await (await open(directory)).append(issuance("shop/cart-v1"));
    expect(lines(directory)).toEqual([
      '{"time":"2027-01-15T08:00:00.000Z","serial":"4a","spiffeId":"spiffe://mesh.test/ns/shop/sa/cart",' +
      '"workload":"shop/cart-v1","how":"token","notAfter":"2027-01-15T09:00:00.000Z"}',
      "",
    ]);
  });

  test("IssuanceLog.enrolments() knows after a restart who has a certificate that is still valid", async () => {
    const directory = freshDirectory();
    const clock = new ManualClock(START_MS);
    const log = await open(directory, clock);
    await log.append(issuance("shop/cart-v1"));
    await log.append(issuance("shop/cart-v2", { notAfterMs: START_MS + 2 * HOUR_MS }));
    await log.append(issuance(null, { how: "own" }));
    for (const each of [log, await open(directory, clock)]) {
      expect([...each.enrolments().keys()]).toEqual(["shop/cart-v1", "shop/cart-v2"]);
    }
    clock.advance(HOUR_MS);
    expect([...log.enrolments().keys()]).toEqual(["shop/cart-v1", "shop/cart-v2"]);
    clock.advance(1);
    for (const each of [log, await open(directory, clock)]) {
      expect([...each.enrolments().keys()]).toEqual(["shop/cart-v2"]);
    }
  });

  test("IssuanceLog.enrolments() has them again when a clock that was wrong is set right", async () => {
    const clock = new ManualClock(START_MS);
    const log = await open(freshDirectory(), clock);
    await log.append(issuance("shop/cart-v1"));
    clock.setAhead(48 * HOUR_MS);
    expect([log.enrolments().size, log.issued().length]).toEqual([0, 1]);
    clock.setAhead(-48 * HOUR_MS);
    expect([...log.enrolments().keys()]).toEqual(["shop/cart-v1"]);
    expect(log.enrolmentOf("shop/cart-v1")).toMatchObject({ spiffeId: CART.spiffeId });
    clock.setAhead(HOUR_MS + EXPIRED_SHOWN_MS + 1);
    expect([log.issued(), log.enrolments().size]).toEqual([[], 0]);
    clock.setAhead(-HOUR_MS - EXPIRED_SHOWN_MS - 1);
    expect([log.issued().length, log.enrolments().size]).toEqual([1, 1]);
  });

  test("IssuanceLog.enrolments() believes the last certificate of a workload", async () => {
    const directory = freshDirectory();
    const log = await open(directory);
    await log.append(issuance("shop/cart-v1"));
    const spiffeId = "spiffe://mesh.test/ns/shop/sa/other";
    await log.append(issuance("shop/cart-v1", { spiffeId }));
    for (const each of [log, await open(directory)]) {
      expect(each.enrolments().get("shop/cart-v1")).toMatchObject({ spiffeId });
    }
  });

  test("IssuanceLog.open() skips a last line that a crash cut off, and writes on behind it", async () => {
    const directory = freshDirectory();
    await (await open(directory)).append(issuance("shop/cart-v1"));
    appendFileSync(join(directory, "issued.jsonl"), '{"time":"2027-01-15T08:00:00.000Z","serial":"4b","spi');
    const log = await open(directory);
    expect(log.tornLines).toBe(1);
    await log.append(issuance("shop/cart-v2"));
    const again = await open(directory);
    expect([...again.enrolments().keys()]).toEqual(["shop/cart-v1", "shop/cart-v2"]);
    expect(lines(directory)).toHaveLength(4);
  });

  test("IssuanceLog.open() skips lines of other forms", async () => {
    const directory = freshDirectory();
    await (await open(directory)).append(issuance("shop/cart-v1"));
    const odd = [
      "[]",
      "null",
      "{}",
      "\0\0",
      '{"serial":"4","spiffeId":"a","workload":"../x","notAfter":"2030-01-01"}',
    ];
    appendFileSync(join(directory, "issued.jsonl"), odd.join("\n"));
    const log = await open(directory);
    expect(log.tornLines).toBe(odd.length);
    expect(log.enrolments().size).toBe(1);
  });

  test("IssuanceLog.append() writes what came at once in few writes, and all of it", async () => {
    const directory = freshDirectory();
    const files = failingFiles(-1, "before");
    const log = await IssuanceLog.open(directory, files, new ManualClock(START_MS));
    await Promise.all(Array.from({ length: 500 }, (_, i) => log.append(issuance(`shop/w-${i}`))));
    expect((await open(directory)).enrolments().size).toBe(500);
    expect(files.calls).toBeLessThan(10);
  });

  test("IssuanceLog.append() fails for whom the disk failed, and goes on for the others", async () => {
    const directory = freshDirectory();
    const log = await IssuanceLog.open(directory, failingFiles(0, "before"), new ManualClock(START_MS));
    await expect(log.append(issuance("shop/cart-v1"))).rejects.toMatchObject({ name: "PrivateFileError" });
    expect(log.enrolments().size).toBe(0);
    await log.append(issuance("shop/cart-v2"));
    expect([...(await open(directory)).enrolments().keys()]).toEqual(["shop/cart-v2"]);
  });

  test("IssuanceLog.append() sets a long log aside and keeps what still counts", async () => {
    const directory = freshDirectory();
    const clock = new ManualClock(START_MS);
    const first = await open(directory, clock);
    await first.append(issuance("shop/expired", { notAfterMs: START_MS + 1 }));
    await first.append(issuance("shop/cart-v1"));
    clock.advance(1000);
    const bytesMax = lines(directory).join("\n").length;
    const atLimit = await open(directory, clock, bytesMax + 1);
    await atLimit.append(issuance("shop/cart-v1"));
    expect(readdirSync(directory)).toEqual(["issued.jsonl"]);
    const above = await open(directory, clock, bytesMax);
    await above.append(issuance("shop/cart-v2"));
    expect(readdirSync(directory).sort()).toEqual(["issued-2027-01-15T080001.000Z.jsonl", "issued.jsonl"]);
    expect(lines(directory)).toHaveLength(3);
    expect([...(await open(directory, clock)).enrolments().keys()]).toEqual(["shop/cart-v1", "shop/cart-v2"]);
  });

  test("IssuanceLog.append() loses no enrolment when the disk fails while it sets the log aside", async () => {
    for (const when of ["before", "after"] as const) {
      for (const failAt of [0, 1, 2]) {
        const directory = freshDirectory();
        const clock = new ManualClock(START_MS);
        await (await open(directory, clock)).append(issuance("shop/cart-v1"));
        const log = await IssuanceLog.open(directory, failingFiles(failAt, when), clock, 1);
        await expect(log.append(issuance("shop/cart-v2"))).rejects.toThrow();
        expect((await open(directory, clock)).enrolments().has("shop/cart-v1")).toBe(true);
        await log.append(issuance("shop/cart-v3"));
        expect((await open(directory, clock)).enrolments().has("shop/cart-v3")).toBe(true);
      }
    }
  });

  test("IssuanceLog.open() refuses a log that others can read", async () => {
    const directory = freshDirectory();
    await (await open(directory)).append(issuance("shop/cart-v1"));
    chmodSync(join(directory, "issued.jsonl"), 0o644);
    await expect(open(directory)).rejects.toMatchObject({ code: "exposed" });
  });
});

describe("IssuanceLog.issued()", () => {
  test("IssuanceLog.issued() has what is valid, and lately each workload's last, after a restart too", async () => {
    const directory = freshDirectory();
    const clock = new ManualClock(START_MS);
    const log = await open(directory, clock);
    await log.append(issuance("shop/cart-v1", { serial: "1" }));
    await log.append(issuance("shop/cart-v1", { serial: "2", notAfterMs: START_MS + 2 * HOUR_MS }));
    await log.append(issuance(null, { serial: "3", how: "own" }));
    const seen = async () => {
      const [one, other] = [log.issued(), (await open(directory, clock)).issued()];
      expect(other).toEqual(one);
      return one.map(({ serial, replaced }) => `${serial}${replaced ? " replaced" : ""}`);
    };
    expect(await seen()).toEqual(["1 replaced", "2", "3"]);
    expect(log.issued()[0]).toMatchObject({ issuedAtMs: START_MS, workload: "shop/cart-v1" });
    clock.advance(HOUR_MS + 1);
    expect(await seen()).toEqual(["2", "3"]);
    clock.advance(EXPIRED_SHOWN_MS - 1);
    expect(await seen()).toEqual(["2", "3"]);
    clock.advance(1);
    expect(await seen()).toEqual(["2"]);
  });

  test("IssuanceLog.issued() loses nothing that is valid when the log is set aside", async () => {
    const directory = freshDirectory();
    const log = await open(directory, undefined, 300);
    for (const serial of ["1", "2", "3", "4"]) await log.append(issuance("shop/cart-v1", { serial }));
    expect(readdirSync(directory).length).toBeGreaterThan(1);
    expect((await open(directory)).issued().map(({ serial }) => serial)).toEqual(["1", "2", "3", "4"]);
  });
});
