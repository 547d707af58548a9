import { expect, test } from "bun:test";
import { refusedIn } from "../../../src/config/schema/unimplemented.ts";

test("refusedIn() says nothing of documents that are not what their kind should be", () => {
  for (const document of [null, [], {}, { spec: [] }, { spec: { http: {}, tcp: null } }]) {
    expect(refusedIn("VirtualService", document)).toEqual([]);
  }
});

test("refusedIn() knows nothing of a kind that nothing is refused of", () => {
  expect(refusedIn("Service", { spec: { tcp: 1 } })).toEqual([]);
});
