/** What can be wrong with keys, certificates, bundles and tokens as texts. */

export type IdentityErrorCode =
  | "der_malformed"
  | "pem_malformed"
  | "key_malformed"
  | "certificate_malformed"
  | "trust_bundle_malformed"
  | "trust_bundle_without_pinned_root"
  | "join_token_malformed";

/** The message never holds key material or the text of a token. */
export class IdentityError extends Error {
  override readonly name = "IdentityError";

  constructor(readonly code: IdentityErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
  }
}
