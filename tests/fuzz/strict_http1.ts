/** HTTP/1 once more, slowly and by the letter of RFC 9112: what a peer that bends nothing reads in some bytes. */

export interface Message {
  /** Request line or status line. */
  readonly line: readonly [string, string, string];
  /** Names in lower case. */
  readonly fields: readonly (readonly [string, string])[];
  readonly body: string;
  readonly trailers: readonly (readonly [string, string])[];
}

export interface Reading {
  readonly messages: readonly Message[];
  /** What is behind them: nothing, the beginning of another one, or what is none. */
  readonly left: "nothing" | "part" | "fault";
  /** Of a part: its head is whole. */
  readonly begun: Pick<Message, "line" | "fields"> | null;
}

type Step = { readonly message: Message; readonly next: number } | "fault" | {
  readonly begun: Pick<Message, "line" | "fields"> | null;
};

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const REQUEST_LINE = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([!-~]+) HTTP\/(1\.[01])$/;
/** Behind its method: origin-form, absolute-form with a host, asterisk-form; nobody here asks for a tunnel. */
const TARGET =
  /^[^ ]+ (\/[^#]*|https?:\/\/(?!:)(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=-]*)(:[0-9]{0,5})?([/?][^#]*)?)$|^OPTIONS \*$/i;
/** Its last space is left out by so many that everybody bears it. */
const STATUS_LINE = /^HTTP\/(1\.[01]) ([1-5][0-9][0-9])(| [\t -~\x80-\xff]*)$/;
const VALUE = /^[\t -~\x80-\xff]*$/;
const HOST = /^((\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=-]+)(:[0-9]{0,5})?)?$/;
const EXTENSION =
  /^[ \t]*;[ \t]*[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:[ \t]*=[ \t]*(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+|"(?:[^"\\]|\\.)*"))?/;

/** `methods`: of the requests that these are the answers to, in order; absent: these are requests. */
export function readMessages(text: string, ended: boolean, methods?: readonly string[]): Reading {
  const messages: Message[] = [];
  let at = 0;
  for (;;) {
    if (methods === undefined) { while (text.startsWith("\r\n", at)) at += 2; }
    if (at === text.length) return { messages, left: "nothing", begun: null };
    const finals = messages.filter(({ line }) => !line[1].startsWith("1")).length;
    const step = readMessage(text, at, ended, methods === undefined ? undefined : methods[finals] ?? "none");
    if (step === "fault") return { messages, left: "fault", begun: null };
    if ("begun" in step) return { messages, left: "part", begun: step.begun };
    messages.push(step.message);
    at = step.next;
  }
}

function readMessage(text: string, at: number, ended: boolean, method: string | undefined): Step {
  const headEnd = text.indexOf("\r\n\r\n", at);
  if (headEnd < 0) return /(^|[^\r])\n/.test(text.slice(at)) ? "fault" : { begun: null };
  const [first = "", ...lines] = text.slice(at, headEnd).split("\r\n");
  if (method === "none") return "fault";
  const parts = (method === undefined ? REQUEST_LINE : STATUS_LINE).exec(first);
  const fields = readFields(lines);
  if (parts === null || fields === null) return "fault";
  if (method === undefined && !TARGET.test(`${parts[1]} ${parts[2]}`)) return "fault";
  const line = [parts[1], parts[2], parts[3]] as [string, string, string];
  const framing = method === undefined ? requestFraming(line, fields) : responseFraming(method, line, fields);
  if (framing === null) return "fault";
  const from = headEnd + 4;
  const head = { line, fields };
  if (framing === "close") {
    return ended
      ? { message: { ...head, body: text.slice(from), trailers: [] }, next: text.length }
      : { begun: head };
  }
  if (framing !== "chunked") {
    if (text.length < from + framing) return { begun: head };
    return {
      message: { ...head, body: text.slice(from, from + framing), trailers: [] },
      next: from + framing,
    };
  }
  const body = readChunks(text, from);
  if (body === null) return "fault";
  if (body === "part") return { begun: head };
  return { message: { ...head, body: body.body, trailers: body.trailers }, next: body.next };
}

function readFields(lines: readonly string[]): [string, string][] | null {
  const fields: [string, string][] = [];
  for (const line of lines) {
    const colon = line.indexOf(":");
    const name = line.slice(0, Math.max(0, colon));
    const value = line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, "");
    if (colon < 0 || !TOKEN.test(name) || !VALUE.test(value)) return null;
    fields.push([name.toLowerCase(), value]);
  }
  return fields;
}

