/** How a command that fails tells the user, and with which code it ends. */
import { messageOf } from "../lib/message_of.ts";
import { ListenError } from "../runtime/listen_error.ts";
import { environmentVariable } from "../runtime/process.ts";
import { CommandError, EXIT, type ExitCode } from "./exit_codes.ts";
import { printError, printMessage } from "./output.ts";

/** Tells the user in one line why the program ends; the stack is for those who ask for it. */
export function reportFailure(error: unknown): ExitCode {
  const debug = environmentVariable("BOWLINE_DEBUG") !== undefined;
  if (error instanceof CommandError) {
    printError(error);
    if (debug) printMessage(stackOf(error));
    return error.exitCode;
  }
  const message = messageOf(error);
  if (isOperatingCondition(error)) {
    printError({ message, hint: error instanceof ListenError ? error.hint : undefined });
    if (debug) printMessage(stackOf(error));
    return error instanceof ListenError ? EXIT.unavailable : EXIT.error;
  }
  printError({
    message: `Internal error: ${message.split("\n", 1)[0]}`,
    hint: debug ? undefined : "this is a bug in bowline; BOWLINE_DEBUG=1 shows where it happened",
  });
  if (debug) printMessage(stackOf(error));
  return EXIT.error;
}

/**
 * Commander's `error: …` and `(Did you mean …?)`, in the words and form of every other message; `command` is empty where
 * none was named.
 */
export function printUsageError(text: string, command: string): void {
  const [first = "", ...rest] = text.trimEnd().split("\n");
  const message = first.replace(/^error: /, "").replace(/\.$/, "");
  const hint = rest.join(" ").replace(/^\(D(.*)\)$/, "d$1");
  printError({
    message: message.charAt(0).toUpperCase() + message.slice(1),
    hint: hint !== ""
      ? hint
      : command === ""
      ? "bowline --help shows the commands, bowline help COMMAND its flags"
      : `bowline help ${command} shows examples, arguments and flags`,
  });
}

/** Our typed errors and the system's carry a code; what the language and its library throw at a bug does not. */
function isOperatingCondition(error: unknown): boolean {
  const { code } = (error ?? {}) as { code?: unknown };
  return error instanceof Error && typeof code === "string" && !code.startsWith("ERR_");
}

function stackOf(error: unknown): string {
  return error instanceof Error ? error.stack ?? error.message : String(error);
}
