import { expect, test } from "bun:test";
import { afterCallback, beginCallback, endCallback } from "../../../src/lib/turn.ts";

test("afterCallback() waits for the end of the outermost callback, and keeps the order", () => {
  const done: string[] = [];
  beginCallback();
  afterCallback(() => {
    done.push("first");
    afterCallback(() => done.push("added"));
  });
  beginCallback();
  afterCallback(() => done.push("second"));
  endCallback();
  expect(done).toEqual([]);
  endCallback();
  expect(done).toEqual(["first", "second", "added"]);
});

test("afterCallback() outside of any callback is a microtask", async () => {
  const done: string[] = [];
  afterCallback(() => done.push("done"));
  expect(done).toEqual([]);
  await Promise.resolve();
  expect(done).toEqual(["done"]);
});

test("endCallback() lets the others come when one of them throws", async () => {
  const done: string[] = [];
  beginCallback();
  afterCallback(() => {
    throw new Error("broken");
  });
  afterCallback(() => done.push("other"));
  expect(endCallback).toThrow("broken");
  await Promise.resolve();
  expect(done).toEqual(["other"]);
  // Nothing is left over for the next one.
  beginCallback();
  afterCallback(() => done.push("next"));
  endCallback();
  expect(done).toEqual(["other", "next"]);
});