export function values(fields: Message["fields"], name: string): string[] {
  return fields.filter(([one]) => one === name).map(([, value]) => value);
}

function requestFraming(
  [, , version]: Message["line"],
  fields: Message["fields"],
): "chunked" | number | null {
  const hosts = values(fields, "host");
  if (hosts.length > 1 || (hosts.length === 0 && version === "1.1") || !HOST.test(hosts[0] ?? "")) {
    return null;
  }
  const framing = framingOf(fields);
  if (framing === "chunked" && version === "1.0") return null;
  return framing === undefined ? 0 : framing;
}

function responseFraming(
  method: string,
  [version, status]: Message["line"],
  fields: Message["fields"],
): "chunked" | "close" | number | null {
  const framing = framingOf(fields);
  if (framing === null || (framing === "chunked" && version === "1.0")) return null;
  const code = Number(status);
  if (code < 200 || code === 204) return framing === undefined || (code === 204 && framing === 0) ? 0 : null;
  if (method === "HEAD" || code === 304) return 0;
  return framing === undefined ? "close" : framing;
}

/** Undefined: the fields say nothing; null: what they say is none. */
function framingOf(fields: Message["fields"]): "chunked" | number | null | undefined {
  const codings = values(fields, "transfer-encoding");
  const lengths = values(fields, "content-length");
  if (codings.length > 0) {
    const [coding = ""] = codings;
    return lengths.length === 0 && codings.length === 1 && coding.toLowerCase() === "chunked"
      ? "chunked"
      : null;
  }
  if (lengths.length === 0) return undefined;
  const [length = ""] = lengths;
  return lengths.length === 1 && /^[0-9]{1,15}$/.test(length) ? Number(length) : null;
}

function readChunks(
  text: string,
  from: number,
): { body: string; trailers: [string, string][]; next: number } | "part" | null {
  let body = "";
  let at = from;
  for (;;) {
    const lineEnd = text.indexOf("\r\n", at);
    const line = lineEnd < 0 ? text.slice(at) : text.slice(at, lineEnd);
    if (lineEnd < 0) return isSizeStart(line) ? "part" : null;
    const [size = ""] = /^[0-9A-Fa-f]{1,13}/.exec(line) ?? [];
    if (size === "" || line.length > 257 || !areExtensions(line.slice(size.length))) return null;
    const length = parseInt(size, 16);
    at = lineEnd + 2;
    if (length === 0) break;
    body += text.slice(at, at + length);
    at += length;
    const rest = text.slice(at, at + 2);
    if (rest !== "\r\n") return "\r\n".startsWith(rest) && text.length < at + 2 ? "part" : null;
    at += 2;
  }
  if (text.startsWith("\r\n", at)) return { body, trailers: [], next: at + 2 };
  const end = text.indexOf("\r\n\r\n", at);
  if (end < 0) return /(^|[^\r])\n/.test(text.slice(at)) ? null : "part";
  const trailers = readFields(text.slice(at, end).split("\r\n"));
  const framing = new Set(["content-length", "transfer-encoding", "host"]);
  if (trailers === null || trailers.some(([name]) => framing.has(name))) return null;
  return { body, trailers, next: end + 4 };
}

function areExtensions(text: string): boolean {
  if (text === "") return true;
  const one = EXTENSION.exec(text)?.[0];
  return VALUE.test(text) && one !== undefined && areExtensions(text.slice(one.length));
}

function isSizeStart(line: string): boolean {
  return /^[0-9A-Fa-f]{0,13}(?:[ \t]*(?:;[\t -~\x80-\xff]*)?)?\r?$/.test(line);
}
