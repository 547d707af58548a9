import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock } from "../../../src/lib/clock.ts";
import { FileError } from "../../../src/runtime/files.ts";
import {
  FILES_DEBOUNCE_MAX_MS,
  FILES_DEBOUNCE_MS,
  FILES_POLL_MS,
  readTextSync,
  WATCHED_FILE_BYTES_MAX,
  WatchedFiles,
} from "../../../src/runtime/watched_files.ts";

let directory = "";
beforeEach(() => void (directory = mkdtempSync(join(tmpdir(), "bowline-watched-"))));
afterEach(() => rmSync(directory, { recursive: true }));

function watching() {
  const clock = new ManualClock();
  let told = 0;
  const files = new WatchedFiles({ clock, onChange: () => void told++ });
  return { clock, files, told: () => told };
}

/** Until an event of the kernel has moved the next call ahead of the poll. */
async function heard(clock: ManualClock, told: () => number): Promise<void> {
  const before = told();
  for (let tries = 0; tries < 500 && told() === before; tries++) {
    await Bun.sleep(2);
    // Less than the poll in all that time: only an event can have done it.
    if (tries % 20 === 19) clock.advance(FILES_DEBOUNCE_MS);
  }
}

describe("WatchedFiles", () => {
  test("watch() tells of a file that was replaced by renaming, long before the poll would", async () => {
    const { clock, files, told } = watching();
    const path = join(directory, "tls.crt");
    writeFileSync(path, "old");
    files.watch([path]);
    writeFileSync(`${path}.new`, "new");
    renameSync(`${path}.new`, path);
    await heard(clock, told);
    expect(told()).toBe(1);
    expect(clock.now()).toBeLessThan(FILES_POLL_MS);
    files.close();
  });

  test("watch() tells in time where something is written all the time", async () => {
    const { clock, files, told } = watching();
    files.watch([join(directory, "tls.crt")]);
    // An event before each debounce is over, as long as nobody is told.
    for (let tries = 0; tries < 200 && told() === 0; tries++) {
      writeFileSync(join(directory, "busy"), String(tries));
      await Bun.sleep(5);
      clock.advance(FILES_DEBOUNCE_MS / 2);
    }
    expect(told()).toBe(1);
    expect(clock.now()).toBeLessThan(FILES_DEBOUNCE_MAX_MS + 10 * FILES_DEBOUNCE_MS);
    files.close();
  });

  test("watch() again, as with each push, puts nothing off", () => {
    const { clock, files, told } = watching();
    for (let passed = 0; passed < FILES_POLL_MS; passed += FILES_POLL_MS / 10) {
      files.watch([join(directory, "missing", "tls.crt")]);
      clock.advance(FILES_POLL_MS / 10);
    }
    expect(told()).toBe(1);
    files.close();
  });

  test("watch() asks now and then without any event, for files that are not there too", () => {
    const { clock, files, told } = watching();
    files.watch([join(directory, "missing", "tls.crt")]);
    clock.advance(FILES_POLL_MS - 1);
    expect(told()).toBe(0);
    clock.advance(1 + FILES_POLL_MS);
    expect(told()).toBe(2);
    files.close();
  });

  test("watch() of nothing, and close(), ask for nothing more", () => {
    const { clock, files, told } = watching();
    files.watch([join(directory, "tls.crt")]);
    files.watch([]);
    expect(clock.pending).toBe(0);
    files.watch([join(directory, "tls.crt")]);
    files.close();
    clock.advance(2 * FILES_POLL_MS);
    expect(told()).toBe(0);
  });
});

describe("readTextSync()", () => {
  test("readTextSync() reads up to the limit and not one byte above", () => {
    const path = join(directory, "file");
    writeFileSync(path, "x".repeat(WATCHED_FILE_BYTES_MAX));
    expect(readTextSync(path)).toHaveLength(WATCHED_FILE_BYTES_MAX);
    writeFileSync(path, "x".repeat(WATCHED_FILE_BYTES_MAX + 1));
    expect(() => readTextSync(path)).toThrow(`longer than ${WATCHED_FILE_BYTES_MAX} bytes`);
  });

  test("readTextSync() throws a FileError for what is not there", () => {
    expect(() => readTextSync(join(directory, "missing"))).toThrow(FileError);
  });
});
