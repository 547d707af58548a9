/** What differs between two plain values, field by field. */
import { compareTexts } from "../../lib/compare_texts.ts";
import { isMap } from "../../lib/is_map.ts";

export interface FieldChange {
  /** `limits.maxConnections`; empty for the value as a whole. */
  readonly field: string;
  /** Null where there was nothing. */
  readonly before: unknown;
  /** Null where there is nothing any more. */
  readonly after: unknown;
}

/** Fields in the order in which they stand; lists are compared as wholes. */
export function fieldChanges(before: unknown, after: unknown, field = ""): FieldChange[] {
  if (sameValue(before, after)) return [];
  if (!isMap(before) || !isMap(after)) {
    return [{ field, before: before ?? null, after: after ?? null }];
  }
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return names.flatMap((name) =>
    fieldChanges(before[name], after[name], field === "" ? name : `${field}.${name}`)
  );
}

/** Equal as data: key order does not count, absent and undefined are one. */
export function sameValue(a: unknown, b: unknown): boolean {
  return a === b || canonical(a) === canonical(b);
}

/** The changes that are more than a move of what is written in a file. */
export function meantChanges(before: unknown, after: unknown): FieldChange[] {
  return fieldChanges(before, after).filter((one) => !sameMeaning(one.before, one.after));
}

/** Equal but for where it is written: in which file and line, and which of its VirtualService's rules it is. */
export function sameMeaning(a: unknown, b: unknown): boolean {
  return sameValue(withoutPlaces(a), withoutPlaces(b));
}

function withoutPlaces(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutPlaces);
  if (!isMap(value)) return value;
  // A header may have either name, and no number as its value.
  const isPlaced = typeof value["line"] === "number";
  const parts = Object.entries(value).filter(([name]) => !isPlaced || (name !== "file" && name !== "line"));
  return Object.fromEntries(
    parts.map(([name, part]) => [
      name,
      name === "origin" && isMap(part) ? part["virtualService"] : withoutPlaces(part),
    ]),
  );
}

function canonical(value: unknown): string | undefined {
  return JSON.stringify(
    value,
    (_key, part) =>
      isMap(part) ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => compareTexts(a, b))) : part,
  );
}
