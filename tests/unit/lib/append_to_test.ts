import { expect, test } from "bun:test";
import { appendTo } from "../../../src/lib/append_to.ts";

test("appendTo() begins a list, and goes on with it", () => {
  const lists = new Map<string, number[]>();
  for (const [key, item] of [["a", 1], ["b", 2], ["a", 3]] as const) appendTo(lists, key, item);
  expect([...lists]).toEqual([["a", [1, 3]], ["b", [2]]]);
});
