import { afterAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { AuditLog } from "../../../src/citadel/audit_log.ts";
import { Journal } from "../../../src/citadel/journal.ts";
import { ManualClock } from "../../../src/lib/clock.ts";
import { privateFiles } from "../../../src/runtime/private_files.ts";
import { failingFiles, freshDirectory, removeDirectories, START_MS } from "./test_citadel.ts";

afterAll(removeDirectories);

const clock = new ManualClock(START_MS);

describe("AuditLog", () => {
  test("AuditLog.append() adds a line of JSON to a file of its owner's, after a restart too", async () => {
    const directory = freshDirectory();
    const entry = { event: "enrol", outcome: "token_used", address: "10.0.0.1", detail: 'a\n"b"' } as const;
    for (let i = 0; i < 2; i++) await (await AuditLog.open(directory, privateFiles, clock)).append(entry);
    const file = join(directory, "audit.jsonl");
    const line = '{"time":"2027-01-15T08:00:00.000Z","event":"enrol","outcome":"token_used",' +
      '"address":"10.0.0.1","detail":"a\\n\\"b\\""}\n';
    expect(readFileSync(file, "utf8")).toBe(line + line);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  test("AuditLog.append() fails when the disk does", async () => {
    const log = await AuditLog.open(freshDirectory(), failingFiles(0, "before"), clock);
    await expect(log.append({ event: "renew", outcome: "issued" })).rejects.toMatchObject({ code: "failed" });
    await log.append({ event: "renew", outcome: "issued" });
  });
});

describe("Journal", () => {
  test("Journal.append() sets a long file aside, and loses no line", async () => {
    const directory = freshDirectory();
    const time = new ManualClock(START_MS);
    const { journal } = await Journal.open({
      ...{ directory, name: "audit", files: privateFiles, clock: time, bytesMax: 10 },
    });
    for (let i = 0; i < 6; i++) {
      await journal.append(`line ${i}`);
      time.advance(1);
    }
    const names = readdirSync(directory).toSorted();
    expect(names).toHaveLength(3);
    const text = names.map((name) => readFileSync(join(directory, name), "utf8")).join("");
    expect(text).toBe([0, 1, 2, 3, 4, 5].map((i) => `line ${i}\n`).join(""));
  });
});
