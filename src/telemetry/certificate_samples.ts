/** How long certificates still live, as metrics. */
import type { Sample } from "./prometheus_text.ts";

/** `bowline_certificate_expiry_seconds` by kind: negative once it has expired. */
export function certificateSamples(
  expiries: readonly { readonly kind: string; readonly notAfterMs: number }[],
  nowMs: number,
): Sample[] {
  return expiries.map(({ kind, notAfterMs }) => ({
    name: "bowline_certificate_expiry_seconds",
    help: "Time until the certificate expires.",
    type: "gauge",
    labels: { kind },
    value: Math.round((notAfterMs - nowMs) / 1000),
  }));
}
