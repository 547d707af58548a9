/** When a certificate is a matter of concern: the same rule for the list, the warnings and the probes. */
import { RENEWAL_SHARE } from "../identity/certificate_info.ts";
import type { CertificateState } from "../model/admin.ts";

/** Share of its life after which a leaf that was not renewed is warned of: half of the renewal margin. */
export const LEAF_WARNING_SHARE = RENEWAL_SHARE + (1 - RENEWAL_SHARE) / 2;

/** The share of its life after which a CA's own certificate is warned of, which people renew in the last fifth (Istio's root check). */
export const AUTHORITY_WARNING_SHARE = 0.9;

export interface Life {
  /** Milliseconds since 1970. */
  readonly startMs: number;
  readonly notAfterMs: number;
}

/** Of a certificate that nobody has replaced or revoked. */
export function certificateState(
  { startMs, notAfterMs }: Life,
  warningShare: number,
  nowMs: number,
): CertificateState {
  if (nowMs >= notAfterMs) return "expired";
  return nowMs >= startMs + (notAfterMs - startMs) * warningShare ? "expiring" : "valid";
}
