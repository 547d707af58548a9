/** The flags that commands share, and how values of flags are read. */
import { isPort } from "../model/ports.ts";
import { InvalidArgumentError, Option } from "commander";
import { parseIp } from "../lib/ip.ts";
import { environmentVariable } from "../runtime/process.ts";
import type { ExitCode } from "./exit_codes.ts";
import { OUTPUT_FORMATS } from "./output.ts";

/** Takes the exit code of the command that ran. */
export type Finish = (exitCode: ExitCode) => void;

/**
 * A flag that `BOWLINE_…` of the environment gives too. An empty variable counts as unset; a flag without a value is
 * set by `1`, `true`, `yes` or `on`.
 */
export function flag(flags: string, description: string): Option {
  const option = new Option(flags, description);
  const variable = `BOWLINE_${option.name().toUpperCase().replaceAll("-", "_")}`;
  const value = environmentVariable(variable);
  const set = option.isBoolean() ? /^(?:1|true|yes|on)$/i.test(value ?? "") : value !== undefined;
  return set ? option.env(variable) : option;
}

export function outputOption(): Option {
  return flag("-o, --output <format>", "how to print").choices(OUTPUT_FORMATS).default("table");
}

export function dataOption(description: string): Option {
  return flag("--data <dir>", `${description} (default: the system's or the user's state directory)`);
}

/** Takes a whole number in a range as a flag's value. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : NaN;
    if (value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
  };
}

/** Takes an address as a flag's value: a name would be looked up at each start, and lead elsewhere one day. */
export function ipAddress(text: string): string {
  if (parseIp(text) !== null) return text;
  throw new InvalidArgumentError("It must be an IP address without a port, such as 10.0.0.7.");
}

/** Takes `HOST:PORT` as a flag's value. */
export function hostAndPort(text: string): string {
  const port = Number(/^(?:\[[0-9a-fA-F:.]+\]|[^\s:/[\]]+):(\d{1,5})$/.exec(text)?.[1]);
  if (isPort(port)) return text;
  throw new InvalidArgumentError("It must be HOST:PORT, such as 10.0.0.1:15012.");
}

/** Gathers the values of a flag that may stand more than once. */
export function collect(value: string, previous: readonly string[] | undefined): string[] {
  return [...(previous ?? []), value];
}

/** The same of values that have no commas: several may stand in one text, as a variable of the environment has them. */
export function collectEach(texts: string, previous: readonly string[] | undefined): string[] {
  return [...(previous ?? []), ...texts.split(",").map((text) => text.trim())];
}
