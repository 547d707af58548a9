import { expect, test } from "bun:test";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ChangingFile } from "../../../src/runtime/changing_file.ts";

test("ChangingFile reads again what was written over, or put in its place, and keeps what it read last", () => {
  const directory = mkdtempSync(join(tmpdir(), "bowline-file-"));
  const path = join(directory, "a");
  const file = new ChangingFile(path, 10);
  expect(() => file.read()).toThrow(`Cannot read ${path}: there is no such file or directory`);
  writeFileSync(path, "0123456789");
  expect(file.read()).toBe("0123456789");
  writeFileSync(path, "one");
  expect(file.read()).toBe("one");
  writeFileSync(`${path}.new`, "two");
  renameSync(`${path}.new`, path);
  expect(file.read()).toBe("two");
  writeFileSync(path, "0123456789a");
  expect(file.read()).toBe("two");
  expect(() => new ChangingFile(path, 10).read()).toThrow(`${path}: it is longer than 10 bytes`);
  rmSync(directory, { recursive: true });
  expect(file.read()).toBe("two");
});
