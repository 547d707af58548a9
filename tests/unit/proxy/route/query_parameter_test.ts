import { describe, expect, test } from "bun:test";
import { queryParameter } from "../../../../src/proxy/route/query_parameter.ts";

describe("queryParameter()", () => {
  test.each([
    ["/", "a", undefined],
    ["/?", "", ""],
    ["/?a", "a", ""],
    ["/?a=b=c", "a", "b=c"],
    ["/?x=1&a=2", "a", "2"],
    ["/?aa=1", "a", undefined],
    ["/?%61=1", "a", undefined],
    ["/?x=1?a=2", "a", undefined],
  ])("queryParameter(%p, %p) is %p", (path, name, expected) => {
    expect(queryParameter(path, name)).toBe(expected as string);
  });
});
