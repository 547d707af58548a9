/** Checks layers and habits over the whole repository: a part of `deno task ok`. Exit code 1 when anything is wrong. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { importCircles } from "./import_circles.ts";
import { checkLayers, importedFiles, type Problem } from "./layer_rules.ts";
import { checkTidy, checkTopLevel } from "./tidy_rules.ts";

/** Golden files are data: they may be named after what they test. */
const NOT_CODE = "tests/golden/";

const root = join(import.meta.dirname, "..");
const problems: Problem[] = checkTopLevel(readdirSync(root));
const warnings: Problem[] = [];
const imports = new Map<string, readonly string[]>();
let files = 0;

for (const folder of ["src", "tests", "scripts"]) {
  for (const entry of readdirSync(join(root, folder), { recursive: true, withFileTypes: true })) {
    const file = join(entry.parentPath, entry.name).slice(root.length + 1);
    if (!entry.isFile() || file.startsWith(NOT_CODE)) continue;
    const text = readFileSync(join(root, file), "utf8");
    if (file.startsWith("src/") && file.endsWith(".ts")) {
      problems.push(...checkLayers(file, text));
      imports.set(file, importedFiles(file, text));
    }
    const tidy = checkTidy(file, text);
    problems.push(...tidy.problems);
    warnings.push(...tidy.warnings);
    files++;
  }
}

for (const [file, ...others] of importCircles(imports)) {
  const message = `It imports ${others.join(", which imports ")}: what they share belongs into a file below`;
  problems.push({ file: file as string, line: 1, message });
}
for (const { file, line, message } of warnings) console.error(`${file}:${line}: warning: ${message}`);
for (const { file, line, message } of problems) console.error(`${file}:${line}: ${message}`);
console.error(
  problems.length === 0
    ? `Layers and habits hold in ${files} files`
    : `${problems.length} problems in ${files} files`,
);
process.exit(problems.length === 0 ? 0 : 1);
