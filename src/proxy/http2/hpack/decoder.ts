/** HPACK decoding (RFC 7541 §3, §6): header blocks to lists, with a table that both ends keep alike. */
import type { HeaderList } from "../../exchange.ts";
import { decodeHuffman } from "./huffman.ts";
import { STATIC_NAMES, STATIC_TABLE_SIZE, STATIC_VALUES } from "./static_table.ts";

/** Octets of the dynamic table: the default of SETTINGS_HEADER_TABLE_SIZE, which we leave at that. */
export const TABLE_BYTES_MAX = 4_096;

/** §4.1: what an entry costs beyond its octets. */
export const ENTRY_OVERHEAD_BYTES = 32;

/** What came of a block. The table is up to date after `tooLarge`; after `malformed` the connection is lost. */
export type DecodeOutcome = "ok" | "tooLarge" | "malformed";

export class HpackDecoder {
  /** Newest last. */
  #names: string[] = [];
  #values: string[] = [];
  /** Entries before this one are evicted. */
  #first = 0;
  #tableBytes = 0;
  #tableBytesMax = TABLE_BYTES_MAX;
  #position = 0;

  /**
   * Appends the fields of a whole block to `list`. Beyond `bytesMax`, counted as SETTINGS_MAX_HEADER_LIST_SIZE counts,
   * or `fieldsMax`, which pseudo-header fields do not count against, they are decoded but not kept.
   */
  decode(block: Buffer, list: HeaderList, bytesMax: number, fieldsMax: number): DecodeOutcome {
    this.#position = 0;
    let bytes = 0;
    let fields = 0;
    let begun = false;
    while (this.#position < block.length) {
      const first = block[this.#position] as number;
      if ((first & 0xe0) === 0x20) {
        // §4.2: a change of the table's size stands before the first field.
        if (begun || !this.#resize(this.#integer(block, 5))) return "malformed";
        continue;
      }
      begun = true;
      let name: string | undefined;
      let value: string | undefined;
      if ((first & 0x80) !== 0) {
        const index = this.#integer(block, 7);
        name = this.#name(index);
        value = this.#value(index);
      } else {
        const indexing = (first & 0x40) !== 0;
        const index = this.#integer(block, indexing ? 6 : 4);
        name = index === 0 ? this.#string(block) : this.#name(index);
        value = name === undefined ? undefined : this.#string(block);
        if (indexing && name !== undefined && value !== undefined) this.#insert(name, value);
      }
      if (name === undefined || value === undefined) return "malformed";
      bytes += name.length + value.length + ENTRY_OVERHEAD_BYTES;
      if (name.charCodeAt(0) !== 0x3a) fields++;
      if (bytes <= bytesMax && fields <= fieldsMax) list.push(name, value);
    }
    return bytes > bytesMax || fields > fieldsMax ? "tooLarge" : "ok";
  }

  /** §5.1; -1: malformed. */
  #integer(block: Buffer, prefixBits: number): number {
    const mask = (1 << prefixBits) - 1;
    let value = (block[this.#position++] as number) & mask;
    if (value < mask) return value;
    for (let shift = 0; shift <= 21; shift += 7) {
      const byte = block[this.#position++];
      if (byte === undefined) return -1;
      value += (byte & 0x7f) << shift;
      if ((byte & 0x80) === 0) return value;
    }
    return -1;
  }

  /** §5.2; undefined: malformed. */
  #string(block: Buffer): string | undefined {
    if (this.#position >= block.length) return undefined;
    const huffman = ((block[this.#position] as number) & 0x80) !== 0;
    const length = this.#integer(block, 7);
    const from = this.#position;
    const to = from + length;
    if (length < 0 || to > block.length) return undefined;
    this.#position = to;
    return huffman ? decodeHuffman(block, from, to) : block.toString("latin1", from, to);
  }

  #name(index: number): string | undefined {
    return index <= STATIC_TABLE_SIZE ? named(STATIC_NAMES, index) : this.#names[this.#slot(index)];
  }

  #value(index: number): string | undefined {
    return index <= STATIC_TABLE_SIZE ? named(STATIC_VALUES, index) : this.#values[this.#slot(index)];
  }

  /** Position in the arrays of an index beyond the static table; -1: there is none. */
  #slot(index: number): number {
    const slot = this.#names.length - (index - STATIC_TABLE_SIZE);
    return slot < this.#first ? -1 : slot;
  }

  #resize(bytes: number): boolean {
    if (bytes < 0 || bytes > TABLE_BYTES_MAX) return false;
    this.#tableBytesMax = bytes;
    this.#evict(0);
    return true;
  }

  #insert(name: string, value: string): void {
    const bytes = name.length + value.length + ENTRY_OVERHEAD_BYTES;
    this.#evict(bytes);
    // §4.4: an entry that is larger than the table empties it.
    if (bytes > this.#tableBytesMax) return;
    this.#tableBytes += bytes;
    this.#names.push(name);
    this.#values.push(value);
  }

  #evict(incoming: number): void {
    while (this.#first < this.#names.length && this.#tableBytes + incoming > this.#tableBytesMax) {
      const name = this.#names[this.#first] as string;
      const value = this.#values[this.#first] as string;
      this.#tableBytes -= name.length + value.length + ENTRY_OVERHEAD_BYTES;
      this.#names[this.#first] = "";
      this.#values[this.#first] = "";
      this.#first++;
    }
    if (this.#first > 256) {
      this.#names = this.#names.slice(this.#first);
      this.#values = this.#values.slice(this.#first);
      this.#first = 0;
    }
  }
}

function named(table: readonly string[], index: number): string | undefined {
  return index > 0 ? table[index] : undefined;
}
