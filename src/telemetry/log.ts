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
  /** Takes one line with its end. */
  write(line: string): void;
}

export function createLog({ clock, format, write }: LogOptions): Log {
  const log = (level: LogLevel, message: string, fields: LogFields = {}) => {
    const time = new Date(clock.now()).toISOString();
    if (format === "json") return write(`${JSON.stringify({ time, level, message, ...fields })}\n`);
    // As JSON does, a field that has no value is left out: spreading an object brings such along.
    const details = Object.entries(fields).filter(([, value]) => value !== undefined)
      .map(([name, value]) => ` ${name}=${JSON.stringify(value)}`).join("");
    // Both may quote a peer: nothing in them may start a line or speak to the terminal.
    const text = `${message}${details}`.replace(/[\x00-\x1f\x7f-\x9f]/g, "?");
    write(`${time} ${level.padEnd(5)} ${text}\n`);
  };
  return {
    info: (message, fields) => log("info", message, fields),
    warn: (message, fields) => log("warn", message, fields),
    error: (message, fields) => log("error", message, fields),
  };
}
