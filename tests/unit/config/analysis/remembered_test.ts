import { expect, test } from "bun:test";
import { remembered } from "../../../../src/config/analysis/remembered.ts";
import type { ConfigResource } from "../../../../src/config/resource.ts";

function resource(name: string): ConfigResource<string> {
  return { name } as ConfigResource<string>;
}

test("remembered() looks at a resource once, however many lists it stands in, and in the order of each", () => {
  const looked: string[] = [];
  const found = remembered(({ name }: ConfigResource<string>) => {
    looked.push(name);
    return [name, name.toUpperCase()];
  });
  const [a, b, edited] = [resource("a"), resource("b"), resource("b")];
  const list = [a, b];
  expect(found(list)).toEqual(["a", "A", "b", "B"]);
  expect(found(list)).toBe(found(list));
  expect(found([edited, a])).toEqual(["b", "B", "a", "A"]);
  expect(looked).toEqual(["a", "b", "b"]);
});
