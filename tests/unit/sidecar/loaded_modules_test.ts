/** What a process loads that has been told to be a sidecar: whatever is in the closure of imports stays in its memory. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";

const SRC = join(import.meta.dirname, "../../../src");

/** What is loaded on the way: each of them imports the next one when it is needed. */
const ENTRIES = ["main.ts", "cli/run_command.ts", "sidecar/sidecar.ts"];

const typescript = new Bun.Transpiler({ loader: "ts" });

const { files, packages } = closure(ENTRIES.map((entry) => join(SRC, entry)));

test("a sidecar loads no library but the command line's until it needs one", () => {
  expect([...packages].filter((name) => !name.startsWith("node:")).sort()).toEqual(["commander"]);
});

test("a sidecar loads nothing of the other roles", () => {
  const folders = new Set([...files].map((file) => file.slice(SRC.length + 1).split("/")[0]));
  for (const folder of ["control", "pilot", "citadel", "mixer", "ui"]) expect(folders).not.toContain(folder);
});

test("a sidecar loads of node what reads files and names, and no more", () => {
  expect([...packages].filter((name) => name.startsWith("node:")).sort())
    .toEqual(["node:fs", "node:fs/promises", "node:os", "node:path"]);
});

/** All files that are loaded with these, and the packages that they name; imports of types are none. */
function closure(entries: readonly string[]): { files: ReadonlySet<string>; packages: ReadonlySet<string> } {
  const files = new Set(entries);
  const packages = new Set<string>();
  for (const file of files) {
    if (!file.endsWith(".ts")) continue;
    for (const { kind, path } of typescript.scanImports(readFileSync(file, "utf8"))) {
      if (kind !== "import-statement") continue;
      if (path.startsWith(".")) files.add(join(dirname(file), path));
      else packages.add(path);
    }
  }
  return { files, packages };
}
