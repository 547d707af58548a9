/**
 * Golden files: what a user reads, kept whole under `tests/golden/` and compared byte for byte. A file is either the
 * expected text alone, or an input, a line of dashes, and the expected text. `deno task golden:update` rewrites the
 * expected part of each; read the diff.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect } from "bun:test";

const DIRECTORY = join(import.meta.dir, "golden");

/** Longer than YAML's own `---`, which may stand in an input. */
const SEPARATOR = /^-{20,}\n/m;

/** Expects `actual` to be what `path` (relative to `tests/golden/`) holds after its input, if it has one. */
export function golden(path: string, actual: string): void {
  const file = join(DIRECTORY, path);
  const { head, expected } = existsSync(file)
    ? split(readFileSync(file, "utf8"))
    : { head: "", expected: null };
  const text = actual === "" || actual.endsWith("\n") ? actual : `${actual}\n`;
  if (process.env["GOLDEN_UPDATE"] === "1") {
    if (expected === text) return;
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, head + text);
    return;
  }
  if (expected === null) {
    throw new Error(`No golden file ${path}: run deno task golden:update and read the diff`);
  }
  expect(text).toBe(expected);
}

/** The input of a golden file: everything before its line of dashes. */
export function goldenInput(path: string): string {
  const text = readFileSync(join(DIRECTORY, path), "utf8");
  const { head } = split(text);
  if (head === "") throw new Error(`The golden file ${path} has no line of dashes`);
  return head.replace(SEPARATOR, "");
}

/** The golden files of a folder, relative to `tests/golden/`, sorted. */
export function goldenFiles(folder: string): string[] {
  return readdirSync(join(DIRECTORY, folder)).sort().map((name) => join(folder, name));
}

/** `head` is the input with its line of dashes, or empty. */
function split(text: string): { head: string; expected: string } {
  const match = SEPARATOR.exec(text);
  if (match === null) return { head: "", expected: text };
  const end = match.index + match[0].length;
  return { head: text.slice(0, end), expected: text.slice(end) };
}
