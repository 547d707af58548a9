/** Header operations with values that are made for each request, after Envoy's command operators. */
import { isFixedHeader } from "../../model/fixed_headers.ts";
import { type HeaderCommand, type HeaderPart, parseHeaderFormat } from "../../model/header_format.ts";
import type { FormattedHeader } from "../../model/route.ts";
import { type HeaderList, headerValue, type RequestHead } from "../exchange.ts";

/** What commands ask of a call. */
export interface FormattedCall {
  readonly head: RequestHead;
  /** Null: nobody knows it. */
  readonly clientAddress: string | null;
  readonly startedMs: number;
  /** Null: there is none yet. */
  readonly answer: { readonly status: number; readonly headers: HeaderList } | null;
}

export interface CallSource {
  /** `headers` are those that are edited: of the answer once there is one. */
  formattedCall(headers: HeaderList): FormattedCall;
}

interface CompiledFormat {
  readonly name: string;
  readonly replaces: boolean;
  readonly parts: readonly HeaderPart[];
}

type Pairs = readonly (readonly [name: string, value: string])[];

export class FormattedHeaderEdits {
  readonly #remove: ReadonlySet<string>;
  readonly #set: Pairs;
  readonly #add: Pairs;
  readonly #formats: readonly CompiledFormat[];

  /** `set` and `add` are those without commands, as far as they may be edited. Throws when a format is none. */
  constructor(remove: ReadonlySet<string>, set: Pairs, add: Pairs, formatted: readonly FormattedHeader[]) {
    this.#remove = remove;
    this.#set = set;
    this.#add = add;
    this.#formats = formatted.filter(({ name }) => !isFixedHeader(name)).map(compileFormat);
  }

  /** Edits a head in place. What comes to nothing changes nothing, as in Envoy. */
  apply(headers: HeaderList, call: FormattedCall): void {
    drop(headers, this.#remove);
    const made = this.#formats.map(({ name, replaces, parts }) => ({
      name,
      replaces,
      value: parts.map((part) => typeof part === "string" ? part : valueOf(part, call)).join(""),
    })).filter(({ value }) => value !== "");
    const replaced = made.filter(({ replaces }) => replaces);
    drop(headers, new Set([...this.#set.map(([name]) => name), ...replaced.map(({ name }) => name)]));
    for (const [name, value] of this.#set) headers.push(name, value);
    for (const { name, value } of replaced) headers.push(name, value);
    for (const [name, value] of this.#add) headers.push(name, value);
    for (const { name, value, replaces } of made) if (!replaces) headers.push(name, value);
  }
}

export function drop(headers: HeaderList, names: ReadonlySet<string>): void {
  let kept = 0;
  for (let i = 0; i < headers.length; i += 2) {
    if (names.has(headers[i] as string)) continue;
    headers[kept++] = headers[i] as string;
    headers[kept++] = headers[i + 1] as string;
  }
  headers.length = kept;
}

function compileFormat({ name, replaces, text }: FormattedHeader): CompiledFormat {
  const parts = parseHeaderFormat(text);
  if ("fault" in parts) {
    throw new Error(`The header ${name} has a format that this version does not know: ${text}`);
  }
  return { name, replaces, parts };
}

/** Empty where there is nothing. */
function valueOf(part: HeaderCommand, call: FormattedCall): string {
  return textOf(part, call).slice(0, part.maxLength);
}

function textOf({ command, headers }: HeaderCommand, call: FormattedCall): string {
  const { head, answer } = call;
  switch (command) {
    case "REQ":
      return first(headers, (name) => requestValue(name, head));
    case "RESP":
      return first(headers, (name) => answer === null ? undefined : headerValue(answer.headers, name));
    case "PROTOCOL":
      return head.http2 === true ? "HTTP/2" : "HTTP/1.1";
    case "START_TIME":
      return new Date(call.startedMs).toISOString();
    case "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT":
      return call.clientAddress ?? "";
    case "RESPONSE_CODE":
      return answer === null || answer.status === 0 ? "" : String(answer.status);
  }
}

function first(names: readonly string[], read: (name: string) => string | undefined): string {
  for (const name of names) {
    const value = read(name);
    if (value !== undefined) return value;
  }
  return "";
}

function requestValue(name: string, head: RequestHead): string | undefined {
  switch (name) {
    case ":method":
      return head.method;
    case ":path":
      return head.path;
    case ":authority":
    case "host":
      return head.authority;
    case ":scheme":
      return head.scheme;
    default:
      return headerValue(head.headers, name);
  }
}
