/** `--limit NAME=VALUE`: from what somebody wrote to the limits of a proxy. */
import { parseDuration } from "../lib/duration.ts";
import { nearest } from "../lib/edit_distance.ts";
import {
  DEFAULT_LIMITS,
  formatLimit,
  type Limit,
  LIMIT_KEYS,
  type LimitKey,
  LIMITS,
  type Limits,
} from "../model/limits.ts";
import { CommandError, EXIT } from "./exit_codes.ts";

const BYTES: Readonly<Record<string, number>> = { "": 1, B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };

/** Each text is one `NAME=VALUE`. Throws CommandError (usage). */
export function readLimits(texts: readonly string[]): Limits {
  const limits: Record<LimitKey, number> = { ...DEFAULT_LIMITS };
  const given = new Set<LimitKey>();
  for (const text of texts) {
    const at = text.indexOf("=");
    const name = (at < 0 ? text : text.slice(0, at)).trim();
    const key = keyOf(name);
    if (at < 0) {
      throw refusal(`--limit ${name} has no value`, `write --limit ${name}=${example(LIMITS[key])}`);
    }
    if (given.has(key)) throw refusal(`--limit ${name} is given twice`);
    given.add(key);
    limits[key] = readValue(text.slice(at + 1).trim(), LIMITS[key]);
  }
  return Object.freeze(limits);
}

/** The table at the end of `bowline help run`. */
export function limitsHelp(): string {
  const rows = LIMIT_KEYS.map((key) => {
    const limit = LIMITS[key];
    return `  ${limit.name.padEnd(26)}${example(limit).padEnd(9)}${limit.what}${
      zeroOf(limit).replaceAll("`", "")
    }`;
  });
  return `\nLimits of a sidecar or gateway, with their defaults:\n${rows.join("\n")}\n`;
}

/** What 0 means, where that is not plain. */
function zeroOf(limit: Limit): string {
  return limit.zero === undefined ? "" : `; 0: ${limit.zero}`;
}

/** The default as one would write it. */
function example(limit: Limit): string {
  return limit.default === 0 || limit.unit === "count"
    ? String(limit.default)
    : formatLimit(limit.default, limit);
}

function keyOf(name: string): LimitKey {
  const key = LIMIT_KEYS.find((key) => LIMITS[key].name === name);
  if (key !== undefined) return key;
  const near = nearest(name, LIMIT_KEYS.map((key) => LIMITS[key].name));
  throw refusal(
    `There is no limit ${JSON.stringify(name)}`,
    near === undefined ? "bowline help run lists them" : `did you mean ${near}?`,
  );
}

function readValue(text: string, limit: Limit): number {
  const value = limit.unit === "ms" ? parseDuration(text) : readCount(text, limit);
  const whole = value !== undefined && Number.isSafeInteger(value);
  if (whole && value >= limit.least && value <= limit.most) return value;
  const { least, most } = limit;
  const plain: Limit = { ...limit, zero: undefined };
  throw refusal(
    `${JSON.stringify(text)} is no value for the limit ${limit.name}`,
    `${KINDS[limit.unit]} from ${formatLimit(least, plain)} to ${formatLimit(most, plain)}, ` +
      `for instance --limit ${limit.name}=${example(limit)}`,
  );
}

const KINDS = {
  ms: "a duration",
  bytes: "bytes, KiB, MiB or GiB,",
  count: "a whole number",
} as const;

/** Undefined: it is none. */
function readCount(text: string, { unit }: Limit): number | undefined {
  const [, digits, suffix = ""] = /^([0-9]{1,12})([A-Za-z]*)$/.exec(text) ?? [];
  const size = unit === "bytes" || suffix === "" ? BYTES[suffix] : undefined;
  return digits === undefined || size === undefined ? undefined : Number(digits) * size;
}

function refusal(message: string, hint?: string): CommandError {
  return new CommandError(EXIT.usage, message, hint);
}
