/** Where a rule's keys come from. */
import { readJwks } from "../../model/jwks.ts";
import { KeySet } from "./key_set.ts";

export interface KeySource {
  /** To verify by; a promise while there are none, or old ones, and a server is asked. Null: none can be had. Never rejects. */
  current(): KeySet | null | Promise<KeySet | null>;
  /** Looks for a key that is not in `known`. Null: there is nobody to ask, or not so soon again. Never rejects. */
  renewed(known: KeySet): Promise<KeySet | null> | null;
}

/** Throws JwksError. */
export function inlineKeys(jwks: string): KeySource {
  const keys = new KeySet(readJwks(jwks));
  return { current: () => keys, renewed: () => null };
}

/** Where nobody is to be asked. */
export const NO_KEYS: KeySource = { current: () => null, renewed: () => null };
