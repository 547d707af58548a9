/** The program's own log: one JSON object a line, or plain text for a person at a terminal. Secrets never go in. */
import type { Clock } from "../lib/clock.ts";

export type LogLevel = "info" | "warn" | "error";

/** Whatever comes from outside is a field, so that it is quoted; the message is ours. */
export type LogFields = Readonly<Record<string, string | number | boolean | null>>;

export interface Log {
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

export interface LogOptions {
  readonly clock: Clock;
  /** `json` for machines, `text` for a terminal. */
  readonly format: "json" | "text";
  /** Takes one line with its end; false: it is lost. */
  write(line: string): unknown;
}

export function createLog(options: LogOptions): Log {
  /** Lines that nobody took since the last one that somebody did. */
  let lost = 0;
  const write = (level: LogLevel, message: string, fields: LogFields) =>
    options.write(lineOf(options, level, message, fields)) !== false;
  const log = (level: LogLevel, message: string, fields: LogFields = {}) => {
    if (lost > 0 && write("warn", "Lines are missing here: nobody took them", { lines: lost })) lost = 0;
    if (lost > 0 || !write(level, message, fields)) lost++;
  };
  return {
    info: (message, fields) => log("info", message, fields),
    warn: (message, fields) => log("warn", message, fields),
    error: (message, fields) => log("error", message, fields),
  };
}

function lineOf({ clock, format }: LogOptions, level: LogLevel, message: string, fields: LogFields): string {
  const time = new Date(clock.now()).toISOString();
  if (format === "json") return `${JSON.stringify({ time, level, message, ...fields })}\n`;
  // As JSON does, a field that has no value is left out: spreading an object brings such along.
  const details = Object.entries(fields).filter(([, value]) => value !== undefined)
    .map(([name, value]) => ` ${name}=${JSON.stringify(value)}`).join("");
  // Both may quote a peer: nothing in them may start a line or speak to the terminal.
  const text = `${message}${details}`.replace(/[\x00-\x1f\x7f-\x9f]/g, "?");
  return `${time} ${level.padEnd(5)} ${text}\n`;
}
