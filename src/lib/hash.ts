/** Content hashes: equal JSON gives equal versions, whatever the order of its keys and whoever computes it. */

/** 128 bits: among a billion bodies the chance of one collision is below 10^-20. */
const HASH_HEX_LENGTH = 32;

/** The first 128 bits of the SHA-256 of the value's canonical JSON, in hex. `value` is plain data: what JSON can say. */
export function contentHash(value: unknown): string {
  return textHash(canonicalJson(value));
}

/** The first 128 bits of the SHA-256 of the text's UTF-8, in hex. */
export function textHash(text: string): string {
  return new Bun.CryptoHasher("sha256").update(text).digest("hex").slice(0, HASH_HEX_LENGTH);
}

/** The SHA-256 of the bytes, in hex. */
export function bytesHash(bytes: Uint8Array): string {
  return new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
}

/** XXH32 of the text's UTF-8, in 0 … 2^32-1: quick and even, the same everywhere, and no secret. */
export function keyHash(text: string, seed = 0): number {
  return Bun.hash.xxHash32(text, seed);
}

/** JSON without white space and with sorted keys; properties that are undefined are left out, as JSON.stringify does. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item ?? null)).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const record = value as Record<string, unknown>;
  const members = Object.keys(record).filter((key) => record[key] !== undefined).sort();
  return `{${members.map((key) => `${JSON.stringify(key)}:${canonicalJson(record[key])}`).join(",")}}`;
}
