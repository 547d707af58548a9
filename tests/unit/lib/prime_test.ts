import { expect, test } from "bun:test";
import { isPrime } from "../../../src/lib/prime.ts";

test("isPrime() takes whole numbers that nothing divides", () => {
  const found = Array.from({ length: 30 }, (_, number) => number).filter(isPrime);
  expect(found).toEqual([2, 3, 5, 7, 11, 13, 17, 19, 23, 29]);
  expect([-7, 2.5, Number.NaN, Number.POSITIVE_INFINITY].filter(isPrime)).toEqual([]);
  expect(isPrime(65_537)).toBe(true);
});
