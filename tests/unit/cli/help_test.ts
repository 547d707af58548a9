import { describe, expect, test } from "bun:test";
import type { Command } from "commander";
import { createProgram } from "../../../src/cli/program.ts";
import { golden, goldenFiles } from "../../golden.ts";

/** As wide as output that is no terminal. */
const WIDTH = 80;

/** Commands that help does not list have no page either. */
function shown(command: Command): Command[] {
  const listed = command.createHelp().visibleCommands(command).filter((child) => child.name() !== "help");
  return [command, ...listed.flatMap(shown)];
}

function helpOf(command: Command): string {
  let text = "";
  command.configureOutput({ writeOut: (part) => text += part, getOutHelpWidth: () => WIDTH });
  command.outputHelp();
  return text;
}

function fullName(command: Command): string {
  return command.parent === null ? command.name() : `${fullName(command.parent)} ${command.name()}`;
}

describe("--help", () => {
  const commands = shown(createProgram(() => {}));
  const files = commands.map((command) => `cli/help/${fullName(command).replaceAll(/[ -]/g, "_")}.txt`);
  commands.forEach((command, index) => {
    test(`${fullName(command)} --help is what the golden file says`, () => {
      golden(files[index] as string, helpOf(command));
    });

    test(`${fullName(command)} --help opens with examples of it`, () => {
      const groups = command.commands.length > 0 && command.parent !== null;
      if (!groups) expect(helpOf(command)).toStartWith("Examples:\n  bowline ");
    });
  });

  test("no golden file is left of a command that is gone", () => {
    expect(goldenFiles("cli/help")).toEqual([...files].sort());
  });
});
