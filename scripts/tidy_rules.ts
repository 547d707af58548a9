/** The repository's habits that a program can check: names, sizes, banned calls, leftovers. */
import type { Problem } from "./layer_rules.ts";
import { lineAt, splitSource } from "./source_text.ts";

/** A file that grows past this usually hides two ideas. */
export const FILE_LINES_WARNING = 450;
export const FILE_LINES_MAX = 500;

/** What may stand at the top of the repository, beside dotfiles. */
const TOP_LEVEL: readonly string[] = [
  "deno.json",
  "deno.lock",
  "src",
  "tests",
  "config",
  "scripts",
  "README.md",
  "node_modules",
  "dist",
];

/** Calls that tie a file to one machine's time, luck or runtime. */
const BANNED: readonly { pattern: RegExp; instead: string }[] = [
  { pattern: /\bBun\s*\./g, instead: "wrap it in src/runtime" },
  { pattern: /(?<![.\w])process\s*\./g, instead: "use src/runtime/process.ts" },
  { pattern: /\bDate\s*\.\s*now\b/g, instead: "take a Clock" },
  { pattern: /\bnew\s+Date\b\s*(?:\(\s*\)|(?!\s*\())/g, instead: "take a Clock" },
  { pattern: /\bperformance\s*\.\s*now\b/g, instead: "take a Clock" },
  { pattern: /(?<!\.)\b(?:setTimeout|setInterval|setImmediate)\b/g, instead: "take a Clock" },
  { pattern: /\bMath\s*\.\s*random\b/g, instead: "take a Random" },
];

const RUNTIME_MODULE = /(["'])(?:node:|bun["':]|bun:)/g;
const LEFTOVER_COMMENT = /\b(?:TODO|FIXME|XXX)\b/g;
const LEFTOVER_TEST = /\b(?:test|it|describe)\s*\.\s*(?:only|skip|todo)\b/g;
const SNAKE_CASE_FOLDER = /^[a-z0-9]+(?:_[a-z0-9]+)*$/;
const SNAKE_CASE_FILE = /^[a-z0-9]+(?:_[a-z0-9]+)*(?:\.[a-z0-9]+)+$/;

export interface TidyResult {
  readonly problems: Problem[];
  readonly warnings: Problem[];
}

/** Problems of one file; `file` is relative to the repository. */
export function checkTidy(file: string, text: string): TidyResult {
  const problems = checkName(file);
  const warnings: Problem[] = [];
  if (!file.endsWith(".ts")) return { problems, warnings };

  const lines = text.split("\n").length - (text.endsWith("\n") ? 1 : 0);
  if (lines > FILE_LINES_WARNING) {
    const message =
      `The file has ${lines} lines, more than ${FILE_LINES_WARNING} (limit ${FILE_LINES_MAX}): look for ` +
      "the second idea in it and give that a file";
    (lines > FILE_LINES_MAX ? problems : warnings).push({ file, line: lines, message });
  }
  if (!file.startsWith("tests/") && !/^\s*(?:#!.*\n\s*)?\/[/*]/.test(text)) {
    problems.push({ file, line: 1, message: "The file must open with a comment that says what it is for" });
  }

  const source = splitSource(text);
  const find = (where: string, pattern: RegExp, message: (found: string) => string) => {
    for (const match of where.matchAll(pattern)) {
      problems.push({ file, line: lineAt(text, match.index), message: message(match[0].trim()) });
    }
  };
  find(source.comments, LEFTOVER_COMMENT, (found) => `"${found}" must not stay: do it, or file an issue`);
  find(source.code, LEFTOVER_TEST, (found) => `"${found}" must not stay: every test runs`);
  if (isPure(file)) {
    for (const { pattern, instead } of BANNED) {
      find(source.code, pattern, (found) => `"${found}" stands in src/runtime and src/lib alone: ${instead}`);
    }
    find(
      importLines(source.codeAndStrings),
      RUNTIME_MODULE,
      () => "Modules of the runtime are imported in src/runtime and src/lib alone: wrap it in src/runtime",
    );
  }
  return { problems, warnings };
}

/** Problems with the entries at the top of the repository. */
export function checkTopLevel(names: readonly string[]): Problem[] {
  return names
    .filter((name) => !name.startsWith(".") && !TOP_LEVEL.includes(name))
    .map((name) => ({
      file: name,
      line: 1,
      message: `Only ${TOP_LEVEL.join(", ")} and dotfiles stand at the top of the repository`,
    }));
}

function checkName(file: string): Problem[] {
  const folders = file.split("/");
  const name = folders.pop() as string;
  const wrong = [
    ...folders.filter((folder) => !SNAKE_CASE_FOLDER.test(folder)),
    ...(name === "README.md" || SNAKE_CASE_FILE.test(name) ? [] : [name]),
  ];
  return wrong.map((part) => ({ file, line: 1, message: `"${part}" must be in snake_case` }));
}

/** Files that take time, randomness and sockets as parameters. */
function isPure(file: string): boolean {
  return file.startsWith("src/") && !file.startsWith("src/runtime/") && !file.startsWith("src/lib/");
}

/** Blanks every line without an import, so that a text that merely says "node:" is left alone. */
function importLines(code: string): string {
  return code.split("\n").map((line) => /\bfrom\b|\bimport\b/.test(line) ? line : " ".repeat(line.length))
    .join("\n");
}
