/**
 * The beginning of a TLS connection, read and not answered: whether it is one, and the name of the server that it asks
 * for (RFC 8446 §4.1.2, RFC 6066 §3). The bytes go on as they came.
 */

/** A hello, with the record headers in it, that is longer is none that a program sends. Envoy's limit is 16 KiB. */
export const CLIENT_HELLO_BYTES_MAX = 64 * 1024;

/** RFC 8446 §5.1. */
const FRAGMENT_BYTES_MAX = 16_384;
const RECORD_HEADER_BYTES = 5;
const MESSAGE_HEADER_BYTES = 4;
/** The type of record that a connection begins with: its first byte. */
export const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
/** First byte of every version since SSL 3.0. */
const VERSION_MAJOR = 3;
const RANDOM_BYTES = 32;
const SERVER_NAME = 0;
const HOST_NAME = 0;

/** RFC 1035 §2.3.4. */
const NAME_LENGTH_MAX = 255;
const NAME = /^[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?$/i;

export type HelloVerdict =
  /** More bytes are needed to tell. */
  | "partial"
  /** The bytes are no TLS. */
  | "not-tls"
  /** The bytes began as TLS and broke its rules. */
  | "malformed"
  /** All of it is there. */
  | "complete";

export class ClientHelloReader {
  /** Asked for by the client, lower case and without a final dot; null: it named none. Known once complete. */
  serverName: string | null = null;
  /** Where the next record begins. */
  #next = 0;
  readonly #fragments: Uint8Array[] = [];
  #gathered = 0;

  /** `seen`: everything that came so far; each call has what the one before had, and more. */
  read(seen: Uint8Array): HelloVerdict {
    const first = beginning(seen);
    if (first !== "complete") return first;
    while (this.#next + RECORD_HEADER_BYTES <= seen.length) {
      const at = this.#next;
      const length = uint16(seen, at + 3);
      if (seen[at] !== HANDSHAKE || seen[at + 1] !== VERSION_MAJOR) return "malformed";
      if (length === 0 || length > FRAGMENT_BYTES_MAX) return "malformed";
      const end = at + RECORD_HEADER_BYTES + length;
      if (end > CLIENT_HELLO_BYTES_MAX) return "malformed";
      if (end > seen.length) break;
      this.#fragments.push(seen.slice(at + RECORD_HEADER_BYTES, end));
      this.#gathered += length;
      this.#next = end;
      if (this.#gathered >= MESSAGE_HEADER_BYTES) {
        const whole = this.#wholeLength();
        if (whole > CLIENT_HELLO_BYTES_MAX) return "malformed";
        if (this.#gathered >= whole) return this.#parse(whole);
      }
    }
    return "partial";
  }

  /** Bytes of the handshake message with its header. */
  #wholeLength(): number {
    // Senders that split a header over records are rare: then, and only then, there is more to join than one.
    while ((this.#fragments[0] as Uint8Array).length < MESSAGE_HEADER_BYTES) this.#join(2);
    const [first] = this.#fragments as [Uint8Array];
    return MESSAGE_HEADER_BYTES + ((first[1] as number) << 16 | uint16(first, 2));
  }

  #join(count: number): void {
    this.#fragments.unshift(Buffer.concat(this.#fragments.splice(0, count)));
  }

  #parse(whole: number): HelloVerdict {
    this.#join(this.#fragments.length);
    const message = (this.#fragments[0] as Uint8Array).subarray(MESSAGE_HEADER_BYTES, whole);
    this.#fragments.length = 0;
    const name = serverNameIn(message);
    if (name === undefined) return "malformed";
    this.serverName = name;
    return "complete";
  }
}

/** The first bytes of a handshake record with a ClientHello in it; null: any. */
const BEGINNING: readonly (number | null)[] = [HANDSHAKE, VERSION_MAJOR, null, null, null, CLIENT_HELLO];

/** Whether bytes may be the first of a handshake record with a ClientHello in it. */
function beginning(seen: Uint8Array): HelloVerdict {
  const length = Math.min(seen.length, BEGINNING.length);
  for (let i = 0; i < length; i++) {
    if (BEGINNING[i] !== null && seen[i] !== BEGINNING[i]) return "not-tls";
  }
  return length < BEGINNING.length ? "partial" : "complete";
}

/** The name in a hello; null when it has none, undefined when the hello is malformed. */
function serverNameIn(hello: Uint8Array): string | null | undefined {
  let at = 2 + RANDOM_BYTES;
  for (const lengthBytes of [1, 2, 1]) {
    // Session, cipher suites, compression methods.
    const length = lengthAt(hello, at, lengthBytes);
    if (length === undefined) return undefined;
    at += lengthBytes + length;
  }
  if (at === hello.length) return null;
  if (lengthAt(hello, at, 2) !== hello.length - at - 2) return undefined;
  at += 2;
  let name: string | null | undefined = null;
  while (at < hello.length) {
    const length = lengthAt(hello, at + 2, 2);
    if (length === undefined) return undefined;
    if (uint16(hello, at) === SERVER_NAME) {
      // RFC 8446 §4.2: no more than one of a kind.
      if (name !== null) return undefined;
      name = hostNameIn(hello.subarray(at + 4, at + 4 + length));
      if (name === undefined) return undefined;
    }
    at += 4 + length;
  }
  return name;
}

/** The one name of the extension; undefined when it has none, or not only one. */
function hostNameIn(extension: Uint8Array): string | undefined {
  const whole = lengthAt(extension, 0, 2) === extension.length - 2 && extension[2] === HOST_NAME &&
    lengthAt(extension, 3, 2) === extension.length - 5;
  if (!whole) return undefined;
  const name = Buffer.from(extension.subarray(5)).toString("latin1");
  if (name.length > NAME_LENGTH_MAX || !NAME.test(name)) return undefined;
  return (name.endsWith(".") ? name.slice(0, -1) : name).toLowerCase();
}

/** The number of `bytes` bytes there, if so much follows it; else undefined. */
function lengthAt(from: Uint8Array, at: number, bytes: number): number | undefined {
  if (at + bytes > from.length) return undefined;
  const length = bytes === 1 ? from[at] as number : uint16(from, at);
  return at + bytes + length <= from.length ? length : undefined;
}

function uint16(from: Uint8Array, at: number): number {
  return (from[at] as number) << 8 | (from[at + 1] as number);
}
