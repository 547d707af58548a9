import { expect, test } from "bun:test";
import { newMemberKey } from "../../../src/citadel/member_key.ts";
import { parseWorkloadKey } from "../../../src/model/workload.ts";

test("newMemberKey() names members after their group, and no two alike", () => {
  const keys = Array.from({ length: 1000 }, () => newMemberKey("shop/search"));
  expect(new Set(keys).size).toBe(1000);
  for (const key of keys) {
    expect(key).toMatch(/^shop\/search-[bcdfghjklmnpqrstvwxz2456789]{8}$/);
    expect(parseWorkloadKey(key)).toBeDefined();
  }
});
