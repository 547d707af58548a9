/** The READMEs say what is true: their commands, flags, paths, ports and tables are those of the program. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { describe, expect, test } from "bun:test";
import manifest from "../../deno.json" with { type: "json" };
import { CHAPTERS } from "../../src/cli/demo/chapters.ts";
import { EXIT } from "../../src/cli/exit_codes.ts";
import { readExpectations } from "../../src/cli/expectations/expectations_file.ts";
import { createProgram } from "../../src/cli/program.ts";
import { CODES } from "../../src/config/codes.ts";
import { readEnrolmentFile } from "../../src/config/enrolment/enrolment_file.ts";
import { loadConfig } from "../../src/config/loader.ts";
import { IMPLEMENTED_KINDS } from "../../src/config/schema/kinds.ts";
import { UNIMPLEMENTED_KINDS } from "../../src/config/schema/unimplemented.ts";
import { formatLimit, type Limit, LIMITS } from "../../src/model/limits.ts";
import { PORTS } from "../../src/model/ports.ts";
import type { SourceFile } from "../../src/runtime/read_files.ts";

const ROOT = join(import.meta.dir, "../..");
const FOLDERS = ["src", "tests", "config", "scripts"];

interface Page {
  readonly name: string;
  /** Where its relative links begin. */
  readonly directory: string;
  readonly text: string;
  /** Contents of fenced blocks, with the language after the fence. */
  readonly blocks: readonly { readonly language: string; readonly text: string }[];
  /** Texts between single backticks outside of blocks. */
  readonly code: readonly string[];
}

function readPage(name: string): Page {
  const text = readFileSync(join(ROOT, name), "utf8");
  const fence = /^( *)```(\w*)\n([\s\S]*?)^\1```$/gm;
  const blocks = [...text.matchAll(fence)].map(([, , language = "", block = ""]) => ({
    language,
    text: block,
  }));
  const prose = text.replace(fence, "");
  const code = [...prose.matchAll(/`([^`\n]+)`/g)].map(([, inside = ""]) => inside);
  return { name, directory: join(ROOT, name, ".."), text, blocks, code };
}

const pages = ["README.md", "src/README.md", "config/tutorial/README.md", "config/findings.md"].map(readPage);
const [readme, map, tutorial, findings] = pages as [Page, Page, Page, Page];
const program = createProgram(() => {});

/** Where a command begins: the start of a line or a span, a prompt, another command's end, a wide gap. */
const COMMAND = /(?:^|[$#;(] *|&& |  +)bowline((?: +(?:'[^']*'|[^\s'|;>)`#]+))+)/g;

/** Every command line of bowline's that a page shows, without `bowline`. */
function commandLines({ blocks, code }: Page): string[] {
  const texts = [...code, ...blocks.flatMap(({ text }) => text.split("\n"))];
  return texts.flatMap((text) => [...text.matchAll(COMMAND)].map(([, line = ""]) => line.trim()));
}

/** What is wrong with a command line, or null. */
function faultOf(line: string): string | null {
  const words = line.match(/'[^']*'|\S+/g) ?? [];
  let command: Command = program;
  while (words[0] !== undefined && !words[0].startsWith("-")) {
    const child = command.commands.find((one) => one.name() === words[0]);
    if (child === undefined) break;
    command = child;
    words.shift();
  }
  if (command === program && words[0] !== undefined && !["help", "--help"].includes(words[0])) {
    return `there is no command ${words[0]}`;
  }
  const known = command.options.flatMap(({ short, long }) => [short, long]);
  const unknown = words.filter((word) =>
    /^--?[a-zA-Z]/.test(word) && !["-h", "--help", ...known].includes(word)
  );
  return unknown.length === 0 ? null : `${command.name()} has no flag ${unknown.join(", ")}`;
}

/** Paths that a page names, as it names them, and the places of which one should be there. */
function namedPaths({ text, directory, blocks, code }: Page): [name: string, places: string[]][] {
  const links = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)\)/g)].map(([, to = ""]) => to);
  const words = [...code, ...blocks.flatMap((block) => block.text.split(/\s+/))];
  const folder = new RegExp(`^(?:${FOLDERS.join("|")})/[\\w./@-]*$`);
  return [
    ...links.map((to): [string, string[]] => [to, [join(directory, to)]]),
    ...words.filter((word) => folder.test(word))
      // The map names files relative to where it stands.
      .map((word): [string, string[]] => [word, [join(ROOT, word), join(directory, word)]]),
  ];
}

/** Whether a table of the page has a row that begins with this cell. */
function hasRow({ text }: Page, cell: string | number): boolean {
  return text.split("\n").some((line) => line.startsWith("|") && line.split("|")[1]?.trim() === String(cell));
}

