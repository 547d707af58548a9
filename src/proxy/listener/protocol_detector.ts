/**
 * What a connection speaks, by its first bytes, as Envoy's listener filters find out: TLS by its ClientHello, HTTP/2 by
 * its preface, HTTP/1 by its request line, and TCP is the rest.
 */
import { REQUEST_LINE_BYTES_MAX } from "../http1/limits.ts";
import { PREFACE } from "../http2/frames.ts";
import { ClientHelloReader, HANDSHAKE, type HelloVerdict } from "./client_hello.ts";

/** What is known before the first byte. */
export type Expectation =
  /** A connection dialled straight at the proxy: requests, or TLS with a server name. `tcp` is what has neither. */
  | "direct"
  /** The port is declared to carry HTTP: whatever comes is read as that. */
  | "http"
  /** The port is declared to carry HTTP, and TLS may be around it. */
  | "http-or-tls"
  /** The port is declared to carry TLS. */
  | "tls"
  /** Nothing. */
  | "any";

/** `malformed`: it began as TLS, and is not. */
export type Detected = "http1" | "http2" | "tls" | "tcp" | "malformed";

/** Methods of requests are shorter; the IANA registry's longest has 17 letters. */
const METHOD_LENGTH_MAX = 32;
const SPACE = 0x20;
const DELETE = 0x7f;
const VERSION = Buffer.from("HTTP/1.");

export class ProtocolDetector {
  readonly expectation: Expectation;
  /** Made for what may be TLS: most connections are not. */
  #hello: ClientHelloReader | null = null;
  /** The first bytes were not those of TLS. */
  #notTls: boolean;
  /** Where the request line was read up to; everything before it is as it should be. */
  #lineAt = 0;
  #lineState: "method" | "target" | "version" = "method";

  constructor(expectation: Expectation) {
    this.expectation = expectation;
    this.#notTls = expectation === "http";
  }

  /** After `tls`: the name of the server, if the client gave one. */
  get serverName(): string | null {
    return this.#hello?.serverName ?? null;
  }

  /** `seen`: everything so far, and never empty. Null: it can still be more than one thing. */
  detect(seen: Buffer): Detected | null {
    if (!this.#notTls) {
      const verdict = this.#readHello(seen);
      if (verdict === "partial") return null;
      if (verdict !== "not-tls") return this.#judgeTls(verdict);
      this.#notTls = true;
    }
    if (this.expectation === "tls") return "tcp";
    const length = Math.min(seen.length, PREFACE.length);
    if (seen.compare(PREFACE, 0, length, 0, length) === 0) return length < PREFACE.length ? null : "http2";
    if (this.expectation === "any") return this.#readRequestLine(seen);
    return this.expectation !== "direct" || mayBeginRequest(seen[0] as number) ? "http1" : "tcp";
  }

  #readHello(seen: Buffer): HelloVerdict {
    if (seen[0] !== HANDSHAKE) return "not-tls";
    this.#hello ??= new ClientHelloReader();
    return this.#hello.read(seen);
  }

  #judgeTls(verdict: "malformed" | "complete"): Detected {
    if (this.expectation !== "direct") return verdict === "complete" ? "tls" : "malformed";
    return verdict === "complete" && this.serverName !== null ? "tls" : "tcp";
  }

  #readRequestLine(seen: Buffer): Detected | null {
    if (this.#lineState === "method") {
      while (isMethodByte(seen[this.#lineAt])) this.#lineAt++;
      if (this.#lineAt > METHOD_LENGTH_MAX) return "tcp";
      if (this.#lineAt === seen.length) return null;
      if (this.#lineAt === 0 || seen[this.#lineAt] !== SPACE) return "tcp";
      this.#lineAt++;
      this.#lineState = "target";
    }
    if (this.#lineState === "target") {
      while (isTargetByte(seen[this.#lineAt])) this.#lineAt++;
      if (this.#lineAt > REQUEST_LINE_BYTES_MAX) return "tcp";
      if (this.#lineAt === seen.length) return null;
      // Two spaces: the target between them is empty.
      if (seen[this.#lineAt] !== SPACE || seen[this.#lineAt - 1] === SPACE) return "tcp";
      this.#lineAt++;
      this.#lineState = "version";
    }
    const length = Math.min(seen.length - this.#lineAt, VERSION.length);
    if (seen.compare(VERSION, 0, length, this.#lineAt, this.#lineAt + length) !== 0) return "tcp";
    return length < VERSION.length ? null : "http1";
  }
}

/** The letters of a token, or the empty lines that some send before a request (RFC 9112 §2.2). */
function mayBeginRequest(byte: number): boolean {
  return byte === 0x0d || byte === 0x0a || (byte > SPACE && byte < DELETE);
}

/** Upper case and "-": what registered methods consist of. */
function isMethodByte(byte: number | undefined): boolean {
  return byte !== undefined && ((byte >= 0x41 && byte <= 0x5a) || byte === 0x2d);
}

function isTargetByte(byte: number | undefined): boolean {
  return byte !== undefined && byte > SPACE && byte !== DELETE;
}
