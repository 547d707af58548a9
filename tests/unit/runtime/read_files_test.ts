import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { FileReadError, readSourceFiles } from "../../../src/runtime/read_files.ts";

/** A user that owns no file. */
const NOBODY = 65_534;

let root = "";

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "bowline-read-"));
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

function write(file: string, content: string | Uint8Array = file): void {
  mkdirSync(dirname(join(root, file)), { recursive: true });
  writeFileSync(join(root, file), content);
}

async function refusal(path: string, limits = LIMITS): Promise<FileReadError> {
  try {
    await readSourceFiles(path, limits);
  } catch (error) {
    if (error instanceof FileReadError) return error;
    throw error;
  }
  throw new Error("It was read");
}

const LIMITS = { fileBytesMax: 16, filesMax: 3, directoryDepthMax: 2 };

describe("readSourceFiles()", () => {
  test("readSourceFiles() finds YAML at any depth, sorted, without dotfiles and other files", async () => {
    for (const file of ["b.yaml", "a/c.yml", "a.yaml", "a/notes.txt", ".hidden.yaml", ".git/x.yaml"]) {
      write(file);
    }
    const files = await readSourceFiles(root);
    expect(files).toEqual(["a.yaml", "a/c.yml", "b.yaml"].map((file) => ({
      file,
      path: join(root, file),
      text: file,
    })));
  });

  test("readSourceFiles() reads one file whatever its name", async () => {
    write("rule.txt");
    expect(await readSourceFiles(join(root, "rule.txt"))).toMatchObject([{
      file: "rule.txt",
      text: "rule.txt",
    }]);
  });

  test("readSourceFiles() follows symbolic links, as a mounted ConfigMap has them", async () => {
    write("..data_1/a.yaml", "one");
    symlinkSync("..data_1", join(root, "..data"));
    symlinkSync("..data/a.yaml", join(root, "a.yaml"));
    expect(await readSourceFiles(root)).toMatchObject([{ file: "a.yaml", text: "one" }]);
  });

  test("readSourceFiles() names what does not exist", async () => {
    const error = await refusal(join(root, "none"));
    expect(error).toMatchObject({ code: "not-found", file: "", path: join(root, "none") });
    expect(error.message).toBe(`Could not read ${join(root, "none")}: there is no such file or directory`);
    symlinkSync("nowhere", join(root, "dead.yaml"));
    expect(await refusal(root)).toMatchObject({ code: "not-found", file: "dead.yaml" });
  });

  test("readSourceFiles() passes over what it would not read, though it leads nowhere", async () => {
    write("a.yaml");
    symlinkSync("nowhere", join(root, "dead.txt"));
    expect(await readSourceFiles(root)).toMatchObject([{ file: "a.yaml" }]);
  });

  test("readSourceFiles() names what is not permitted", async () => {
    write("a.yaml");
    chmodSync(join(root, "a.yaml"), 0);
    chmodSync(root, 0o755);
    // Root reads everything.
    const isRoot = process.geteuid?.() === 0;
    if (isRoot) process.seteuid?.(NOBODY);
    try {
      expect(await refusal(root)).toMatchObject({ code: "permission-denied", file: "a.yaml" });
    } finally {
      if (isRoot) process.seteuid?.(0);
    }
  });

  test("readSourceFiles() refuses what is not UTF-8, and what is not a file", async () => {
    write("a.yaml", new Uint8Array([0x61, 0xff]));
    expect(await refusal(root)).toMatchObject({ code: "not-utf8", file: "a.yaml" });
    expect(await refusal("/dev/null")).toMatchObject({ code: "failed" });
  });

  test("readSourceFiles() reads a file of the largest size and refuses one byte more", async () => {
    write("a.yaml", "x".repeat(16));
    expect(await readSourceFiles(root, LIMITS)).toHaveLength(1);
    write("a.yaml", "x".repeat(17));
    expect(await refusal(root)).toMatchObject({ code: "too-large", file: "a.yaml" });
  });

  test("readSourceFiles() reads as many files as its limit and refuses one more", async () => {
    for (const file of ["a.yaml", "b.yaml", "c/d.yaml"]) write(file);
    expect(await readSourceFiles(root, LIMITS)).toHaveLength(3);
    write("c/e.yaml");
    expect(await refusal(root)).toMatchObject({ code: "too-many" });
  });

  test("readSourceFiles() reads directories of the greatest depth and refuses one more", async () => {
    write("a/b/c.yaml");
    expect(await readSourceFiles(root, LIMITS)).toHaveLength(1);
    write("a/b/d/c.yaml");
    expect(await refusal(root)).toMatchObject({ code: "too-deep", file: "a/b/d" });
  });

  test("readSourceFiles() ends at a circle of links", async () => {
    symlinkSync(".", join(root, "again"));
    expect(await refusal(root)).toMatchObject({ code: "too-deep" });
  });
});
