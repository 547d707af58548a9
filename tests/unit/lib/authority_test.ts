/** Hosts and ports in one text. */
import { expect, test } from "bun:test";
import { formatAuthority } from "../../../src/lib/authority.ts";
import { isHostPort } from "../../../src/identity/join_token_claims.ts";

test.each([
  ["10.0.0.9", "10.0.0.9:15012"],
  ["mesh.example", "mesh.example:15012"],
  ["fd00::9", "[fd00::9]:15012"],
])("formatAuthority() makes of %s what a join token may hold", (hostname, text) => {
  expect(formatAuthority({ hostname, port: 15_012 })).toBe(text);
  expect(isHostPort(text)).toBe(true);
});
