/** What a process knows about its own certificate, and when it asks for the next one. */
import type { Random } from "../lib/prng.ts";
import { GENERAL_NAME, readCertificate } from "./certificate_fields.ts";
import { hex } from "./der_reader.ts";
import { IdentityError } from "./identity_error.ts";
import { decodePem } from "./pem.ts";
import { CERTIFICATE_LABEL } from "./trust_bundle.ts";

export interface CertificateInfo {
  /** Lower-case hex. */
  readonly serial: string;
  readonly spiffeId: string;
  /** Which key of its authority signed it, lower-case hex; undefined where that is not said. */
  readonly signer: string | undefined;
  /** Milliseconds since 1970. */
  readonly notBeforeMs: number;
  /** Milliseconds since 1970. */
  readonly notAfterMs: number;
}

/** Share of its life after which a certificate is renewed (Istio's SECRET_GRACE_PERIOD_RATIO). */
export const RENEWAL_SHARE = 0.5;

/** Renewals spread by this share of the life to either side, so that what joined together does not renew together. */
const RENEWAL_JITTER_SHARE = 0.01;

/** The first certificate of a PEM chain; throws IdentityError `pem_malformed` or `certificate_malformed`. */
export function certificateInfo(chainPem: string): CertificateInfo {
  const leaf = decodePem(chainPem).find((block) => block.label === CERTIFICATE_LABEL);
  if (leaf === undefined) throw new IdentityError("pem_malformed", "The PEM holds no certificate");
  const fields = readCertificate(leaf.der);
  const { serial, notBeforeMs, notAfterMs, alternativeNames, authorityKeyIdentifier: signer } = fields;
  const [uri, ...more] = alternativeNames.filter((name) => name.tag === GENERAL_NAME.uri);
  if (uri === undefined || more.length > 0) {
    throw new IdentityError("certificate_malformed", "The certificate does not have exactly one URI SAN");
  }
  return { serial, spiffeId: uri.value, signer: signer && hex(signer), notBeforeMs, notAfterMs };
}

/** When to ask for the next certificate, milliseconds since 1970: half of the life, with jitter. */
export function renewalTimeMs(
  life: { readonly notBeforeMs: number; readonly notAfterMs: number },
  random: Random,
): number {
  const share = RENEWAL_SHARE + (random.float() * 2 - 1) * RENEWAL_JITTER_SHARE;
  return Math.round(life.notBeforeMs + (life.notAfterMs - life.notBeforeMs) * share);
}

/** After a renewal another one comes no sooner than in this share of the certificate's life, or in half of what is left. */
const RENEWAL_PAUSE_SHARE = 0.1;

/** And never sooner than this. */
export const RENEWAL_PAUSE_MIN_MS = 5_000;

/**
 * The same for a certificate that was just issued. It may be no better than the one before, since the CA's own ends, or
 * since the clock here is ahead: then half of its life is over already, and asking at once would never end.
 */
export function nextRenewalTimeMs(
  life: { readonly notBeforeMs: number; readonly notAfterMs: number },
  random: Random,
  nowMs: number,
): number {
  const { notBeforeMs, notAfterMs } = life;
  const pauseMs = Math.min((notAfterMs - notBeforeMs) * RENEWAL_PAUSE_SHARE, (notAfterMs - nowMs) / 2);
  return Math.max(renewalTimeMs(life, random), nowMs + Math.max(RENEWAL_PAUSE_MIN_MS, Math.round(pauseMs)));
}
