import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FileWriters } from "../../../src/runtime/file_writers.ts";

let root = "";
let writers: FileWriters;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "bowline-writers-"));
  writers = new FileWriters((name) => name.endsWith(".yaml"));
  writers.watch(new Set([root]));
});

afterEach(() => {
  writers.close();
  rmSync(root, { recursive: true, force: true });
});

const at = (name: string) => join(root, name);

/** Who writes `a.yaml`, once everything is taken in. */
function writer(): string | undefined {
  writers.refresh();
  return writers.writerOf(at("a.yaml"));
}

test("FileWriters know who writes a file until it is closed", () => {
  expect(writer()).toBeUndefined();
  const descriptor = openSync(at("a.yaml"), "w");
  expect(writer()).toBeUndefined();
  writeSync(descriptor, "a: 1\n");
  expect([writer(), writers.areWriting]).toEqual(["writing", true]);
  expect([...writers.refresh()]).toEqual([]);
  closeSync(descriptor);
  expect([...writers.refresh()]).toEqual([at("a.yaml")]);
  expect([writer(), writers.areWriting]).toEqual(["done", false]);
  writeFileSync(at("a.yaml"), "a: 2\n");
  expect(writer()).toBe("done");
});

test("FileWriters know of a file that is moved here, and nothing of one that is gone", () => {
  writeFileSync(at("new"), "a: 1\n");
  renameSync(at("new"), at("a.yaml"));
  expect(writer()).toBe("done");
  rmSync(at("a.yaml"));
  expect(writer()).toBeUndefined();
});

test("FileWriters heed neither other files nor directories that are watched no more", () => {
  writeFileSync(at(".a.swp"), "1");
  expect([...writers.refresh()]).toEqual([]);
  writers.watch(new Set());
  writeFileSync(at("a.yaml"), "1");
  expect([...writers.refresh()]).toEqual([]);
  writers.watch(new Set([root]));
  writeFileSync(at("a.yaml"), "2");
  expect(writer()).toBe("done");
});

test("FileWriters follow a directory that takes the place of another", () => {
  rmSync(root, { recursive: true });
  mkdirSync(root);
  writers.watch(new Set([root]));
  writeFileSync(at("a.yaml"), "1");
  expect(writer()).toBe("done");
});

test("FileWriters take what is not there for unknown", () => {
  writers.watch(new Set([join(root, "nowhere")]));
  expect(writer()).toBeUndefined();
});
