/**
 * Where a request may carry a token. Whatever stands in such a place is one, and each of several has to be verified: a
 * program behind the proxy might read another one than the first.
 */
import type { JwtRule } from "../../model/jwt_rule.ts";
import type { HeaderList, RequestHead } from "../exchange.ts";

export class TokenPlaces {
  readonly #headers: ReadonlyMap<string, readonly string[]>;
  readonly #params: ReadonlySet<string>;
  readonly #cookies: ReadonlySet<string>;

  constructor({ headers, params, cookies }: Pick<JwtRule, "headers" | "params" | "cookies">) {
    const byName = Map.groupBy(headers, ({ name }) => name);
    this.#headers = new Map([...byName].map(([name, all]) => [name, all.map(({ prefix }) => prefix)]));
    this.#params = new Set(params);
    this.#cookies = new Set(cookies);
  }

  /** All tokens of a request: of headers, parameters, cookies; null: it has none. */
  find({ headers, path }: RequestHead): readonly string[] | null {
    let tokens: string[] | null = null;
    for (let i = 0; i < headers.length; i += 2) {
      const token = this.#inHeader(headers[i] as string, headers[i + 1] as string);
      if (token !== null) (tokens ??= []).push(token);
    }
    if (this.#params.size > 0 && path.includes("?")) {
      for (const { name, value } of pairsOf(path)) if (this.#params.has(name)) (tokens ??= []).push(value);
    }
    if (this.#cookies.size === 0) return tokens;
    for (const { name, value } of cookiesOf(headers)) {
      if (this.#cookies.has(name)) (tokens ??= []).push(value);
    }
    return tokens;
  }

  /** Takes all of them out. */
  strip(head: RequestHead): void {
    keepFields(head.headers, (name, value) => this.#inHeader(name, value) === null);
    if (this.#params.size > 0) head.path = this.#pathWithout(head.path);
    if (this.#cookies.size > 0) this.#stripCookies(head.headers);
  }

  #inHeader(name: string, value: string): string | null {
    const prefixes = this.#headers.get(name);
    if (prefixes === undefined) return null;
    // Envoy compares the scheme's case, too; servers do not (RFC 9110 §11.1), and would take what was not verified.
    // The same goes for a tab behind the scheme, where a blank belongs.
    const isScheme = name === "authorization";
    const same = isScheme ? sameWithoutCase : Object.is;
    const text = isScheme ? value.replaceAll("\t", " ") : value;
    for (const prefix of prefixes) {
      if (same(text.slice(0, prefix.length), prefix)) return text.slice(prefix.length).trim();
    }
    return null;
  }

  #pathWithout(path: string): string {
    const query = path.indexOf("?");
    if (query < 0) return path;
    const pairs = pairsOf(path);
    const kept = pairs.filter(({ name }) => !this.#params.has(name));
    if (kept.length === pairs.length) return path;
    const rest = kept.map(({ text }) => text).join("&");
    return rest === "" ? path.slice(0, query) : `${path.slice(0, query + 1)}${rest}`;
  }

  #stripCookies(headers: HeaderList): void {
    for (let i = 0; i < headers.length; i += 2) {
      if (headers[i] !== "cookie") continue;
      const pairs = (headers[i + 1] as string).split(";");
      const kept = pairs.filter((pair) => !this.#cookies.has(cookieOf(pair).name));
      if (kept.length === pairs.length) continue;
      if (kept.length > 0) headers[i + 1] = kept.join(";").trim();
      else {
        headers.splice(i, 2);
        i -= 2;
      }
    }
  }
}

function sameWithoutCase(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

/** Removes the fields that are not to be kept. */
export function keepFields(headers: HeaderList, keep: (name: string, value: string) => boolean): void {
  let length = 0;
  for (let i = 0; i < headers.length; i += 2) {
    const [name, value] = [headers[i] as string, headers[i + 1] as string];
    if (!keep(name, value)) continue;
    headers[length++] = name;
    headers[length++] = value;
  }
  headers.length = length;
}

/** Of the query, decoded as forms are (`text` is as it was written), since that is how programs read it. */
function pairsOf(path: string): { name: string; value: string; text: string }[] {
  return path.slice(path.indexOf("?") + 1).split("&").map((text) => {
    const equals = text.indexOf("=");
    if (equals < 0) return { name: decode(text), value: "", text };
    return { name: decode(text.slice(0, equals)), value: decode(text.slice(equals + 1)), text };
  });
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    // Escapes of nothing in UTF-8 name no parameter of ours, and stand in no token.
    return text;
  }
}

function* cookiesOf(headers: HeaderList): Generator<{ name: string; value: string }> {
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] === "cookie") {
      for (const pair of (headers[i + 1] as string).split(";")) yield cookieOf(pair);
    }
  }
}

/** RFC 6265 §4.1.1; quotes around a value are none of it. */
function cookieOf(pair: string): { name: string; value: string } {
  const equals = pair.indexOf("=");
  if (equals < 0) return { name: pair.trim(), value: "" };
  const value = pair.slice(equals + 1).trim();
  return { name: pair.slice(0, equals).trim(), value: /^"(.*)"$/.exec(value)?.[1] ?? value };
}
