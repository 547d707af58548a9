/** What a request is hashed by, for clusters that send equal requests to one endpoint (DestinationRule `consistentHash`). */
import { keyHash } from "../../lib/hash.ts";
import type { Random } from "../../lib/prng.ts";
import type { HashKey } from "../../model/cluster.ts";
import { type HeaderList, headerValue, type RequestHead } from "../exchange.ts";
import { queryParameter } from "../route/query_parameter.ts";
import { NO_KEY } from "./balancer/balancer.ts";

/** What came of a request. */
export interface RequestKey {
  /** For `pick`: 0 … 2^32-1, or NO_KEY. */
  readonly key: number;
  /** Value of a `Set-Cookie` for the answer, which brings the client back to the same endpoint; null: none. */
  readonly setCookie: string | null;
}

type CookieKey = HashKey & { readonly type: "cookie" };

export class HashPolicy {
  readonly #keys: readonly HashKey[];
  readonly #random: Random;

  constructor(keys: readonly HashKey[], random: Random) {
    this.#keys = keys;
    this.#random = random;
  }

  /** `sourceIp`: the address of whoever sent it, if that is known. */
  keyOf(head: RequestHead, sourceIp: string | null): RequestKey {
    let key = NO_KEY;
    let setCookie: string | null = null;
    for (const one of this.#keys) {
      let value = valueOf(one, head, sourceIp);
      if (value === null && one.type === "cookie" && one.ttlMs !== null) {
        value = this.#cookieValue();
        setCookie = formatCookie(one, value);
      }
      if (value !== null) key = combine(key, keyHash(value));
    }
    return { key, setCookie };
  }

  /** Long enough that no two clients get the same. */
  #cookieValue(): string {
    return [this.#random.uint32(), this.#random.uint32()]
      .map((part) => part.toString(16).padStart(8, "0")).join("");
  }
}

function valueOf(key: HashKey, head: RequestHead, sourceIp: string | null): string | null {
  switch (key.type) {
    case "header":
      return key.name === ":authority" ? head.authority : headerValue(head.headers, key.name) ?? null;
    case "cookie":
      return cookieOf(head.headers, key.name);
    case "query":
      return queryParameter(head.path, key.name) ?? null;
    case "sourceIp":
      return sourceIp;
  }
}

/** HTTP/2 may bring cookies in several fields. */
function cookieOf(headers: HeaderList, name: string): string | null {
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] !== "cookie") continue;
    for (const pair of (headers[i + 1] as string).split(";")) {
      const equals = pair.indexOf("=");
      if (equals < 0 || pair.slice(0, equals).trim() !== name) continue;
      return pair.slice(equals + 1).trim().replace(/^"(.*)"$/, "$1");
    }
  }
  return null;
}

/** As Envoy writes it. */
function formatCookie({ name, path, ttlMs, attributes }: CookieKey, value: string): string {
  const seconds = Math.ceil((ttlMs ?? 0) / 1_000);
  let cookie = `${name}="${value}"`;
  if (seconds > 0) cookie += `; Max-Age=${seconds}`;
  if (path !== null && path !== "") cookie += `; Path=${path}`;
  for (const [attribute, text] of attributes) {
    cookie += text === "" ? `; ${attribute}` : `; ${attribute}=${text}`;
  }
  return `${cookie}; HttpOnly`;
}

/** Order counts, as in Envoy: `a` then `b` is another key than `b` then `a`. */
function combine(key: number, next: number): number {
  return key === NO_KEY ? next : (((key << 1) | (key >>> 31)) ^ next) >>> 0;
}
