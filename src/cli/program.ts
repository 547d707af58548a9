/** The command line: which commands there are. Their flags stand in `*_flags.ts`; what a command does, in its own module. */
import { Command, CommanderError } from "commander";
import { writeStderr, writeStdout } from "../runtime/process.ts";
import { addCa, addCert, addCerts } from "./certificate_flags.ts";
import { addDemo, addDemoApp } from "./demo_flags.ts";
import { EXIT, type ExitCode } from "./exit_codes.ts";
import { printUsageError, reportFailure } from "./failures.ts";
import { addAnalyze, addDiff, addExplain, addTest, addValidate } from "./file_flags.ts";
import { type Finish, outputOption } from "./flags.ts";
import { addGraph, addPolicy, addProxyStatus, addTap } from "./mesh_flags.ts";
import type { OutputFormat } from "./output.ts";
import { addRun, addWorker } from "./run_flags.ts";
import { addToken } from "./token_flags.ts";

const EXAMPLES = `Examples:
  bowline demo                                         watch a whole mesh run on this machine
  bowline run --role control-plane --config mesh/      start a control plane
  bowline run --role sidecar --token-file token.jwt    join it, on the machine of a service
`;

/** Runs one command to its end; a failure has been told to the user when this returns. */
export async function runProgram(given: readonly string[]): Promise<ExitCode> {
  // The flag that most programs have for it.
  const args = given.length === 1 && given[0] === "--version" ? ["version"] : given;
  let exitCode: ExitCode = EXIT.ok;
  const asked = askedForHelp(args);
  const program = createProgram((code) => exitCode = code, asked.length > 0 ? asked : args);
  try {
    await program.parseAsync(asked.length > 0 ? helpArguments(program, asked) : [...args], { from: "user" });
    return exitCode;
  } catch (error) {
    // Commander ends help that was asked for with 0, and everything else, already told, with 1.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    return reportFailure(error);
  }
}

/** Each by its first word. */
const COMMANDS: readonly (readonly [name: string, add: (program: Command, finish: Finish) => void])[] = [
  ["run", addRun],
  ["worker", addWorker],
  ["token", addToken],
  ["demo", addDemo],
  ["demo-app", addDemoApp],
  ["validate", addValidate],
  ["analyze", addAnalyze],
  ["explain", addExplain],
  ["diff", addDiff],
  ["test", addTest],
  ["graph", addGraph],
  ["proxy-status", addProxyStatus],
  ["certs", addCerts],
  ["cert", addCert],
  ["ca", addCa],
  ["policy", addPolicy],
  ["tap", addTap],
  ["version", addVersion],
];

/**
 * The command tree: all of it, or what stands below the first of these words; `finish` takes the exit code of the
 * command that ran.
 */
export function createProgram(finish: Finish, words: readonly string[] = []): Command {
  const program = new Command("bowline")
    .description("A service mesh in one executable")
    .addHelpText("before", EXAMPLES)
    .addHelpText("after", "\nEvery flag also reads the environment: --token-file is BOWLINE_TOKEN_FILE.")
    .helpOption("-h, --help", "show help")
    .helpCommand("help [command]", "show help for a command")
    .exitOverride()
    .configureOutput({
      writeOut: writeStdout,
      writeErr: writeStderr,
      outputError: (text) => printUsageError(text, commandAt(program, words).words.join(" ")),
    });

  // A daemon would keep the others for as long as it lives.
  const chosen = COMMANDS.filter(([name]) => name === words[0]);
  for (const [, add] of chosen.length > 0 ? chosen : COMMANDS) add(program, finish);
  return program;
}

/** The words of which help is wanted: after `help`, or before a help flag, which commander heeds after any word. */
function askedForHelp(args: readonly string[]): readonly string[] {
  if (args[0] === "help") return args.slice(1);
  const words = args.slice(0, -1);
  const isAsked = ["-h", "--help"].includes(args.at(-1) ?? "") && !words.some((word) => word.startsWith("-"));
  return isAsked ? words : [];
}

/** `help token create` as `token create --help`: commander's own help looks at the first word alone. */
function helpArguments(program: Command, asked: readonly string[]): string[] {
  const { command, words } = commandAt(program, asked);
  const unknown = command.commands.length > 0 && words.length < asked.length;
  // An unknown word after a group is told by the group, which does nothing else; after a command it has no say.
  return unknown ? [...asked] : [...words, "--help"];
}

/** The command that words name, as far as they do: of `token create --ttl`, `token create`. */
function commandAt(program: Command, args: readonly string[]): { command: Command; words: string[] } {
  let command = program;
  const words: string[] = [];
  for (const word of args) {
    const next = command.commands.find((child) => child.name() === word);
    if (next === undefined) break;
    command = next;
    words.push(word);
  }
  return { command, words };
}

function addVersion(program: Command, finish: Finish): void {
  program.command("version")
    .description("show which bowline this is")
    .addHelpText("before", "Examples:\n  bowline version\n  bowline version -o json\n")
    .addOption(outputOption())
    .action(async (options: { output: OutputFormat }) => {
      const { runVersion } = await import("./version_command.ts");
      finish(await runVersion(options));
    });
}
