/** Huffman-coded strings of HPACK (RFC 7541 §5.2, Appendix B). The code is canonical: its lengths say it all. */
import { readLatin1 } from "../../../lib/latin1.ts";

/** Code length in bits of each byte, and last of EOS. */
const LENGTHS: readonly number[] = (
  "13,23,28,28,28,28,28,28,28,24,30,28,28,30,28,28,28,28,28,28,28,28,30,28,28,28,28,28,28,28,28,28,6,10,10,12,13,6,8," +
  "11,10,10,8,11,8,6,6,6,5,5,5,6,6,6,6,6,6,6,7,8,15,6,12,10,13,6,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,8,7,8,13," +
  "19,13,14,6,15,5,6,5,6,5,6,6,6,5,7,7,6,6,6,5,6,7,6,5,5,6,7,7,7,7,7,15,11,14,13,28,20,22,20,20,22,22,22,23,22,23,23," +
  "23,23,23,24,23,24,24,22,23,24,23,23,23,23,21,22,23,22,23,23,24,22,21,20,22,22,23,23,21,23,22,22,24,21,22,23,23,21," +
  "21,22,21,23,22,23,23,20,22,22,22,23,22,22,23,26,26,20,19,22,23,22,25,26,26,26,27,27,26,24,25,19,21,26,27,27,26,27," +
  "24,21,21,26,26,28,27,27,27,20,24,20,21,22,21,21,23,22,22,25,25,24,24,26,23,26,27,26,26,27,27,27,27,27,28,27,27,27," +
  "27,27,26,30"
).split(",").map(Number);

const EOS = 256;
const LEAF = 1 << 20;
const NODE = 1 << 21;

/**
 * Tables for eight bits at a time: an entry is a leaf (symbol and the bits that it takes), the number of the next table,
 * or 0 for no code.
 */
const tables: Int32Array[] = [new Int32Array(256)];

function buildTables(): void {
  const order = LENGTHS.map((_, symbol) => symbol).sort((a, b) => length(a) - length(b) || a - b);
  let code = 0;
  let previous = 0;
  for (const symbol of order) {
    code <<= length(symbol) - previous;
    previous = length(symbol);
    addCode(symbol, code, previous);
    code++;
  }
}

function addCode(symbol: number, code: number, bits: number): void {
  let table = tables[0] as Int32Array;
  while (bits > 8) {
    const index = (code >>> (bits - 8)) & 0xff;
    if (table[index] === 0) table[index] = NODE | (tables.push(new Int32Array(256)) - 1);
    table = tables[(table[index] as number) & 0xffff] as Int32Array;
    bits -= 8;
  }
  const shift = 8 - bits;
  const first = (code << shift) & 0xff;
  table.fill(LEAF | (symbol << 4) | bits, first, first + (1 << shift));
}

function length(symbol: number): number {
  return LENGTHS[symbol] as number;
}

buildTables();

/** Shortest code is five bits: what a coded string can grow to. */
const GROWTH_MAX = 8 / 5;

let scratch: Buffer = Buffer.allocUnsafeSlow(4096);

/** The string in bytes from … to, Latin-1; undefined: malformed (a code that is none, EOS, or wrong padding). */
export function decodeHuffman(bytes: Buffer, from: number, to: number): string | undefined {
  const size = Math.ceil((to - from) * GROWTH_MAX);
  if (scratch.length < size) scratch = Buffer.allocUnsafeSlow(size);
  let out = 0;
  let table = tables[0] as Int32Array;
  /** Bits read and not yet decoded: the low `waiting` ones of `bits`. */
  let bits = 0;
  let waiting = 0;
  /** Bits since the last whole symbol. */
  let open = 0;
  for (let i = from; i < to; i++) {
    bits = (bits << 8) | (bytes[i] as number);
    waiting += 8;
    open += 8;
    while (waiting >= 8) {
      const entry = table[(bits >>> (waiting - 8)) & 0xff] as number;
      if ((entry & LEAF) !== 0) {
        const symbol = (entry >>> 4) & 0x1ff;
        if (symbol === EOS) return undefined;
        scratch[out++] = symbol;
        waiting -= entry & 0xf;
        open = waiting;
        table = tables[0] as Int32Array;
      } else if ((entry & NODE) !== 0) {
        waiting -= 8;
        table = tables[entry & 0xffff] as Int32Array;
      } else {
        return undefined;
      }
    }
    bits &= 0xffff;
  }
  while (waiting > 0) {
    const entry = table[(bits << (8 - waiting)) & 0xff] as number;
    const taken = entry & 0xf;
    if ((entry & LEAF) === 0 || taken > waiting) break;
    const symbol = (entry >>> 4) & 0x1ff;
    if (symbol === EOS) return undefined;
    scratch[out++] = symbol;
    waiting -= taken;
    open = waiting;
    table = tables[0] as Int32Array;
  }
  // §5.2: the padding is the beginning of EOS, all ones, and shorter than a byte.
  const mask = (1 << waiting) - 1;
  if (open > 7 || (bits & mask) !== mask) return undefined;
  return readLatin1(scratch, 0, out);
}
