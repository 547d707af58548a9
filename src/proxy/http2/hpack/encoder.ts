/**
 * HPACK encoding (RFC 7541 §6). What repeats is indexed; what differs with every message, or is secret, is not. Strings
 * are sent as they are: between proxies of one mesh, time is dearer than the few octets that Huffman coding saves.
 */
import { writeLatin1 } from "../../../lib/latin1.ts";
import { TABLE_BYTES_MAX } from "./decoder.ts";
import { ENTRY_OVERHEAD_BYTES } from "./entry.ts";
import { STATIC_INDEX_OF_NAME, STATIC_TABLE_SIZE, staticValuesOf } from "./static_table.ts";

/** Fields whose values often differ: indexing them all would push out those that do not. */
const SELDOM_REPEATED = new Set(
  ":path age content-length etag if-modified-since if-none-match location".split(" "),
);

/** Fields whose values never come twice. */
const NEVER_REPEATED = new Set(
  "set-cookie x-request-id traceparent tracestate x-b3-traceid x-b3-spanid x-b3-parentspanid".split(" "),
);

/** A value that comes again while so many others of its field were sent is indexed: gRPC's methods, lengths of messages. */
const RECENT_VALUES = 4;
/** Longer values are not remembered for it. */
const RECENT_LENGTH_MAX = 256;

/** Secrets: nobody on the way may index them (§7.1.3). */
export const NEVER_INDEXED: ReadonlySet<string> = new Set(["authorization", "proxy-authorization", "cookie"]);

interface KnownName {
  /** Of the static table; 0: none. */
  readonly staticIndex: number;
  /** First octet's pattern of a literal: 0x00 without indexing, 0x10 never indexed; 0x40: to be indexed. */
  readonly pattern: number;
  /** Value -> index, for those of the static table; null: it has none. */
  readonly staticValues: ReadonlyMap<string, number> | null;
  /** Value -> number of its entry: entries are counted from 0. */
  readonly values: Map<string, number>;
  /** Number of the newest entry with the name; -1: none has it. */
  newest: number;
  /** Values that went out lately without being indexed; the next one takes the place of the oldest. Null: never indexed. */
  readonly recent: string[] | null;
  recentAt: number;
}

interface Entry {
  readonly name: string;
  readonly value: string;
}

/** An indexed field, where it stood in the block before. */
interface Stood {
  name: string;
  value: string;
  /** Of its entry; of the static table: its index, as a negative number. */
  number: number;
}

/** Fields of a block that are looked for where they stood in the one before. */
const PLACES_MAX = 32;

/** Where no indexed field stood: no name is beyond Latin-1. */
const NOBODYS_NAME = "\uffff";

let block: Buffer = Buffer.allocUnsafeSlow(16 * 1024);
let end = 0;

export class HpackEncoder {
  readonly #names = new Map<string, KnownName>();
  #entries: Entry[] = [];
  #first = 0;
  /** Entries inserted since the beginning. */
  #inserted = 0;
  #tableBytes = 0;
  #tableBytesMax = TABLE_BYTES_MAX;
  /** Smallest limit that the peer set since the last block; -1: none. */
  #announce = -1;
  /**
   * Blocks of one connection are much alike: a field in the place that it had in the block before is known by two
   * comparisons, 40 ns less than to look for name and value.
   */
  readonly #stood: Stood[] = [];
  /** Of the next field in its block. */
  #place = 0;

