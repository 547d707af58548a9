/** A request that somebody asks about, brought into the form in which the proxy would see the real one. */
import { isPort, PORT_MAX } from "../../model/ports.ts";
import { parseIp } from "../../lib/ip.ts";
import { Prng } from "../../lib/prng.ts";
import { isMap } from "../../lib/is_map.ts";
import type { PathNormalization } from "../../model/path_normalization.ts";
import type { Snapshot } from "../../model/snapshot.ts";
import type { RequestHead } from "../exchange.ts";
import { ensureEntryHeaders } from "../filters/entry_headers.ts";
import { splitAuthority } from "../cluster/authority_address.ts";
import { parseRequestHead } from "../http1/head.ts";
import type { Claims } from "../jwt/request_auth.ts";
import { isAuthority, isToken } from "../message_syntax.ts";
import { Malformed } from "../http1/malformed.ts";
import { takeMeshHeaders } from "../mesh_headers.ts";
import { connectHead } from "../tcp/server_connection.ts";
import { normalPath } from "../route/normal_path.ts";
import { quote } from "./quote.ts";

/** Of a URL. With `https` the proxy sees only encrypted bytes, with `tcp` bytes of which it reads nothing. */
export type ExplainScheme = "http" | "https" | "tcp";

export interface ExplainRequest {
  /** As it was asked. */
  readonly url: string;
  readonly scheme: ExplainScheme;
  /** Of bytes the CONNECT that stands for them. */
  readonly head: RequestHead;
  /** What the request's token says, which is taken for verified; null: it has none. */
  readonly claims: Claims | null;
  /** The address of the client, where a gateway is asked about; null: nobody said. */
  readonly client: string | null;
}

/** What is said of a request besides what it holds. */
export interface ExplainRequestOptions {
  /** JSON. @default it has no token */
  readonly claims?: string | null | undefined;
  /** An IP address. @default nobody knows */
  readonly client?: string | null | undefined;
  /** The form of paths in the mesh. */
  readonly form?: PathNormalization | undefined;
}

export type ExplainRequestErrorCode = "method" | "url" | "header" | "claims" | "client" | "refused";

/** What was asked is no request that a proxy would route; the message says which part. */
export class ExplainRequestError extends Error {
  override readonly name = "ExplainRequestError";

  constructor(readonly code: ExplainRequestErrorCode, message: string) {
    super(message);
  }
}

