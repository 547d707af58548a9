/**
 * A strict reader of DER (X.690 §10 and §11), as much of it as certificates need. Whatever has two spellings in BER
 * (indefinite or padded lengths, padded integers, loose booleans) is refused, so that two parsers cannot disagree.
 */
import { readLatin1 } from "../lib/latin1.ts";
import { IdentityError } from "./identity_error.ts";

/** Identifier octets. Context-specific ones are written out where they are used. */
export const DER_TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectIdentifier: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

const LENGTH_OCTETS_MAX = 4;

/** Walks over sibling elements. Every method throws IdentityError `der_malformed` when the bytes are not what is asked for. */
export class DerReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** Whether the next element has this tag; false at the end. */
  nextIs(tag: number): boolean {
    return this.#bytes[this.#at] === tag;
  }

  /** The next element, whatever it is; its content is a view, not a copy. */
  readAny(): { readonly tag: number; readonly content: Uint8Array } {
    const tag = this.#octet();
    // Tag number 31 announces a tag of several octets, which X.509 never uses.
    if ((tag & 0x1f) === 0x1f) throw malformed("a tag of several octets");
    const length = this.#length();
    const end = this.#at + length;
    if (end > this.#bytes.length) throw malformed("an element longer than what holds it");
    const content = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return { tag, content };
  }

  /** The content of the next element, which must have this tag. */
  read(tag: number): Uint8Array {
    if (!this.nextIs(tag)) {
      throw malformed(`tag ${this.#bytes[this.#at] ?? "none"} where ${tag} was expected`);
    }
    return this.readAny().content;
  }

  /** A reader of what is inside the next element, which must have this tag. */
  enter(tag: number): DerReader {
    return new DerReader(this.read(tag));
  }

  /** BOOLEAN: 0xff or 0x00, nothing between (X.690 §11.1). */
  readBoolean(): boolean {
    const content = this.read(DER_TAG.boolean);
    if (content.length !== 1 || (content[0] !== 0xff && content[0] !== 0)) throw malformed("a loose boolean");
    return content[0] === 0xff;
  }

  /** INTEGER in its shortest form (X.690 §8.3.2), two's complement, as lower-case hex. */
  readIntegerHex(): string {
    const content = this.read(DER_TAG.integer);
    const [first, second] = content;
    if (first === undefined) throw malformed("an empty integer");
    if (second !== undefined && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80))) {
      throw malformed("a padded integer");
    }
    return hex(content);
  }

  /** OBJECT IDENTIFIER as the lower-case hex of its content: good for comparing, and without a second spelling. */
  readOidHex(): string {
    const content = this.read(DER_TAG.objectIdentifier);
    if (content.length === 0 || (content[content.length - 1] as number) >= 0x80) {
      throw malformed("a cut-off OID");
    }
    return hex(content);
  }

  /** UTCTime or GeneralizedTime as RFC 5280 §4.1.2.5 allows them (seconds, `Z`), milliseconds since 1970. */
  readTime(): number {
    const { tag, content } = this.readAny();
    const text = latin1(content);
    if (tag === DER_TAG.utcTime && /^\d{12}Z$/.test(text)) {
      const year = Number(text.slice(0, 2));
      return timeOf(`${year >= 50 ? "19" : "20"}${text}`);
    }
    if (tag === DER_TAG.generalizedTime && /^\d{14}Z$/.test(text)) return timeOf(text);
    throw malformed("a time in another form than RFC 5280's");
  }

  /** Throws when something is left: what a parser skips, another may read. */
  finish(): void {
    if (!this.atEnd) throw malformed("bytes after the end");
  }

  #octet(): number {
    const octet = this.#bytes[this.#at];
    if (octet === undefined) throw malformed("an end in the middle of an element");
    this.#at++;
    return octet;
  }

  #length(): number {
    const first = this.#octet();
    if (first < 0x80) return first;
    const octets = first & 0x7f;
    if (octets === 0 || octets > LENGTH_OCTETS_MAX) throw malformed("an indefinite or huge length");
    let length = 0;
    for (let i = 0; i < octets; i++) length = length * 256 + this.#octet();
    const shortest = length < 0x80 ? 0 : Math.ceil((32 - Math.clz32(length)) / 8);
    if (octets !== shortest) throw malformed("a padded length");
    return length;
  }
}

/** Two digits an octet, lower case. */
export function hex(bytes: Uint8Array): string {
  return bytes.toHex();
}

/** One character an octet, so that no octet can hide or be lost. */
export function latin1(bytes: Uint8Array): string {
  return readLatin1(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), 0, bytes.length);
}

function timeOf(digits: string): number {
  const [year, month, day, hour, minute, second] = [0, 4, 6, 8, 10, 12].map((at) =>
    Number(digits.slice(at, at === 0 ? 4 : at + 2))
  ) as [number, number, number, number, number, number];
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second);
  // A date that does not exist, the 31st of February, would silently become another.
  const same = date.getUTCMonth() === month - 1 && date.getUTCDate() === day && date.getUTCHours() === hour &&
    date.getUTCMinutes() === minute && date.getUTCSeconds() === second;
  if (!same) throw malformed("a time that does not exist");
  return date.getTime();
}

function malformed(what: string): IdentityError {
  return new IdentityError("der_malformed", `The DER holds ${what}`);
}
