/**
 * JSON Web Key Sets (RFC 7517), as far as signatures are verified with them: public keys alone, and of those the ones that
 * are for it. A set that was written in a file and one that a server answered are read by the same rules.
 */
import { isMap } from "../lib/is_map.ts";

/** Keys of one set; no issuer publishes more than a few. */
export const JWKS_KEYS_MAX = 100;

/** RFC 7518 §3.3. */
export const RSA_BITS_MIN = 2_048;

/** A key as jose imports it: never with a private member. */
export interface PublicJwk {
  readonly kty: "RSA" | "EC" | "OKP";
  readonly kid?: string;
  /** The only algorithm that it is for. @default any that fits */
  readonly alg?: string;
  readonly crv?: string;
  readonly n?: string;
  readonly e?: string;
  readonly x?: string;
  readonly y?: string;
}

export interface Jwks {
  readonly keys: readonly PublicJwk[];
  /** Why others were left out, in the order of the set. */
  readonly leftOut: readonly string[];
}

/** The text is no set of keys. The message is a clause. */
export class JwksError extends Error {
  override readonly name = "JwksError";
}

/** Members of a private key (RFC 7518 §6). */
const PRIVATE_MEMBERS = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/** Public members, by the type of the key. */
const MEMBERS = { RSA: ["n", "e"], EC: ["crv", "x", "y"], OKP: ["crv", "x"] } as const;

const CURVES = { EC: ["P-256", "P-384", "P-521"], OKP: ["Ed25519"], RSA: [] } as const;

/** Throws JwksError. */
export function readJwks(text: string): Jwks {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // A parser's message would quote what may be a secret.
    throw new JwksError("it is not JSON");
  }
  const written = isMap(value) ? value["keys"] : undefined;
  if (!Array.isArray(written)) throw new JwksError('it has no list "keys"');
  if (written.length > JWKS_KEYS_MAX) throw new JwksError(`it has more than ${JWKS_KEYS_MAX} keys`);
  const keys: PublicJwk[] = [];
  const leftOut: string[] = [];
  for (const [index, one] of written.entries()) {
    const fault = faultOf(one);
    if (fault === null) keys.push(publicPart(one as Record<string, unknown>));
    else leftOut.push(`key ${index} ${fault}`);
  }
  return { keys, leftOut };
}

/** Algorithms that a key can verify: asymmetric ones alone, so that no public key is ever taken for a secret. */
export function algorithmsOf({ kty, crv }: PublicJwk): readonly string[] {
  if (kty === "RSA") return ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
  if (kty === "OKP") return ["EdDSA", "Ed25519"];
  return crv === "P-256" ? ["ES256"] : crv === "P-384" ? ["ES384"] : ["ES512"];
}

/** Why a key verifies nothing; null: it does. */
function faultOf(value: unknown): string | null {
  if (!isMap(value)) return "is no object";
  if (value["kty"] === "oct") return "is a shared secret, with which whoever verifies could sign";
  if (PRIVATE_MEMBERS.some((name) => Object.hasOwn(value, name))) return "is a private one";
  const { kty, kid, alg, use, key_ops: operations, crv } = value;
  if (kty !== "RSA" && kty !== "EC" && kty !== "OKP") return "has no kty of RSA, EC and OKP";
  if (kid !== undefined && typeof kid !== "string") return "has a kid that is no text";
  if (use !== undefined && use !== "sig") return "is not for signatures (use)";
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes("verify"))) {
    return "is not for verifying (key_ops)";
  }
  const missing = MEMBERS[kty].find((name) => !isBase64Url(value[name]) && name !== "crv");
  if (missing !== undefined) return `has no ${missing}`;
  if (kty !== "RSA" && !(CURVES[kty] as readonly unknown[]).includes(crv)) return "is on an unknown curve";
  const bits = kty === "RSA" ? bitsOf(value["n"] as string) : RSA_BITS_MIN;
  if (bits < RSA_BITS_MIN) return `has ${bits} bits, and RSA needs ${RSA_BITS_MIN}`;
  const key = publicPart(value);
  if (alg !== undefined && !algorithmsOf(key).includes(alg as string)) {
    return "is for another algorithm (alg)";
  }
  return null;
}

function publicPart(value: Readonly<Record<string, unknown>>): PublicJwk {
  const kty = value["kty"] as PublicJwk["kty"];
  const names = ["kty", "kid", "alg", ...MEMBERS[kty]];
  return Object.fromEntries(
    names.flatMap((name) => value[name] === undefined ? [] : [[name, value[name]]]),
  ) as unknown as PublicJwk;
}

function bitsOf(number: string): number {
  const bytes = Uint8Array.fromBase64(number, { alphabet: "base64url" });
  const first = bytes.findIndex((byte) => byte !== 0);
  return first < 0 ? 0 : (bytes.length - first) * 8 - Math.clz32(bytes[first] as number) + 24;
}

function isBase64Url(value: unknown): boolean {
  return typeof value === "string" && value.length % 4 !== 1 && /^[A-Za-z0-9_-]+$/.test(value);
}
