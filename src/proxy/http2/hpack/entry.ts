/** What a decoder's tables hold (RFC 7541 §2.3): fields, each with what it is to a message. */
import { isSecretField } from "../../secret_fields.ts";
import { type FieldKind, kindOfField, kindOfName } from "../field_kind.ts";
import { STATIC_NAMES, STATIC_VALUES } from "./static_table.ts";

/** §4.1: what an entry costs beyond its octets. */
export const ENTRY_OVERHEAD_BYTES = 32;

/** Longer literals are not remembered. */
const REMEMBERED_LENGTH_MAX = 64;

export interface FieldName {
  readonly name: string;
  readonly kind: FieldKind;
  /** False for secrets. */
  readonly remembers: boolean;
  /** What the last literal with this name said: peers that make little of their table say the same again. */
  last: Entry | null;
}

export interface Entry {
  readonly named: FieldName;
  readonly value: string;
  readonly kind: FieldKind;
}

/** Names are few, and all connections share them. */
const STATIC_FIELD_NAMES: ReadonlyMap<string, FieldName> = new Map(
  STATIC_NAMES.map((name) => [name, newName(name)]),
);

/** Index 0 is no entry. */
export const STATIC_ENTRIES: readonly (Entry | undefined)[] = STATIC_NAMES.map((name, index) => {
  return index === 0
    ? undefined
    : newEntry(STATIC_FIELD_NAMES.get(name) as FieldName, STATIC_VALUES[index] as string);
});

export function newName(name: string): FieldName {
  return { name, kind: kindOfName(name), remembers: !isSecretField(name), last: null };
}

export function newEntry(named: FieldName, value: string): Entry {
  return { named, value, kind: kindOfField(named.kind, value) };
}

/** Octets of a table that the entry takes (§4.1). */
export function sizeOf({ named, value }: Entry): number {
  return named.name.length + value.length + ENTRY_OVERHEAD_BYTES;
}

/** Keeps a literal to compare the next one with, unless it is long or a secret. */
export function remember(entry: Entry): void {
  if (entry.named.remembers && entry.value.length <= REMEMBERED_LENGTH_MAX) entry.named.last = entry;
}
