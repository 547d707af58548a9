import { describe, expect, test } from "bun:test";
import { KINDS } from "../../../../src/config/schema/kinds.ts";
import { refusedIn, UNIMPLEMENTED } from "../../../../src/config/schema/unimplemented.ts";
import { validate } from "../../../../src/config/schema_findings.ts";
import { parseYaml } from "../../../../src/config/yaml_node.ts";
import { document, findingsOf } from "../config_texts.ts";

/** A value that has just the field at a path such as `http[].timeout`. */
function holder(path: string): unknown {
  const [first = "", ...rest] = path.split(".");
  const value = rest.length === 0 ? null : holder(rest.join("."));
  return first.endsWith("[]") ? { [first.slice(0, -2)]: [value] } : { [first]: value };
}

describe("UNIMPLEMENTED", () => {
  const refusals = Object.entries(UNIMPLEMENTED).flatMap(([group, all]) =>
    all.map((one) => ({ group, ...one }))
  );

  test.each(refusals)(
    "$group: $kind has the field $path, should it ever be implemented",
    ({ kind, path }) => {
      // Below a port's settings stands no second list of such.
      if (/portLevelSettings.*(portLevelSettings|retryBudget)/.test(path)) return;
      const text = JSON.stringify({ apiVersion: "a", kind, metadata: { name: "a" }, spec: holder(path) });
      const [node] = parseYaml({ file: "a.yaml", text }).nodes;
      const schema = KINDS.get(kind)?.schema;
      if (node === undefined || schema === undefined) throw new Error(`There is no kind ${kind}`);
      const codes = validate(schema, node, null, false).findings.map(({ code }) => code);
      expect(codes).not.toContain("BOW0003");
    },
  );
});

describe("refusedIn()", () => {
  test("refusedIn() says nothing of documents that are not what their kind should be", () => {
    for (const odd of [null, [], {}, { spec: [] }, { spec: { http: {}, tcp: null } }]) {
      expect(refusedIn("VirtualService", odd)).toEqual([]);
    }
  });

  test("refusedIn() knows nothing of a kind that nothing is refused of", () => {
    expect(refusedIn("Service", { spec: { tcp: 1 } })).toEqual([]);
  });
});

describe("lenient", () => {
  test("what is empty without a field that is dropped goes with it", () => {
    const spec = "egress: [{hosts: ['*/*']}]\noutboundTrafficPolicy: {egressProxy: {host: a.com}}";
    const found = findingsOf([document("Sidecar", "a", spec)], { lenient: true });
    expect(found.map((finding) => finding.split(" ")[2])).toEqual(["BOW0004"]);
  });
});
