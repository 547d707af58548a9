/** What commands print: data on standard output as a table, JSON or YAML; messages on standard error. */
import { environmentVariable, isTerminal, writeStderr, writeStdout } from "../runtime/process.ts";
import type { CommandError } from "./exit_codes.ts";

export const OUTPUT_FORMATS = ["table", "json", "yaml"] as const;
export type OutputFormat = (typeof OUTPUT_FORMATS)[number];

export interface Column {
  readonly title: string;
  /** @default "left" */
  readonly align?: "left" | "right";
}

export type Style = "bold" | "dim" | "red" | "green" | "yellow";

const SGR: Record<Style, number> = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 };
const COLUMN_GAP = "  ";

/** Prints `data` as JSON or YAML, or for people what `table` returns. */
export async function printData(format: OutputFormat, data: unknown, table: () => string): Promise<void> {
  writeStdout(endLine(await renderData(format, data, table)));
}

/** What printData() prints, without the last line's end. */
export async function renderData(format: OutputFormat, data: unknown, table: () => string): Promise<string> {
  if (format === "json") return JSON.stringify(data, null, 2);
  if (format === "table") return table();
  // Loaded here only: most processes never write YAML.
  const { stringify } = await import("yaml");
  return stringify(data, { lineWidth: 0 }).trimEnd();
}

/** A message for the person at the terminal: progress, hints, warnings. */
export function printMessage(text: string): void {
  writeStderr(endLine(text));
}

/** How every failed command ends: what went wrong, and what to do. */
export function printError({ message, hint }: Pick<CommandError, "message" | "hint">): void {
  printMessage(`${styled("stderr", "red", "Error:")} ${printable(message)}`);
  if (hint !== undefined) printMessage(`  ${printable(hint)}`);
}

/** Columns padded to their widest cell, a heading, no trailing blanks. */
export function formatTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const lines = [columns.map((column) => column.title), ...rows.map((row) => row.map(printable))];
  const widths = columns.map((_, index) => Math.max(...lines.map((line) => line[index]?.length ?? 0)));
  return lines.map((line) =>
    columns.map(({ align }, index) => {
      const cell = line[index] ?? "";
      const width = widths[index] as number;
      return align === "right" ? cell.padStart(width) : cell.padEnd(width);
    }).join(COLUMN_GAP).trimEnd()
  ).join("\n");
}

/** Text in a style where the stream is a terminal that wants colour, otherwise as it is. */
export function styled(stream: "stdout" | "stderr", style: Style, text: string): string {
  return wantsColour(stream) ? `\x1b[${SGR[style]}m${text}\x1b[0m` : text;
}

/** Colour on terminals only, and never with NO_COLOR (no-color.org). */
function wantsColour(stream: "stdout" | "stderr"): boolean {
  return isTerminal(stream) && environmentVariable("NO_COLOR") === undefined &&
    environmentVariable("TERM") !== "dumb";
}

/** Names come from files, peers and arguments: a control character in one must not reach the terminal. */
export function printable(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g, "\ufffd");
}

/** `1 file`, `2 files`. */
export function plural(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

function endLine(text: string): string {
  return text === "" || text.endsWith("\n") ? text : `${text}\n`;
}
