/** Tokens that must never pass. */
import { createHmac } from "node:crypto";
import type { Issuer } from "./key_server.ts";

export interface Signers {
  /** Whom the rule believes, by a key called `one`. */
  readonly issuer: Issuer;
  /** Somebody with another key of that name. */
  readonly stranger: Issuer;
  /** The issuer of another rule. */
  readonly other: Issuer;
}

/** By what each tries; `claims` are those of a good one. */
export async function forgedTokens(
  { issuer, stranger, other }: Signers,
  good: Readonly<Record<string, unknown>>,
): Promise<Record<string, string>> {
  const now = Math.floor(Date.now() / 1_000);
  const claims = { sub: "ann", exp: now + 300, ...good };
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const hmac = (secret: string) => {
    const text = `${part({ alg: "HS256", kid: "one" })}.${part(claims)}`;
    return `${text}.${createHmac("sha256", secret).update(text).digest("base64url")}`;
  };
  const sign = (more: Record<string, unknown>) => issuer.sign({ ...claims, ...more });
  const [header, payload, signature] = (await sign({})).split(".") as [string, string, string];
  return {
    "alg none": `${part({ alg: "none" })}.${part(claims)}.`,
    "alg none with a signature": `${part({ alg: "none", kid: "one" })}.${part(claims)}.${signature}`,
    "HS256 with the public key": hmac(JSON.stringify(issuer.publicJwk)),
    "HS256 with nothing": hmac(""),
    "another payload": `${header}.${part({ ...claims, sub: "eve" })}.${signature}`,
    "no signature": `${header}.${payload}.`,
    "another's key of that name": await stranger.sign(claims),
    "a key that it brings along": await stranger.sign(claims, { jwk: stranger.publicJwk }),
    "an issuer that nobody knows": await sign({ iss: "https://evil.test" }),
    "no issuer": await sign({ iss: undefined }),
    "another audience": await sign({ aud: ["other"] }),
    "no audience": await sign({ aud: undefined }),
    "an expired one": await sign({ exp: now - 600 }),
    "one of the future": await sign({ nbf: now + 600 }),
    "an unknown key": await issuer.sign(claims, { kid: "two" }),
    "no kid": await issuer.sign(claims, { kid: undefined }),
    "another's keys, under the name of a known issuer": await other.sign(claims),
    "garbage": "garbage",
  };
}