const URL_FORM = /^(?:([A-Za-z][A-Za-z0-9+.-]*):\/\/)?([^/?#]*)([^#]*)/;
const VISIBLE_ASCII = /^[\x21-\x7e]+$/;

/** The ids that the proxy makes up differ on every call; here they are the same, so that answers are. */
const TRACE_SEED = 1;

/**
 * `url` is `http://HOST[:PORT]/PATH?QUERY`; without a scheme it is http. `headers` are `NAME: VALUE`; a Host among them
 * beats the URL's. `method` is GET where it is null. Reads it with the proxy's own parser. Of `tcp://HOST:PORT` there is
 * nothing more to say. Throws ExplainRequestError.
 */
export function readExplainRequest(
  asked: string | null,
  url: string,
  headers: readonly string[],
  { claims = null, client = null, form }: ExplainRequestOptions = {},
): ExplainRequest {
  if (client !== null && parseIp(client) === null) fail("client", `${quote(client)} is not an IP address`);
  const { scheme, authority, path } = splitUrl(url);
  if (scheme === "tcp") {
    const more = { method: asked, header: headers[0] ?? null, claims, url: path === "/" ? null : path };
    return { url, scheme, head: bytesHead(url, authority, more), claims: null, client };
  }
  const method = asked ?? "GET";
  if (!isToken(method)) fail("method", `${quote(method)} is not an HTTP method`);
  checkQuotes(asked, headers);
  // The proxy answers it itself, whatever the configuration says.
  if (method === "CONNECT") {
    fail(
      "method",
      "CONNECT opens a tunnel and has no path to route by; explain the request that goes through it, or tcp://HOST:PORT",
    );
  }
  const fields = headers.map(readHeader);
  const named = fields.find(({ name }) => name.toLowerCase() === "host");
  if (named === undefined) fields.unshift({ name: "host", value: authority });
  else checkAuthority(named.value, "header", quote(`${named.name}: ${named.value}`));
  const lines = fields.map(({ name, value }) => `${name}: ${value}\r\n`).join("");
  const parsed = parseRequestHead(`${method} ${path} HTTP/1.1\r\n${lines}`, "http");
  if (parsed instanceof Malformed) {
    return fail("refused", `The proxy would answer this request ${parsed.status} (${parsed.details})`);
  }
  const normal = normalPath(parsed.head.path, form);
  if (typeof normal !== "string") {
    return fail(
      "refused",
      `The proxy would answer this request ${normal.status} (${normal.details}): ${normal.text}`,
    );
  }
  parsed.head.path = normal;
  takeMeshHeaders(parsed.head.headers);
  ensureEntryHeaders(parsed.head, new Prng(TRACE_SEED));
  return { url, scheme, head: parsed.head, claims: claims === null ? null : readClaims(claims), client };
}

/** The form of paths that a proxy with this snapshot goes by. */
export function pathFormOf(snapshot: Snapshot): PathNormalization | undefined {
  const body = snapshot.get("proxy/self")?.body;
  return body?.kind === "proxy" ? body.pathNormalization : undefined;
}

function readClaims(text: string): Claims {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = null;
  }
  if (isMap(value)) return value;
  return fail("claims", `The claims are no JSON object: ${quote(text)}`);
}

/** `more` is what only requests have. */
function bytesHead(
  url: string,
  authority: string,
  more: Readonly<Partial<Record<ExplainRequestErrorCode, string | null>>>,
): RequestHead {
  if (splitAuthority(authority) === null) fail("url", `${quote(url)} names no host`);
  if (!/:[0-9]+$/.test(authority)) fail("url", `${quote(url)} names no port, and bytes go to one`);
  for (const [code, value] of Object.entries(more)) {
    if (value === null) continue;
    fail(
      code as ExplainRequestErrorCode,
      `Bytes have no method, path, header or token, and this has ${quote(value)}`,
    );
  }
  return connectHead(authority);
}

function splitUrl(url: string): { scheme: ExplainScheme; authority: string; path: string } {
  if (!VISIBLE_ASCII.test(url)) {
    fail("url", `${quote(url)} is not a URL: anything but visible ASCII must be percent-encoded`);
  }
  const [, scheme = "http", authority, rest] = URL_FORM.exec(url) as unknown as [
    string,
    string | undefined,
    string,
    string,
  ];
  const lower = scheme.toLowerCase();
  if (lower !== "http" && lower !== "https" && lower !== "tcp") {
    fail("url", `${quote(url)} has the scheme ${quote(scheme)}, and only http, https and tcp are explained`);
  }
  checkAuthority(authority, "url", quote(url));
  return {
    scheme: lower as ExplainScheme,
    authority,
    path: rest.startsWith("/") ? rest : `/${rest}`,
  };
}

function checkAuthority(authority: string, code: "url" | "header", whole: string): void {
  if (authority.includes("@")) {
    fail(code, `${whole} has a user name in it; credentials go into a header`);
  }
  if (authority === "" || !isAuthority(authority)) {
    fail(code, `${whole} names no host`);
  }
  const port = /:([0-9]*)$/.exec(authority.replace(/^\[.*\]/, ""))?.[1];
  if (port === undefined || isPort(Number(port))) return;
  fail(code, `${whole} has no valid port; it must be a whole number from 1 to ${PORT_MAX}`);
}

/** Without quotes a shell makes two of `-H x-user: ann`, an empty header and what looks like a method. */
function checkQuotes(asked: string | null, headers: readonly string[]): void {
  const empty = headers.find((text) => text.endsWith(":"));
  if (asked === null || empty === undefined || /^[A-Z]+$/.test(asked)) return;
  const whole = `'${empty} ${asked}'`;
  fail(
    "header",
    `Header ${quote(empty)} is empty, and ${quote(asked)} is the method; did you mean ${whole}?`,
  );
}

/** The value as it travels: the bytes of its UTF-8, each as one character. */
function readHeader(text: string): { name: string; value: string } {
  const colon = text.indexOf(":");
  if (colon < 0) fail("header", `${quote(text)} is not a header; write it 'NAME: VALUE'`);
  const name = text.slice(0, colon);
  if (!isToken(name)) fail("header", `${quote(name)} is not the name of a header`);
  const value = text.slice(colon + 1).trim();
  if (/[^\t\x20-\x7e\x80-\uffff]/.test(value)) {
    fail("header", `The value of header ${quote(name)} has a control character in it`);
  }
  const bytes = [...new TextEncoder().encode(value)];
  return { name, value: bytes.map((byte) => String.fromCharCode(byte)).join("") };
}

function fail(code: ExplainRequestErrorCode, message: string): never {
  throw new ExplainRequestError(code, message);
}
