import { expect, test } from "bun:test";
import { BoundedBytes } from "../../../src/lib/bounded_bytes.ts";

test("BoundedBytes takes as many bytes as its limit, and not one more", () => {
  const bytes = new BoundedBytes(4);
  expect(bytes.add(Uint8Array.of(1, 2, 3))).toBe(true);
  expect(bytes.add(Uint8Array.of(4))).toBe(true);
  expect(bytes.add(new Uint8Array())).toBe(true);
  expect(bytes.add(Uint8Array.of(5))).toBe(false);
  expect([...bytes.joined()]).toEqual([1, 2, 3, 4]);
});

test("BoundedBytes.text() puts characters together that came in two pieces", () => {
  const bytes = new BoundedBytes(10);
  const [first, second, ...rest] = new TextEncoder().encode("é!");
  for (const piece of [[first], [second, ...rest]]) bytes.add(Uint8Array.from(piece as number[]));
  expect(bytes.text()).toBe("é!");
});
