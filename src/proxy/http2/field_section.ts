/** The fields of one header block (RFC 9113 §8), sorted into what they are to a message as they are decoded. */
import type { HeaderList } from "../exchange.ts";
import { readContentLength } from "../message_syntax.ts";
import { FieldKind } from "./field_kind.ts";
import type { FieldSink } from "./hpack/decoder.ts";
import { NEVER_INDEXED } from "./hpack/encoder.ts";

/** One per connection, begun anew for each block. */
export class FieldSection implements FieldSink {
  headers: HeaderList = [];
  // Pseudo-header fields; null: not there.
  method: string | null = null;
  scheme: string | null = null;
  path: string | null = null;
  authority: string | null = null;
  protocol: string | null = null;
  status: string | null = null;
  host: string | null = null;
  /** -1: none. */
  contentLength = -1;
  /** Names of fields that came never indexed, and would not go on so by themselves; null: there are none. */
  secrets: Set<string> | null = null;
  /** A field, or their order, is what no message may have. */
  malformed = false;
  /** Where the value of the first cookie stands; -1: there is none. */
  #cookie = -1;
  #regular = false;

  begin(): void {
    this.headers = [];
    this.method = null;
    this.scheme = null;
    this.path = null;
    this.authority = null;
    this.protocol = null;
    this.status = null;
    this.host = null;
    this.contentLength = -1;
    this.secrets = null;
    this.malformed = false;
    this.#cookie = -1;
    this.#regular = false;
  }

  get isRequest(): boolean {
    return this.status === null && !this.malformed;
  }

  get isResponse(): boolean {
    return this.status !== null && this.#requestPseudo === null && !this.malformed;
  }

  get isTrailers(): boolean {
    return this.status === null && this.#requestPseudo === null && this.host === null &&
      this.contentLength < 0 && !this.malformed;
  }

  get #requestPseudo(): string | null {
    return this.method ?? this.scheme ?? this.path ?? this.authority ?? this.protocol;
  }

  field(name: string, value: string, kind: FieldKind): void {
    if (kind >= FieldKind.Method) return this.#pseudo(value, kind);
    this.#regular = true;
    switch (kind) {
      case FieldKind.Plain:
        this.headers.push(name, value);
        return;
      case FieldKind.Cookie:
        return this.#addCookie(name, value);
      case FieldKind.ContentLength:
        return this.#setLength(value);
      case FieldKind.Host:
        if (this.host !== null) this.malformed = true;
        this.host = value;
        return;
      case FieldKind.Te:
        return;
      default:
        this.malformed = true;
    }
  }

  neverIndexed(name: string): void {
    if (!NEVER_INDEXED.has(name)) (this.secrets ??= new Set()).add(name);
  }

  #pseudo(value: string, kind: FieldKind): void {
    let before: string | null = null;
    switch (kind) {
      case FieldKind.Method:
        before = this.method;
        this.method = value;
        break;
      case FieldKind.Scheme:
        before = this.scheme;
        this.scheme = value;
        break;
      case FieldKind.Path:
        before = this.path;
        this.path = value;
        break;
      case FieldKind.Authority:
        before = this.authority;
        this.authority = value;
        break;
      case FieldKind.Protocol:
        before = this.protocol;
        this.protocol = value;
        break;
      default:
        before = this.status;
        this.status = value;
    }
    // §8.3: once each, and before all others.
    if (before !== null || this.#regular) this.malformed = true;
  }

  /** §8.2.3: crumbs are one field everywhere else. */
  #addCookie(name: string, value: string): void {
    if (this.#cookie >= 0) {
      this.headers[this.#cookie] += `; ${value}`;
      return;
    }
    this.#cookie = this.headers.push(name, value) - 1;
  }

  #setLength(value: string): void {
    const length = readContentLength(value);
    if (length < 0 || (this.contentLength >= 0 && this.contentLength !== length)) this.malformed = true;
    this.contentLength = length;
  }
}