  /** The peer's SETTINGS_HEADER_TABLE_SIZE; we use no more than the default. */
  setTableSize(bytes: number): void {
    const limit = Math.min(bytes, TABLE_BYTES_MAX);
    if (limit === this.#tableBytesMax) return;
    this.#announce = this.#announce < 0 ? limit : Math.min(this.#announce, limit);
    this.#tableBytesMax = limit;
    this.#evict(0);
  }

  /** Begins a block; the fields follow with `field`. One block at a time in a process. */
  begin(): void {
    end = 0;
    this.#place = 0;
    if (this.#announce < 0) return;
    reserve(12);
    if (this.#announce < this.#tableBytesMax) writeInteger(0x20, 5, this.#announce);
    writeInteger(0x20, 5, this.#tableBytesMax);
    this.#announce = -1;
  }

  /** A field that came never indexed, and so goes on (§6.2.3). */
  secretField(name: string, value: string): void {
    const known = this.#names.get(name);
    const newest = known?.newest ?? -1;
    const named = STATIC_INDEX_OF_NAME.get(name) ?? (newest < 0 ? 0 : this.#index(newest));
    reserve(name.length + value.length + 16);
    writeInteger(0x10, 4, named);
    if (named === 0) writeString(name);
    writeString(value);
  }

  field(name: string, value: string): void {
    reserve(name.length + value.length + 16);
    const place = this.#place++;
    const stood = this.#stood[place];
    if (stood !== undefined && stood.name === name && stood.value === value) {
      const { number } = stood;
      if (number < 0) return writeInteger(0x80, 7, -number);
      if (number >= this.#oldest) return writeInteger(0x80, 7, this.#index(number));
    }
    let known = this.#names.get(name);
    if (known === undefined) {
      known = describe(name);
      // Kept for as long as an entry has the name; names that everybody sends are here to stay.
      if (known.staticIndex !== 0) this.#names.set(name, known);
    }
    // Not asked for in vain: a value that is met for the first time would be hashed for it.
    const inserted = known.values.size === 0 ? undefined : known.values.get(value);
    if (inserted !== undefined) {
      this.#remember(place, name, value, inserted);
      writeInteger(0x80, 7, this.#index(inserted));
      return;
    }
    const exact = known.staticValues?.get(value);
    if (exact !== undefined) {
      this.#remember(place, name, value, -exact);
      writeInteger(0x80, 7, exact);
      return;
    }
    const named = known.staticIndex !== 0 || known.newest < 0 ? known.staticIndex : this.#index(known.newest);
    // Of a name that no table has, even a value that never comes again is worth an entry: the name comes again.
    const indexed = known.pattern === 0x00 && (named === 0 || comesAgain(known, value));
    const pattern = indexed ? 0x40 : known.pattern;
    writeInteger(pattern, pattern === 0x40 ? 6 : 4, named);
    if (named === 0) writeString(name);
    writeString(value);
    if (pattern === 0x40) this.#insert(name, value, known);
  }

  #remember(place: number, name: string, value: string, number: number): void {
    if (place >= PLACES_MAX) return;
    while (this.#stood.length <= place) this.#stood.push({ name: NOBODYS_NAME, value: "", number: 0 });
    const stood = this.#stood[place] as Stood;
    stood.name = name;
    stood.value = value;
    stood.number = number;
  }

  /** Number of the oldest entry that is still there. */
  get #oldest(): number {
    return this.#inserted - (this.#entries.length - this.#first);
  }

  /** Index of the entry with that number. */
  #index(number: number): number {
    return STATIC_TABLE_SIZE + this.#inserted - number;
  }

  /** The octets of the block that was begun last stand at the beginning of `bytes`: so many. */
  get length(): number {
    return end;
  }

  /** Good until the next `begin` in this process. */
  get bytes(): Buffer {
    return block;
  }

  #insert(name: string, value: string, known: KnownName): void {
    const bytes = name.length + value.length + ENTRY_OVERHEAD_BYTES;
    this.#evict(bytes);
    if (bytes > this.#tableBytesMax) return;
    this.#tableBytes += bytes;
    this.#entries.push({ name, value });
    known.newest = this.#inserted++;
    if (known.pattern === 0x40 || known.recent !== null) known.values.set(value, known.newest);
    this.#names.set(name, known);
  }

  #evict(incoming: number): void {
    while (this.#first < this.#entries.length && this.#tableBytes + incoming > this.#tableBytesMax) {
      const number = this.#oldest;
      const { name, value } = this.#entries[this.#first++] as Entry;
      this.#tableBytes -= name.length + value.length + ENTRY_OVERHEAD_BYTES;
      const known = this.#names.get(name) as KnownName;
      known.values.delete(value);
      // With the newest, the last of that name is gone.
      if (known.newest !== number) continue;
      known.newest = -1;
      if (known.staticIndex === 0) this.#names.delete(name);
    }
    if (this.#first > 256) {
      this.#entries = this.#entries.slice(this.#first);
      this.#first = 0;
    }
  }
}

function describe(name: string): KnownName {
  const seldom = SELDOM_REPEATED.has(name);
  const pattern = NEVER_INDEXED.has(name) ? 0x10 : seldom || NEVER_REPEATED.has(name) ? 0x00 : 0x40;
  return {
    staticIndex: STATIC_INDEX_OF_NAME.get(name) ?? 0,
    pattern,
    staticValues: staticValuesOf(name),
    values: new Map(),
    newest: -1,
    recent: seldom ? [] : null,
    recentAt: 0,
  };
}

/** Whether the value went out a short while ago; else it is remembered. */
function comesAgain(known: KnownName, value: string): boolean {
  const { recent } = known;
  if (recent === null || value.length > RECENT_LENGTH_MAX) return false;
  if (recent.includes(value)) return true;
  recent[known.recentAt] = value;
  known.recentAt = (known.recentAt + 1) % RECENT_VALUES;
  return false;
}

function reserve(bytes: number): void {
  if (end + bytes <= block.length) return;
  const larger = Buffer.allocUnsafeSlow(Math.max(block.length * 2, end + bytes));
  block.copy(larger, 0, 0, end);
  block = larger;
}

/** §5.1. */
function writeInteger(pattern: number, prefixBits: number, value: number): void {
  const mask = (1 << prefixBits) - 1;
  if (value < mask) {
    block[end++] = pattern | value;
    return;
  }
  block[end++] = pattern | mask;
  value -= mask;
  while (value >= 0x80) {
    block[end++] = (value & 0x7f) | 0x80;
    value >>>= 7;
  }
  block[end++] = value;
}

function writeString(text: string): void {
  writeInteger(0x00, 7, text.length);
  end = writeLatin1(block, end, text);
}