describe.each(pages)("$name", (page) => {
  test("shows commands and flags that exist", () => {
    const lines = commandLines(page);
    expect(lines.length).toBeGreaterThan(0);
    expect(lines.map((line) => [line, faultOf(line)]).filter(([, fault]) => fault !== null)).toEqual([]);
  });

  test("names paths that exist", () => {
    const paths = namedPaths(page);
    expect(paths.length).toBeGreaterThan(0);
    expect(paths.filter(([, places]) => !places.some((path) => existsSync(path))).map(([name]) => name))
      .toEqual([]);
  });

  test("names tasks that exist", () => {
    const tasks = [...page.text.matchAll(/deno@([\d.]+) task ([\w:]+)/g)].map(([, , task = ""]) => task);
    expect(tasks.filter((task) => !Object.hasOwn(manifest.tasks, task))).toEqual([]);
  });

  test("has YAML that loads", () => {
    const yaml = page.blocks.filter(({ language }) => language === "yaml");
    for (const { text } of yaml) {
      const source = { file: "readme.yaml", text };
      const read = /^tests:$/m.test(text)
        ? readExpectations
        : /^issuers:$/m.test(text)
        ? readEnrolmentFile
        : (one: SourceFile) => loadConfig([one]);
      expect(read(source).findings).toEqual([]);
    }
  });
});

describe("faultOf()", () => {
  test("finds commands and flags that do not exist", () => {
    expect(faultOf("grpah --data d")).toBe("there is no command grpah");
    expect(faultOf("graph --dta d")).toBe("graph has no flag --dta");
    expect(faultOf("token create --workload a/b -x")).toBe("create has no flag -x");
    expect(faultOf("explain -H 'a: --b' --config d http://a/")).toBeNull();
  });
});

describe("README.md", () => {
  test("has every command in its table", () => {
    const table = readme.text.split("\n").filter((line) => line.startsWith("| `bowline ")).join("\n");
    const names = program.createHelp().visibleCommands(program).map((command) => command.name());
    expect(names.filter((name) => name !== "help" && !table.includes(`\`bowline ${name}`))).toEqual([]);
  });

  test("has every exit code that a command ends with", () => {
    const { findings: _later, ...codes } = EXIT;
    expect(Object.values(codes).filter((code) => !hasRow(readme, code))).toEqual([]);
  });

  test("has every port that is listened on", () => {
    expect(Object.values(PORTS).filter((port) => !hasRow(readme, port))).toEqual([]);
  });

  test("has every limit that can be set, as the table of limits has it", () => {
    const rows = readme.text.split("\n").filter((line) => line.startsWith("|"))
      .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
    const named = rows.filter(([name = ""]) =>
      Object.values(LIMITS).some((limit) => `\`${limit.name}\`` === name)
    );
    expect(named).toEqual(
      Object.values(LIMITS).map((limit: Limit) => {
        const zero = limit.zero === undefined || limit.default === 0 ? "" : `; 0: ${limit.zero}`;
        const envoy = limit.envoy === null ? "" : `\`${limit.envoy}\``;
        return [`\`${limit.name}\``, formatLimit(limit.default, limit), `${limit.what}${zero}`, envoy];
      }),
    );
  });

  test("has every kind that is read, and every one of Istio's that is refused", () => {
    expect(IMPLEMENTED_KINDS.filter((kind) => !new RegExp(`^\\*\\*${kind}\\b`, "m").test(readme.text)))
      .toEqual([]);
    const capitalized = [...UNIMPLEMENTED_KINDS].filter((kind) =>
      /^[A-Z]/.test(kind) && !kind.startsWith("Quota")
    );
    expect(capitalized.filter((kind) => !readme.text.includes(kind))).toEqual([]);
  });
});

describe("src/README.md", () => {
  test("names files of src that exist", () => {
    const files = map.code.filter((word) =>
      /^[a-z][\w-]*\/[\w./-]*$/.test(word) && !FOLDERS.includes(word.split("/")[0] as string)
    );
    const missing = files.filter((file) => !existsSync(join(ROOT, "src", file)));
    expect(missing).toEqual([]);
  });

  test("has every layer, and every dependency", () => {
    const layers = readdirSync(join(ROOT, "src"), { withFileTypes: true }).filter((entry) =>
      entry.isDirectory()
    );
    expect(layers.filter(({ name }) => !hasRow(map, `\`${name}/\``)).map(({ name }) => name))
      .toEqual([]);
    expect(Object.keys(manifest.imports).filter((name) => !hasRow(map, `\`${name}\``))).toEqual(
      [],
    );
  });
});

describe("config/tutorial/README.md", () => {
  test("has a heading for every chapter", () => {
    const headings = [...tutorial.text.matchAll(/^### (.+)$/gm)].flatMap(([, names = ""]) =>
      names.split(", ")
    );
    expect(headings.toSorted()).toEqual(CHAPTERS.map(({ name }) => name).toSorted());
  });
});

describe("config/findings.md", () => {
  test("has every code once, and no other", () => {
    const codes = [...findings.text.matchAll(/^\| ((?:IST|BOW)\d+) /gm)].map(([, code = ""]) => code);
    expect(codes.toSorted()).toEqual(Object.values(CODES).toSorted());
  });
});

describe("tests/integration/README.md", () => {
  test("names tests that exist, and rows that the scorecard has", () => {
    const page = readPage("tests/integration/README.md");
    const tests = page.code.filter((word) => word.endsWith("_test.ts"));
    expect(tests.length).toBeGreaterThan(20);
    expect(tests.filter((name) => !existsSync(join(ROOT, "tests/integration", name)))).toEqual([]);
    const files = readdirSync(join(ROOT, "scripts/scorecard/rows"));
    const rows = files.map((file) => readFileSync(join(ROOT, "scripts/scorecard/rows", file), "utf8"));
    for (const [, number] of page.text.matchAll(/--only (\d+)/g)) {
      expect(rows.filter((text) => text.includes(`name: "${number}"`))).toHaveLength(1);
    }
  });
});
