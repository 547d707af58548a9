/** The keys of one issuer, and the one question that is asked of them. */
import { algorithmsOf, type Jwks, type PublicJwk } from "../../model/jwks.ts";
import { JWT_FAULT, type JwtFault } from "./jwt_fault.ts";
import type { ParsedJwt } from "./parsed_jwt.ts";

type Imported = Promise<CryptoKey | Uint8Array>;

export class KeySet {
  readonly #keys: readonly PublicJwk[];
  /** By key and algorithm, as `KEY ALGORITHM` with the key's place in the set. */
  readonly #imported = new Map<string, Imported>();

  constructor({ keys }: Jwks) {
    this.#keys = keys;
  }

  /**
   * The place of the one key that a token was signed with, by its own account; null: no key, or several. A key without a
   * name is only meant by who names none that is there.
   */
  find({ alg, kid }: Pick<ParsedJwt, "alg" | "kid">): number | null {
    const places = [...this.#keys.keys()].filter((place) => {
      const key = this.#keys[place] as PublicJwk;
      return algorithmsOf(key).includes(alg) && (key.alg === undefined || key.alg === alg);
    });
    const kidAt = (place: number) => this.#keys[place]?.kid ?? null;
    const named = kid === null ? [] : places.filter((place) => kidAt(place) === kid);
    const [only, another] = named.length > 0 ? named : places.filter((place) => kidAt(place) === null);
    return only === undefined || another !== undefined ? null : only;
  }

  /** Resolves to null where the key at that place signed the token. Never rejects. */
  async signatureFault(token: string, place: number, alg: string): Promise<JwtFault | null> {
    try {
      // Who verifies no token does not load it.
      const { compactVerify, importJWK } = await import("jose");
      const id = `${place} ${alg}`;
      let imported = this.#imported.get(id);
      if (imported === undefined) {
        imported = importJWK({ ...this.#keys[place] as PublicJwk }, alg);
        this.#imported.set(id, imported);
      }
      await compactVerify(token, await imported, { algorithms: [alg] });
      return null;
    } catch {
      // A key that is on no curve, a signature of the wrong length: whatever it is, nobody vouches for the token.
      return JWT_FAULT.wrongSignature;
    }
  }
}
