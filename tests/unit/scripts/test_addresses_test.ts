import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "../../..");

/** Where the meshes of a file have their addresses. */
function subnets(file: string): string[] {
  return [...readFileSync(join(ROOT, file), "utf8").matchAll(/"(127\.0\.\d+)"/g)].map(([, subnet = ""]) =>
    subnet
  );
}

test("no two files of integration tests have a subnet in common, since they run at the same time", () => {
  const files = readdirSync(join(ROOT, "tests/integration")).filter((name) => name.endsWith("_test.ts"))
    .map((name) => `tests/integration/${name}`);
  const taken = [...files, "scripts/scorecard/stand.ts"].flatMap(subnets);
  expect(taken.length).toBeGreaterThan(files.length / 2);
  expect(taken.filter((subnet, index) => taken.indexOf(subnet) !== index)).toEqual([]);
});
