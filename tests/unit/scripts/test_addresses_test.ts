import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "../../..");

/** Where the meshes of these files have their addresses, each once. */
function subnets(...files: readonly string[]): string[] {
  const texts = files.map((file) => readFileSync(join(ROOT, file), "utf8")).join("\n");
  const found = [...texts.matchAll(/"(127\.0\.\d+)(?:\.\d+)?"/g)].map(([, subnet = ""]) => subnet);
  return [...new Set(found)].filter((subnet) => subnet !== "127.0.0");
}

function filesIn(folder: string): string[] {
  const entries = readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map(({ parentPath, name }) => join(parentPath, name).slice(ROOT.length + 1));
}

test("no two files of integration tests have a subnet in common, nor with a bench: they run at the same time", () => {
  const tests = filesIn("tests/integration").filter((name) => name.endsWith("_test.ts"));
  const bench = ["scripts/bench_control.ts", ...filesIn("scripts/bench")];
  const taken = [
    ...tests.flatMap((file) => subnets(file)),
    ...subnets("scripts/scorecard/stand.ts"),
    ...subnets(...bench),
  ];
  expect(taken.length).toBeGreaterThan(tests.length / 2);
  expect(taken.filter((subnet, index) => taken.indexOf(subnet) !== index)).toEqual([]);
});
