/** HPACK decoding (RFC 7541 §3, §6): header blocks to fields, with a table that both ends keep alike. */
import { readLatin1 } from "../../../lib/latin1.ts";
import type { FieldKind } from "../field_kind.ts";
import {
  type Entry,
  ENTRY_OVERHEAD_BYTES,
  type FieldName,
  newEntry,
  newName,
  remember,
  sizeOf,
  STATIC_ENTRIES,
} from "./entry.ts";
import { decodeHuffman } from "./huffman.ts";
import { STATIC_TABLE_SIZE } from "./static_table.ts";

/** Octets of the dynamic table: the default of SETTINGS_HEADER_TABLE_SIZE, which we leave at that. */
export const TABLE_BYTES_MAX = 4_096;

/** What came of a block. The table is up to date after `tooLarge`; after `malformed` the connection is lost. */
export type DecodeOutcome = "ok" | "tooLarge" | "malformed";

/** Takes the fields of a block, in their order. */
export interface FieldSink {
  field(name: string, value: string, kind: FieldKind): void;
  /** The peer will not have the next field indexed, here or further on (§6.2.3). */
  neverIndexed(name: string): void;
}

export class HpackDecoder {
  /** Newest last; those before `#first` are evicted. */
  #entries: (Entry | undefined)[] = [];
  #first = 0;
  #tableBytes = 0;
  #tableBytesMax = TABLE_BYTES_MAX;
  #position = 0;
  /** Where the block ends. */
  #end = 0;

  /**
   * Gives the fields of a whole block, which stands at `from` … `to`, to the sink. Beyond `bytesMax`, counted as
   * SETTINGS_MAX_HEADER_LIST_SIZE counts, or `fieldsMax`, which pseudo-header fields do not count against, they are
   * decoded but not given.
   */
  decode(
    block: Buffer,
    sink: FieldSink,
    bytesMax: number,
    fieldsMax: number,
    from = 0,
    to = block.length,
  ): DecodeOutcome {
    this.#position = from;
    this.#end = to;
    let bytes = 0;
    let fields = 0;
    let begun = false;
    while (this.#position < to) {
      const first = block[this.#position] as number;
      if ((first & 0xe0) === 0x20) {
        // §4.2: a change of the table's size stands before the first field.
        if (begun || !this.#resize(this.#integer(block, 5))) return "malformed";
        continue;
      }
      begun = true;
      const entry = (first & 0x80) !== 0 ? this.#entry(this.#integer(block, 7)) : this.#literal(block, first);
      if (entry === undefined) return "malformed";
      const { named: { name }, value, kind } = entry;
      bytes += name.length + value.length + ENTRY_OVERHEAD_BYTES;
      if (name.charCodeAt(0) !== 0x3a) fields++;
      if (bytes > bytesMax || fields > fieldsMax) continue;
      if ((first & 0xf0) === 0x10) sink.neverIndexed(name);
      sink.field(name, value, kind);
    }
    return bytes > bytesMax || fields > fieldsMax ? "tooLarge" : "ok";
  }

  /** §6.2; undefined: malformed. */
  #literal(block: Buffer, first: number): Entry | undefined {
    const indexing = (first & 0x40) !== 0;
    const index = this.#integer(block, indexing ? 6 : 4);
    const named = index === 0 ? this.#newName(block) : this.#entry(index)?.named;
    if (named === undefined) return undefined;
    const { last } = named;
    if (last !== null && this.#takes(block, last.value)) {
      if (indexing) this.#insert(last);
      return last;
    }
    const value = this.#string(block);
    if (value === undefined) return undefined;
    const entry = newEntry(named, value);
    // §6.2.3: what its sender has never indexed is a secret.
    if (indexing || (first & 0x10) === 0) remember(entry);
    if (indexing) this.#insert(entry);
    return entry;
  }

  #newName(block: Buffer): FieldName | undefined {
    const name = this.#string(block);
    return name === undefined ? undefined : newName(name);
  }

  /** §5.1; -1: malformed. */
  #integer(block: Buffer, prefixBits: number): number {
    const mask = (1 << prefixBits) - 1;
    let value = (block[this.#position++] as number) & mask;
    if (value < mask) return value;
    for (let shift = 0; shift <= 21; shift += 7) {
      if (this.#position >= this.#end) return -1;
      const byte = block[this.#position++] as number;
      value += (byte & 0x7f) << shift;
      if ((byte & 0x80) === 0) return value;
    }
    return -1;
  }

  /** §5.2; undefined: malformed. */
  #string(block: Buffer): string | undefined {
    if (this.#position >= this.#end) return undefined;
    const huffman = ((block[this.#position] as number) & 0x80) !== 0;
    const length = this.#integer(block, 7);
    const from = this.#position;
    const to = from + length;
    if (length < 0 || to > this.#end) return undefined;
    this.#position = to;
    return huffman ? decodeHuffman(block, from, to) : readLatin1(block, from, to);
  }

  /** Passes over the string if it is this one, neither empty nor Huffman-coded. */
  #takes(block: Buffer, text: string): boolean {
    const { length } = text;
    const from = this.#position + 1;
    // A length below 127 is one octet.
    if (length === 0 || from + length > this.#end || block[from - 1] !== length) return false;
    for (let i = 0; i < length; i++) if (block[from + i] !== text.charCodeAt(i)) return false;
    this.#position = from + length;
    return true;
  }

  /** Undefined: there is none. */
  #entry(index: number): Entry | undefined {
    if (index <= STATIC_TABLE_SIZE) return STATIC_ENTRIES[index];
    return this.#entries[this.#entries.length - (index - STATIC_TABLE_SIZE)];
  }

  #resize(bytes: number): boolean {
    if (bytes < 0 || bytes > TABLE_BYTES_MAX) return false;
    this.#tableBytesMax = bytes;
    this.#evict(0);
    return true;
  }

  #insert(entry: Entry): void {
    const bytes = sizeOf(entry);
    this.#evict(bytes);
    // §4.4: an entry that is larger than the table empties it.
    if (bytes > this.#tableBytesMax) return;
    this.#tableBytes += bytes;
    this.#entries.push(entry);
  }

  #evict(incoming: number): void {
    while (this.#first < this.#entries.length && this.#tableBytes + incoming > this.#tableBytesMax) {
      this.#tableBytes -= sizeOf(this.#entries[this.#first] as Entry);
      this.#entries[this.#first++] = undefined;
    }
    if (this.#first > 256) {
      this.#entries = this.#entries.slice(this.#first);
      this.#first = 0;
    }
  }
}
