import { describe, expect, test } from "bun:test";
import { formatFinding } from "../../../../src/config/format_finding.ts";
import { readExpectations } from "../../../../src/cli/expectations/expectations_file.ts";

function read(expected: string) {
  const text = `tests:\n- name: a\n  from: shop/front\n  request: GET http://cart/\n  expect: ${expected}\n`;
  const { file, findings } = readExpectations({ file: "test.yaml", text });
  return file === null ? findings.map(formatFinding) : file.expectations.map(({ expect }) => expect);
}

describe("readExpectations()", () => {
  test("readExpectations() takes fields of the answer, an action by its name", () => {
    expect(read("{action: not-found, timeoutMs: null}")).toEqual([{ action: "not-found", timeoutMs: null }]);
  });

  test("readExpectations() refuses an action that there is not, which no answer could have", () => {
    expect(read("{action: foward}")).toEqual([
      'test.yaml:5:20: error IST0106 tests[0].expect.action: "foward" is not what becomes of a request; one of ' +
      "forward, redirect, direct-response, abort, passthrough, blocked, not-found, refused",
    ]);
  });

  test("readExpectations() refuses fields that no answer has, and to expect nothing", () => {
    expect(read("{status: 200}")).toEqual([
      'test.yaml:5:12: error BOW0003 tests[0].expect.status: unknown field "status"',
    ]);
    expect(read("{}")).toHaveLength(1);
  });

  test("readExpectations() takes the claims of a token as a mapping", () => {
    const read = (claims: string) => {
      const test =
        `{name: a, from: edge/in, request: GET http://web/, claims: ${claims}, expect: {action: forward}}`;
      const { file, findings } = readExpectations({ file: "test.yaml", text: `tests: [${test}]` });
      return file?.expectations[0]?.claims ?? findings.map(formatFinding);
    };
    expect(read("{sub: ann, realm: {roles: [a, b]}}")).toBe('{"sub":"ann","realm":{"roles":["a","b"]}}');
    expect(read('\'{"sub": "ann"}\'')).toEqual([
      expect.stringContaining('tests[0].claims: "{\\"sub\\": \\"ann\\"}" is no mapping of claims'),
    ]);
    expect(read("[a]")).toHaveLength(1);
  });

  test("readExpectations() takes the client of a gateway, and what its own policies say", () => {
    const test = "{name: a, from: edge/in, request: GET http://web/, client: 203.0.113.7, " +
      "expect: {gatewayAuthorization: {decision: deny}}}";
    const { file } = readExpectations({ file: "test.yaml", text: `tests: [${test}]` });
    expect(file?.expectations).toMatchObject([
      { client: "203.0.113.7", expect: { gatewayAuthorization: { decision: "deny" } } },
    ]);
  });
});
