/** IP addresses and networks as bytes: 4 for IPv4, and for IPv6 that only maps one (RFC 4291 §2.5.5.2), else 16. */

const V4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/;
const GROUPS = 8;

/** The bytes of an address, or null when the text is none. */
export function parseIp(text: string): Uint8Array | null {
  return text.includes(":") ? parseV6(text) : parseV4(text);
}

/** The text of 4 or 16 bytes: the same for the same address, however it was written. */
export function formatIp(bytes: Uint8Array): string {
  const short = unmapped(bytes);
  if (short.length === 4) return short.join(".");
  const groups = Array.from({ length: GROUPS }, (_, i) => groupAt(short, i));
  const { from, length } = longestZeros(groups);
  const text = (part: readonly number[]) => part.map((group) => group.toString(16)).join(":");
  return length < 2 ? text(groups) : `${text(groups.slice(0, from))}::${text(groups.slice(from + length))}`;
}

/** The bits of an address as a text of 0 and 1: addresses of a network begin alike. */
export function bitsOf(bytes: Uint8Array): string {
  let bits = "";
  for (const byte of bytes) bits += BITS[byte] as string;
  return bits;
}

const BITS = Array.from({ length: 256 }, (_, byte) => byte.toString(2).padStart(8, "0"));

/** A range of addresses. */
export class Network {
  private constructor(readonly bytes: Uint8Array, readonly bits: number) {}

  /** `10.0.0.0/8`, or an address, which is a network of one; null when the text is neither. */
  static parse(text: string): Network | null {
    const [address = "", bits, ...rest] = text.split("/");
    const bytes = parseIp(address);
    if (bytes === null || rest.length > 0) return null;
    const most = bytes.length * 8;
    if (bits === undefined) return new Network(bytes, most);
    return /^\d{1,3}$/.test(bits) && Number(bits) <= most ? new Network(bytes, Number(bits)) : null;
  }

  contains(address: Uint8Array): boolean {
    if (address.length !== this.bytes.length) return false;
    const whole = this.bits >> 3;
    for (let i = 0; i < whole; i++) if (address[i] !== this.bytes[i]) return false;
    const rest = this.bits & 7;
    if (rest === 0) return true;
    const difference = (address[whole] as number) ^ (this.bytes[whole] as number);
    return difference >> (8 - rest) === 0;
  }
}

function parseV4(text: string): Uint8Array | null {
  const numbers = V4.exec(text)?.slice(1).map(Number);
  return numbers === undefined || numbers.some((number) => number > 255) ? null : Uint8Array.from(numbers);
}

function parseV6(text: string): Uint8Array | null {
  const [before = "", after, ...rest] = text.split("::");
  if (rest.length > 0) return null;
  const head = groupsOf(before, after === undefined);
  const tail = after === undefined ? [] : groupsOf(after, true);
  if (head === null || tail === null) return null;
  const missing = GROUPS - head.length - tail.length;
  if (after === undefined ? missing !== 0 : missing < 1) return null;
  const groups = [...head, ...Array<number>(missing).fill(0), ...tail];
  return unmapped(Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff])));
}

/** The groups between colons; where the address ends, an IPv4 address may stand for two. */
function groupsOf(text: string, ends: boolean): number[] | null {
  if (text === "") return [];
  const parts = text.split(":");
  const groups: number[] = [];
  for (const [index, part] of parts.entries()) {
    const v4 = ends && index === parts.length - 1 ? parseV4(part) : null;
    if (v4 !== null) groups.push(groupAt(v4, 0), groupAt(v4, 1));
    else if (/^[0-9a-f]{1,4}$/i.test(part)) groups.push(Number.parseInt(part, 16));
    else return null;
  }
  return groups;
}

/** The first of the longest runs of zeros, which is left out (RFC 5952 §4.2). */
function longestZeros(groups: readonly number[]): { from: number; length: number } {
  let longest = { from: 0, length: 0 };
  for (let from = 0; from < groups.length; from++) {
    let length = 0;
    while (groups[from + length] === 0) length++;
    if (length > longest.length) longest = { from, length };
  }
  return longest;
}

function groupAt(bytes: Uint8Array, index: number): number {
  return (bytes[index * 2] as number) << 8 | (bytes[index * 2 + 1] as number);
}

function unmapped(bytes: Uint8Array): Uint8Array {
  if (bytes.length !== 16) return bytes;
  const maps = bytes.subarray(0, 10).every((byte) => byte === 0) && groupAt(bytes, 5) === 0xffff;
  return maps ? bytes.subarray(12) : bytes;
}
