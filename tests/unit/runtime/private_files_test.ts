import { afterAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { privateFiles as files } from "../../../src/runtime/private_files.ts";

const root = mkdtempSync(join(tmpdir(), "bowline-files-"));
afterAll(() => rmSync(root, { recursive: true }));
let count = 0;

function fresh(): string {
  const directory = join(root, String(count++));
  mkdirSync(directory, { mode: 0o700 });
  return directory;
}

const bytes = (text: string) => new TextEncoder().encode(text);
const mode = (path: string) => statSync(path).mode & 0o777;

describe("privateFiles", () => {
  test("makeDirectory() makes it and its parents for the owner alone, again and again", async () => {
    const path = join(fresh(), "a/b/c");
    await files.makeDirectory(path);
    await files.makeDirectory(path);
    for (const each of [path, join(path, ".."), join(path, "../..")]) expect(mode(each)).toBe(0o700);
  });

  test("makeDirectory() refuses one that others can enter, and says what to run", async () => {
    const path = fresh();
    for (const open of [0o755, 0o710, 0o701, 0o702]) {
      chmodSync(path, open);
      await expect(files.makeDirectory(path)).rejects.toMatchObject({
        code: "exposed",
        message: expect.stringContaining(`chmod 700 ${path}`),
      });
    }
  });

  test("makeDirectory() names the path when something else is there", async () => {
    const path = join(fresh(), "file");
    writeFileSync(path, "");
    await expect(files.makeDirectory(path)).rejects.toMatchObject({ code: "failed", path });
  });

  test("makeDirectory() removes what an interrupted write left, once it is an hour old", async () => {
    const directory = fresh();
    const [old, young] = [join(directory, ".a.1.unfinished"), join(directory, ".a.2.unfinished")];
    for (const path of [old, young]) writeFileSync(path, "half", { mode: 0o600 });
    const hourAgoSeconds = Date.now() / 1000 - 3601;
    utimesSync(old, hourAgoSeconds, hourAgoSeconds);
    await files.makeDirectory(directory);
    expect([existsSync(old), existsSync(young)]).toEqual([false, true]);
    expect(await files.list(directory)).toEqual([]);
  });

  test("create() writes a whole file of mode 0600, once", async () => {
    const directory = fresh();
    const path = join(directory, "a");
    expect(await files.create(path, bytes("one"))).toBe(true);
    expect(await files.create(path, bytes("two"))).toBe(false);
    expect(readFileSync(path, "utf8")).toBe("one");
    expect(mode(path)).toBe(0o600);
    expect(readdirSync(directory)).toEqual(["a"]);
  });

  test("create() succeeds for exactly one of many", async () => {
    const path = join(fresh(), "a");
    const made = await Promise.all(
      Array.from({ length: 50 }, (_, i) => files.create(path, bytes(String(i)))),
    );
    expect(made.filter(Boolean)).toHaveLength(1);
    expect(readFileSync(path, "utf8")).toBe(String(made.indexOf(true)));
  });

  test("replace() puts new content in the place of the old and closes the file to others", async () => {
    const directory = fresh();
    const path = join(directory, "a");
    writeFileSync(path, "old", { mode: 0o644 });
    await files.replace(path, bytes("new"));
    expect(new TextDecoder().decode(await files.read(path, 3))).toBe("new");
    expect(mode(path)).toBe(0o600);
    expect(readdirSync(directory)).toEqual(["a"]);
  });

  test("replace() leaves nothing behind when it fails", async () => {
    const directory = fresh();
    mkdirSync(join(directory, "a"));
    writeFileSync(join(directory, "a/b"), "");
    await expect(files.replace(join(directory, "a"), bytes("x"))).rejects.toMatchObject({ code: "failed" });
    expect(readdirSync(directory)).toEqual(["a"]);
  });

  test("append() adds to the end", async () => {
    const path = join(fresh(), "a");
    await files.append(path, bytes("one\n"));
    await files.append(path, bytes("two\n"));
    expect(readFileSync(path, "utf8")).toBe("one\ntwo\n");
    expect(mode(path)).toBe(0o600);
    chmodSync(path, 0o644);
    await expect(files.append(path, bytes("three\n"))).rejects.toMatchObject({ code: "exposed" });
  });

  test("read() knows missing, long, exposed and odd files apart", async () => {
    const directory = fresh();
    const path = join(directory, "a");
    expect(await files.read(path, 10)).toBeUndefined();
    writeFileSync(path, "12345", { mode: 0o600 });
    expect(await files.read(path, 5)).toEqual(bytes("12345"));
    await expect(files.read(path, 4)).rejects.toMatchObject({ code: "too_large", path });
    chmodSync(path, 0o640);
    await expect(files.read(path, 5)).rejects.toMatchObject({
      code: "exposed",
      message:
        `The file ${path} has mode 0640, so others than its owner can get at it; run: chmod 600 ${path}`,
    });
    await expect(files.read(directory, 5)).rejects.toMatchObject({ code: "not_regular" });
    Bun.spawnSync(["mkfifo", "-m", "600", join(directory, "pipe")]);
    await expect(files.read(join(directory, "pipe"), 5)).rejects.toMatchObject({ code: "not_regular" });
  });

  test("move() succeeds for exactly one of many", async () => {
    const directory = fresh();
    const [a, b] = [join(directory, "a"), join(directory, "b")];
    await files.create(a, bytes("x"));
    const moved = await Promise.all(Array.from({ length: 20 }, () => files.move(a, b)));
    expect(moved.filter(Boolean)).toHaveLength(1);
    expect(await files.list(directory)).toEqual(["b"]);
  });

  test("remove() removes what is there of the names", async () => {
    const directory = fresh();
    for (const name of ["a", "b", "c"]) await files.create(join(directory, name), bytes(name));
    await files.remove(directory, ["a", "none", "c"]);
    expect(await files.list(directory)).toEqual(["b"]);
    await files.remove(join(directory, "none"), []);
  });

  test("list() is sorted, and empty for a directory that is not there", async () => {
    const directory = fresh();
    for (const name of ["c", "a", "b"]) await files.create(join(directory, name), bytes(name));
    expect(await files.list(directory)).toEqual(["a", "b", "c"]);
    expect(await files.list(join(directory, "none"))).toEqual([]);
  });

  test("a write into a directory that is not there says which file and why", async () => {
    const path = join(fresh(), "none/a");
    const content = bytes("x");
    for (const write of [files.create, files.replace, files.append]) {
      await expect(write(path, content)).rejects.toMatchObject({
        name: "PrivateFileError",
        code: "failed",
        path,
        message: expect.stringContaining(`Could not write ${path}: there is no such file or directory`),
      });
    }
  });
});
