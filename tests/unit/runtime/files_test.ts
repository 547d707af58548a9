import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  FileError,
  makePrivateDirectory,
  makeTemporaryDirectory,
  readTextFile,
  readTextFileIfPresent,
  removeDirectory,
  writeFileAtomic,
} from "../../../src/runtime/files.ts";

let directory: string;
beforeEach(async () => {
  directory = await makeTemporaryDirectory("bowline-files-test");
});
afterEach(() => removeDirectory(directory));

async function failure(promise: Promise<unknown>): Promise<FileError> {
  const error = await promise.then(() => undefined, (error) => error);
  expect(error).toBeInstanceOf(FileError);
  return error;
}

describe("readTextFile()", () => {
  test("reads up to the limit and refuses one byte more", async () => {
    const path = join(directory, "token");
    writeFileSync(path, "12345");
    expect(await readTextFile(path, 5)).toBe("12345");
    const error = await failure(readTextFile(path, 4));
    expect(error.code).toBe("too-large");
    expect(error.message).toBe(`Cannot read ${path}: it is longer than 4 bytes`);
  });

  test("reads a file that is longer than one read", async () => {
    const path = join(directory, "state");
    const text = "ä".repeat(100_000);
    writeFileSync(path, text);
    expect(await readTextFile(path, 200_000)).toBe(text);
  });

  test("says which file is missing", async () => {
    const path = join(directory, "nothing");
    const error = await failure(readTextFile(path, 10));
    expect(error.code).toBe("not-found");
    expect(error.message).toBe(`Cannot read ${path}: there is no such file or directory`);
    expect(await readTextFileIfPresent(path, 10)).toBeUndefined();
  });

  test("refuses a directory", async () => {
    expect((await failure(readTextFile(directory, 10))).code).toBe("wrong-kind");
    expect((await failure(readTextFileIfPresent(directory, 10))).code).toBe("wrong-kind");
  });
});

describe("writeFileAtomic()", () => {
  test("replaces a file, private by default, and leaves nothing beside it", async () => {
    const path = join(directory, "key.pem");
    await writeFileAtomic(path, "one");
    await writeFileAtomic(path, new TextEncoder().encode("two"));
    expect(readFileSync(path, "utf8")).toBe("two");
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(directory)).toEqual(["key.pem"]);
  });

  test("keeps the old content and cleans up when it fails", async () => {
    const path = join(directory, "taken");
    mkdirSync(join(path, "inside"), { recursive: true });
    await failure(writeFileAtomic(path, "x"));
    expect(readdirSync(directory)).toEqual(["taken"]);
  });

  test("says when the directory is missing", async () => {
    expect((await failure(writeFileAtomic(join(directory, "a", "b"), "x"))).code).toBe("not-found");
  });
});

test("makePrivateDirectory() makes parents too, for the owner alone", async () => {
  const path = join(directory, "a", "b");
  await makePrivateDirectory(path);
  expect(statSync(path).mode & 0o777).toBe(0o700);
  await makePrivateDirectory(path);
});

test("makePrivateDirectory() refuses a path through a file", async () => {
  writeFileSync(join(directory, "file"), "");
  expect((await failure(makePrivateDirectory(join(directory, "file")))).code).toBe("wrong-kind");
  expect((await failure(makePrivateDirectory(join(directory, "file", "a")))).code).toBe("wrong-kind");
});
