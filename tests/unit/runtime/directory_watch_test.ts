import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Clock, systemClock } from "../../../src/lib/clock.ts";
import { type DirectoryWatch, POLL_MS, watchDirectory } from "../../../src/runtime/directory_watch.ts";

/** What is seen within it was heard of: a poll would see it later. */
const SEEN_WITHIN_MS = POLL_MS - 500;

let base = "";
let root = "";
let watch: DirectoryWatch | null = null;
let seen: string[] = [];

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "bowline-watch-"));
  root = join(base, "mesh");
  mkdirSync(root);
  seen = [];
});

afterEach(() => {
  watch?.close();
  watch = null;
  rmSync(base, { recursive: true, force: true });
});

/** Watches; each call becomes one text in `seen`. */
async function start(path = root, clock: Clock = systemClock): Promise<void> {
  watch = await watchDirectory({
    path,
    clock,
    onChange: (files) =>
      seen.push(
        files.map(({ file, text, writer }) => `${file}${writer === "writing" ? "~" : ""}=${text}`).join(" "),
      ),
    onError: (error) => seen.push(error.code),
  });
}

/** Waits until the last call was `expected`, and fails when it takes too long. */
async function sees(expected: string): Promise<void> {
  const until = performance.now() + SEEN_WITHIN_MS;
  while (seen.at(-1) !== expected && performance.now() < until) await Bun.sleep(5);
  expect(seen.at(-1)).toBe(expected);
}

