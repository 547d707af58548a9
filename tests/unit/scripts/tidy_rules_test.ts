import { describe, expect, test } from "bun:test";
import { checkTidy, checkTopLevel, FILE_LINES_MAX, FILE_LINES_WARNING } from "../../../scripts/tidy_rules.ts";

const OPENING = "/** What it is for. */\n";

function messages(file: string, text: string): string[] {
  return checkTidy(file, OPENING + text).problems.map((problem) => problem.message);
}

describe("checkTidy()", () => {
  const banned = [
    "Bun.listen({});",
    "process.exit(1);",
    "const now = Date.now();",
    "const now = new Date();",
    "const now = new Date;",
    "setTimeout(f, 1);",
    "setInterval(f, 1);",
    "setImmediate(f);",
    "performance.now();",
    "Math.random();",
    `import { readFileSync } from "node:fs";`,
    `import { dlopen } from "bun:ffi";`,
    `import { serve } from "bun";`,
    "const text = `${Date.now()}`;",
  ];
  test.each(banned)("bans %s outside of runtime and lib", (line) => {
    expect(checkTidy("src/proxy/proxy.ts", `${OPENING}\n${line}\n`).problems).toMatchObject([{ line: 3 }]);
    expect(messages("src/runtime/proxy.ts", line)).toEqual([]);
    expect(messages("src/lib/proxy.ts", line)).toEqual([]);
    expect(messages("tests/unit/proxy_test.ts", line)).toEqual([]);
  });

  const harmless = [
    "new Date(ms);",
    "// Date.now() is banned",
    `const text = "process.exit(1) and node:fs";`,
    "clock.now(); subprocess.exit(); this.process.x;",
    "new DateRange();",
    "timer.setTimeout(5);",
  ];
  test.each(harmless)("leaves %s alone", (line) => {
    expect(messages("src/proxy/proxy.ts", line)).toEqual([]);
  });

  test("names the way out", () => {
    expect(messages("src/proxy/proxy.ts", "Date.now();"))
      .toEqual([`"Date.now" stands in src/runtime and src/lib alone: take a Clock`]);
  });

  test("refuses leftovers in comments and tests that do not run", () => {
    for (
      const line of [
        "// TO" + "DO: later",
        "/* FIX" + "ME */",
        "test.on" + "ly('x', f);",
        "describe.sk" + "ip();",
      ]
    ) {
      expect(messages("tests/unit/proxy_test.ts", line)).toHaveLength(1);
    }
  });

  test("wants an opening comment in src and scripts", () => {
    expect(checkTidy("src/proxy/proxy.ts", "const a = 1;\n").problems).toHaveLength(1);
    expect(checkTidy("scripts/build.ts", "#!/usr/bin/env bun\n// Builds.\n").problems).toEqual([]);
    expect(checkTidy("tests/unit/proxy_test.ts", "const a = 1;\n").problems).toEqual([]);
  });

  test("wants snake_case in files and folders", () => {
    expect(messages("src/proxy/fooBar.ts", "")).toEqual([`"fooBar.ts" must be in snake_case`]);
    expect(messages("src/pro-xy/foo.ts", "")).toEqual([`"pro-xy" must be in snake_case`]);
    expect(messages("tests/unit/http1/parser_test.ts", "")).toEqual([]);
    expect(checkTidy("src/README.md", "# Map\n").problems).toEqual([]);
  });

  test("warns of a long file and refuses one that is too long", () => {
    const lines = (count: number) => OPENING + "//\n".repeat(count - 1);
    const at = (count: number) => {
      const { problems, warnings } = checkTidy("src/proxy/proxy.ts", lines(count));
      return [warnings.length, problems.length];
    };
    expect(at(FILE_LINES_WARNING)).toEqual([0, 0]);
    expect(at(FILE_LINES_WARNING + 1)).toEqual([1, 0]);
    expect(at(FILE_LINES_MAX)).toEqual([1, 0]);
    expect(at(FILE_LINES_MAX + 1)).toEqual([0, 1]);
  });
});

test("checkTopLevel() refuses what has no place at the top", () => {
  expect(checkTopLevel([".git", "deno.json", "src", "README.md"])).toEqual([]);
  expect(checkTopLevel(["package.json"])).toMatchObject([{ file: "package.json" }]);
});
