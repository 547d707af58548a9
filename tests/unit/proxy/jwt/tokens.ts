/** An issuer of tests: keys of every kind, tokens signed with them, and what others would make of them. */
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import type { JwtRule } from "../../../../src/model/jwt_rule.ts";
import type { RequestHead } from "../../../../src/proxy/exchange.ts";
import { requestHead } from "../request_head.ts";

export const ISSUER = "https://issuer.test";

/** What `new Date()` is to the rules of a test, in milliseconds. */
export const NOW_MS = 1_800_000_000_000;
export const NOW = NOW_MS / 1_000;

export interface TestKey {
  readonly kid: string | null;
  readonly alg: string;
  readonly jwk: Record<string, unknown>;
  readonly privateKey: CryptoKey;
}

export async function key(alg: string, kid: string | null = alg): Promise<TestKey> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  const jwk = { ...await exportJWK(publicKey), ...(kid === null ? {} : { kid }) };
  return { kid, alg, jwk, privateKey };
}

export async function sign(
  { kid, alg, privateKey }: TestKey,
  claims: Record<string, unknown> = {},
  header: Record<string, unknown> = {},
): Promise<string> {
  return await new SignJWT({ iss: ISSUER, sub: "ann", exp: NOW + 300, ...claims })
    .setProtectedHeader({ alg, ...(kid === null ? {} : { kid }), ...header })
    .sign(privateKey);
}

/** Three parts of whatever there is, with a signature that nobody made. */
export function unsigned(header: unknown, claims: unknown, signature = "AAAA"): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part(header)}.${part(claims)}.${signature}`;
}

export function jwksOf(...keys: readonly Pick<TestKey, "jwk">[]): string {
  return JSON.stringify({ keys: keys.map(({ jwk }) => jwk) });
}

export function rule(more: Partial<JwtRule> = {}): JwtRule {
  return {
    ...{ name: "shop/tokens", file: "tokens.yaml", line: 1, issuer: ISSUER, audiences: [] },
    keys: { type: "discovery" },
    headers: [{ name: "authorization", prefix: "Bearer " }],
    params: ["access_token"],
    ...{ cookies: [], forwards: false, payloadHeader: null, claimHeaders: [], spaceDelimited: [] },
    timeoutMs: 5_000,
    ...more,
  };
}

export function head(headers: readonly string[] = [], path = "/"): RequestHead {
  return requestHead({ authority: "web", path, headers: [...headers] });
}

export function bearer(token: string): RequestHead {
  return head(["authorization", `Bearer ${token}`]);
}
