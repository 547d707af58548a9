/** Root certificates as PEM, and the pin by which a joiner knows the right one before it trusts anybody. */
import { CERTIFICATE_BYTES_MAX, readCertificate } from "./certificate_fields.ts";
import { hex } from "./der_reader.ts";
import { IdentityError } from "./identity_error.ts";
import { decodePem, encodePem } from "./pem.ts";

/** PEM label of a certificate. */
export const CERTIFICATE_LABEL = "CERTIFICATE";

/** More roots than two rollovers at once can need. */
export const TRUST_BUNDLE_ROOTS_MAX = 16;

/** Longest PEM of a bundle that is read, in characters; base64 makes 4 of 3 bytes. */
export const TRUST_BUNDLE_CHARACTERS_MAX = TRUST_BUNDLE_ROOTS_MAX * CERTIFICATE_BYTES_MAX * 2;

const PIN = /^sha256:[0-9a-f]{64}$/;

export interface TrustRoot {
  readonly der: Uint8Array;
  /** `sha256:HEX` of the DER. */
  readonly pin: string;
}

/** Whether the text has the form of a pin, `sha256:` and 64 lower-case hex digits. */
export function isPin(text: string): boolean {
  return PIN.test(text);
}

/** `sha256:HEX` of a certificate's DER: `openssl x509 -fingerprint -sha256` shows the same digits. */
export async function certificatePin(der: Uint8Array): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", der as Uint8Array<ArrayBuffer>);
  return `sha256:${hex(new Uint8Array(digest))}`;
}

/** The roots of a PEM bundle, at least one, each once; throws IdentityError `trust_bundle_malformed`. */
export async function readTrustBundle(pem: string): Promise<TrustRoot[]> {
  if (pem.length > TRUST_BUNDLE_CHARACTERS_MAX) {
    throw malformed(`it is longer than ${TRUST_BUNDLE_CHARACTERS_MAX} characters`);
  }
  try {
    const roots = new Map<string, TrustRoot>();
    const blocks = decodePem(pem);
    if (blocks.length === 0) throw malformed("it holds no certificate");
    if (blocks.length > TRUST_BUNDLE_ROOTS_MAX) {
      throw malformed(`it holds more than ${TRUST_BUNDLE_ROOTS_MAX}`);
    }
    for (const { label, der } of blocks) {
      if (label !== CERTIFICATE_LABEL) throw malformed(`it holds a ${label}`);
      if (!readCertificate(der).isCa) throw malformed("one of its certificates is no CA's");
      const pin = await certificatePin(der);
      roots.set(pin, { der, pin });
    }
    return [...roots.values()];
  } catch (cause) {
    if (!(cause instanceof IdentityError) || cause.code === "trust_bundle_malformed") throw cause;
    throw malformed(cause.message, cause);
  }
}

/**
 * The PEM of the pinned root alone: what came with it over an unauthenticated connection is not trusted.
 * Throws IdentityError `trust_bundle_without_pinned_root` when it is not there.
 */
export async function pinnedRoot(pem: string, pin: string): Promise<string> {
  const roots = await readTrustBundle(pem);
  const root = roots.find((each) => each.pin === pin);
  if (root === undefined) {
    throw new IdentityError(
      "trust_bundle_without_pinned_root",
      `The control plane's root certificate is not the one that the join token pins: expected ${pin}, got ${
        roots.map((each) => each.pin).join(", ")
      }; the address leads to another control plane, or somebody stands between`,
    );
  }
  return encodePem(CERTIFICATE_LABEL, root.der);
}

function malformed(why: string, cause?: unknown): IdentityError {
  return new IdentityError("trust_bundle_malformed", `The trust bundle cannot be used: ${why}`, { cause });
}
