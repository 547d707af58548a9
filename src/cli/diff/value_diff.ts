/** What differs between two plain values, field by field. */

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
  if (!isRecord(before) || !isRecord(after)) {
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

function canonical(value: unknown): string | undefined {
  return JSON.stringify(
    value,
    (_key, part) => isRecord(part) ? Object.fromEntries(Object.entries(part).sort(byName)) : part,
  );
}

function byName([a]: [string, unknown], [b]: [string, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
