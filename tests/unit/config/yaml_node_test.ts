import { describe, expect, test } from "bun:test";
import { FILE_BYTES_MAX } from "../../../src/runtime/read_files.ts";
import { parseYaml, YAML_DEPTH_MAX, YAML_VALUES_MAX } from "../../../src/config/yaml_node.ts";

function parse(text: string) {
  const { nodes, findings } = parseYaml({ file: "a.yaml", text });
  return {
    values: nodes.map((node) => node.value),
    messages: findings.map((finding) => finding.message),
    nodes,
  };
}

const TOO_DEEP = [`lists and mappings are nested more than ${YAML_DEPTH_MAX} deep`];

describe("parseYaml() limits", () => {
  test("parseYaml() reads a file of the largest size and refuses one byte more", () => {
    expect(parse("#".repeat(FILE_BYTES_MAX))).toMatchObject({ values: [], messages: [] });
    const tooLarge = [`the file is larger than ${FILE_BYTES_MAX} bytes`];
    expect(parse("#".repeat(FILE_BYTES_MAX + 1)).messages).toEqual(tooLarge);
    expect(parse("#" + "é".repeat(FILE_BYTES_MAX / 2)).messages).toEqual(tooLarge);
  });

  test("parseYaml() reads collections of the greatest depth and refuses one more", () => {
    const nested = (depth: number) => "[".repeat(depth) + "]".repeat(depth);
    expect(parse(nested(YAML_DEPTH_MAX)).messages).toEqual([]);
    expect(parse(nested(YAML_DEPTH_MAX + 1)).messages).toEqual(TOO_DEEP);
    const blocks = (depth: number) => `${"- ".repeat(depth)}a`;
    expect(parse(blocks(YAML_DEPTH_MAX)).messages).toEqual([]);
    expect(parse(blocks(YAML_DEPTH_MAX + 1)).messages).toEqual(TOO_DEEP);
  });

  test("parseYaml() survives nesting of every kind that fills a whole file", () => {
    for (const opening of ["[", "{a: ", "- ", "? ", "{? "]) {
      const text = opening.repeat(Math.floor(FILE_BYTES_MAX / opening.length));
      expect(parse(text).messages).toEqual(TOO_DEEP);
    }
  });

  test("parseYaml() reads as many values as its limit and refuses one more", () => {
    const list = (items: number) => `[${"1,".repeat(items)}]`;
    expect(parse(list(YAML_VALUES_MAX - 1)).messages).toEqual([]);
    const tooMany = [`the file holds more than ${YAML_VALUES_MAX} values`];
    expect(parse(list(YAML_VALUES_MAX)).messages).toEqual(tooMany);
  });

  test("parseYaml() reads a mapping of very many keys in time that grows with their number", () => {
    const keys = (count: number) => Array.from({ length: count }, (_, index) => `k${index}: 1\n`).join("");
    expect(parse(keys(40_000)).messages).toEqual([]);
    expect(parse(`${keys(40_000)}k7: 2\n`).messages).toEqual(['the key "k7" stands twice in one mapping']);
  });

  test("parseYaml() counts aliases as what they stand for", () => {
    const names = "abcdefg";
    const text = [...names].map((name, index) =>
      index === 0 ? `a: &a [${"x,".repeat(9)}]` : `${name}: &${name} [${`*${names[index - 1]},`.repeat(9)}]`
    ).join("\n");
    expect(parse(text).messages).toEqual([`the file holds more than ${YAML_VALUES_MAX} values`]);
  });

  test("parseYaml() refuses an alias inside its own anchor", () => {
    expect(parse("&a [*a]").messages).toEqual(TOO_DEEP);
  });
});

describe("parseYaml() faults", () => {
  const cases: [string, string][] = [
    [
      "a: [",
      "not valid YAML: flow sequence in block collection must be sufficiently indented and end with a ]",
    ],
    ["a: 1\na: 2", 'the key "a" stands twice in one mapping'],
    ["a: *b", "nothing before defines the anchor &b"],
    ["a: !thing 1", "not valid YAML: unresolved tag: !thing"],
    ["? [a]\n: 1", "not valid YAML: with stringKeys, all keys must be strings"],
    ["__proto__: {a: 1}", '"__proto__" cannot be the name of a field'],
    ["a: {constructor: 1}", '"constructor" cannot be the name of a field'],
  ];
  for (const [text, message] of cases) {
    test(`parseYaml() says of ${JSON.stringify(text)}: ${message}`, () => {
      expect(parse(text).messages).toEqual([message]);
    });
  }

  test("parseYaml() reads the documents beside a broken one", () => {
    const { values, messages } = parse("a: 1\n---\na: 'b\n---\nc: 3\n");
    expect(values[0]).toEqual({ a: 1 });
    expect(messages).toHaveLength(1);
  });
});

describe("YamlNode", () => {
  test("positionOf() counts lines rightly after a broken document", () => {
    const [node] = parse("*a: 1\nb: 1\n---\nx: 1\n").nodes;
    expect(node?.positionOf(["x"])).toEqual({ file: "a.yaml", line: 4, column: 4 });
  });

  test("positionOf() finds values, and keyPositionOf() their keys", () => {
    const [node] = parse("a:\n  b:\n    - c: 1\n    - d\n").nodes;
    expect(node?.positionOf(["a", "b", 0, "c"])).toEqual({ file: "a.yaml", line: 3, column: 10 });
    expect(node?.keyPositionOf(["a", "b", 0, "c"])).toEqual({ file: "a.yaml", line: 3, column: 7 });
    expect(node?.keyPositionOf(["a", "b"])).toEqual({ file: "a.yaml", line: 2, column: 3 });
    expect(node?.keyPositionOf(["a", "b", 1])).toEqual({ file: "a.yaml", line: 4, column: 7 });
  });

  test("positionOf() follows an alias to where the value was written", () => {
    const [node] = parse("a: &x {b: 1}\nc: *x\n").nodes;
    expect(node?.positionOf(["c"])).toEqual({ file: "a.yaml", line: 2, column: 4 });
    expect(node?.positionOf(["c", "b"])).toEqual({ file: "a.yaml", line: 1, column: 11 });
  });

  test("positionOf() finds keys that JavaScript orders in its own way, and what comes after values of every kind", () => {
    const [node] = parse("b: [[1, 2], {}, ]\n90: x\n80: {c: }\na: &x [1]\nd: [*x, 2]\n").nodes;
    const lines = [["b", 0, 1], ["90"], ["80"], ["80", "c"], ["a", 0], ["d", 0, 0], ["d", 1], ["e"]]
      .map((path) => node?.positionOf(path)).map((at) => `${at?.line}:${at?.column}`);
    expect(lines).toEqual(["1:9", "2:5", "3:5", "3:9", "4:8", "4:8", "5:9", "1:1"]);
    expect(node?.items(["d"]).map((item) => item.positionOf([0]).line)).toEqual([4, 5]);
  });

  test("an alias stands for the last anchor of its name before it", () => {
    expect(parse("a: &x 1\nb: *x\nc: &x 2\nd: *x\n").values).toEqual([{ a: 1, b: 1, c: 2, d: 2 }]);
  });

  test("keys are text, as in JSON", () => {
    expect(parse("80: a\ntrue: b\n").values).toEqual([{ "80": "a", "true": "b" }]);
  });
});