describe("watchDirectory()", () => {
  test("watchDirectory() tells the content at its start", async () => {
    writeFileSync(join(root, "a.yaml"), "1");
    await start();
    expect(seen).toEqual(["a.yaml=1"]);
  });

  test("watchDirectory() sees files written, added and removed", async () => {
    writeFileSync(join(root, "a.yaml"), "1");
    await start();
    writeFileSync(join(root, "a.yaml"), "2");
    await sees("a.yaml=2");
    writeFileSync(join(root, "b.yaml"), "3");
    await sees("a.yaml=2 b.yaml=3");
    rmSync(join(root, "a.yaml"));
    await sees("b.yaml=3");
  });

  test("watchDirectory() sees a file replaced by renaming, as editors do, more than once", async () => {
    writeFileSync(join(root, "a.yaml"), "0");
    await start();
    for (const text of ["1", "2"]) {
      writeFileSync(join(root, ".a.yaml.swp"), text);
      renameSync(join(root, ".a.yaml.swp"), join(root, "a.yaml"));
      await sees(`a.yaml=${text}`);
    }
  });

  test("watchDirectory() sees new subdirectories and what is written in them later", async () => {
    await start();
    mkdirSync(join(root, "x", "y"), { recursive: true });
    writeFileSync(join(root, "x", "y", "a.yaml"), "1");
    await sees("x/y/a.yaml=1");
    writeFileSync(join(root, "x", "y", "a.yaml"), "2");
    await sees("x/y/a.yaml=2");
  });

  test("watchDirectory() survives the directory's replacement", async () => {
    writeFileSync(join(root, "a.yaml"), "1");
    await start();
    mkdirSync(join(base, "next"));
    writeFileSync(join(base, "next", "a.yaml"), "2");
    renameSync(root, join(base, "old"));
    renameSync(join(base, "next"), root);
    await sees("a.yaml=2");
    writeFileSync(join(root, "a.yaml"), "3");
    await sees("a.yaml=3");
  });

  test("watchDirectory() tells when the directory goes and when it is back", async () => {
    writeFileSync(join(root, "a.yaml"), "1");
    await start();
    rmSync(root, { recursive: true });
    await sees("not-found");
    mkdirSync(root);
    writeFileSync(join(root, "a.yaml"), "1");
    await sees("a.yaml=1");
  });

  test("watchDirectory() sees a symbolic link in its path being swapped", async () => {
    for (const release of ["1", "2"]) {
      mkdirSync(join(base, release, "mesh"), { recursive: true });
      writeFileSync(join(base, release, "mesh", "a.yaml"), release);
    }
    symlinkSync("1", join(base, "current"));
    await start(join(base, "current", "mesh"));
    expect(seen).toEqual(["a.yaml=1"]);
    symlinkSync("2", join(base, "next"));
    renameSync(join(base, "next"), join(base, "current"));
    await sees("a.yaml=2");
    writeFileSync(join(base, "2", "mesh", "a.yaml"), "3");
    await sees("a.yaml=3");
  });

  test("watchDirectory() sees a mounted ConfigMap change", async () => {
    for (const data of ["..1", "..2"]) {
      mkdirSync(join(root, data));
      writeFileSync(join(root, data, "a.yaml"), data);
    }
    symlinkSync("..1", join(root, "..data"));
    symlinkSync("..data/a.yaml", join(root, "a.yaml"));
    await start();
    symlinkSync("..2", join(root, "..data_tmp"));
    renameSync(join(root, "..data_tmp"), join(root, "..data"));
    await sees("a.yaml=..2");
  });

  test("watchDirectory() tells of a file that is being written, and when it is closed", async () => {
    for (const path of [root, join(root, "a.yaml")]) {
      writeFileSync(join(root, "a.yaml"), "0");
      await start(path);
      const descriptor = openSync(join(root, "a.yaml"), "w");
      writeSync(descriptor, "1");
      await sees("a.yaml~=1");
      writeSync(descriptor, "2");
      await sees("a.yaml~=12");
      closeSync(descriptor);
      await sees("a.yaml=12");
      watch?.close();
    }
  });

  test("watchDirectory() watches one file as well", async () => {
    const file = join(root, "a.yaml");
    writeFileSync(file, "1");
    await start(file);
    writeFileSync(join(root, "new"), "2");
    renameSync(join(root, "new"), file);
    await sees("a.yaml=2");
  });

  test("watchDirectory() tells a change once, however many writes it took, and none that changes nothing", async () => {
    writeFileSync(join(root, "a.yaml"), "1");
    await start();
    for (const text of ["2", "3", "4"]) {
      writeFileSync(join(root, "a.yaml"), text);
      await Bun.sleep(10);
    }
    await sees("a.yaml=4");
    writeFileSync(join(root, "a.yaml"), "4");
    writeFileSync(join(root, "notes.txt"), "5");
    await Bun.sleep(200);
    expect(seen).toEqual(["a.yaml=1", "a.yaml=4"]);
  });

  test("watchDirectory() sees a file that never stops changing", async () => {
    writeFileSync(join(root, "a.yaml"), "0");
    await start();
    const until = performance.now() + SEEN_WITHIN_MS;
    let count = 0;
    while (seen.length < 2 && performance.now() < until) {
      writeFileSync(join(root, "a.yaml"), String(++count));
      await Bun.sleep(20);
    }
    expect(seen.length).toBeGreaterThan(1);
  });

  test("watchDirectory() sees an edit of the file behind a symbolic link", async () => {
    const target = join(base, "elsewhere.yaml");
    writeFileSync(target, "1");
    symlinkSync(target, join(root, "a.yaml"));
    await start();
    writeFileSync(target, "2");
    await sees("a.yaml=2");
  });

  test("watchDirectory() polls for what no event tells", async () => {
    for (const text of ["1", "2"]) {
      mkdirSync(join(base, text));
      writeFileSync(join(base, text, "a.yaml"), text);
    }
    mkdirSync(join(base, "links"));
    symlinkSync(join(base, "1", "a.yaml"), join(base, "links", "middle"));
    symlinkSync(join(base, "links", "middle"), join(root, "a.yaml"));
    let poll: () => void = () => {};
    let pollMs = 0;
    const clock: Clock = {
      ...systemClock,
      after(ms, callback) {
        [poll, pollMs] = [callback, ms];
        return () => {};
      },
    };
    await start(root, clock);
    symlinkSync(join(base, "2", "a.yaml"), join(base, "links", "next"));
    renameSync(join(base, "links", "next"), join(base, "links", "middle"));
    await Bun.sleep(50);
    expect(seen).toEqual(["a.yaml=1"]);
    expect(pollMs).toBe(POLL_MS);
    poll();
    await sees("a.yaml=2");
  });

  test("close() ends the calls", async () => {
    await start();
    watch?.close();
    writeFileSync(join(root, "a.yaml"), "1");
    await Bun.sleep(250);
    expect(seen).toEqual([""]);
  });
});
