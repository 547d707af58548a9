/** When the certificates that a process depends on end: its own, those between, and the root that they lead to. */
import { type CertificateFields, readCertificate } from "./certificate_fields.ts";
import { isSameBytes } from "../lib/same_bytes.ts";
import { decodePem } from "./pem.ts";

export interface CertificateExpiry {
  readonly kind: "leaf" | "intermediate" | "root";
  /** Milliseconds since 1970; of several intermediates the first to end. */
  readonly notAfterMs: number;
}

/** `chain`: PEM, the leaf first; `roots`: PEM. Throws IdentityError. */
export function certificateExpiries(chain: string, roots: string): CertificateExpiry[] {
  const [leaf, ...others] = readAll(chain);
  if (leaf === undefined) return [];
  const trusted = readAll(roots);
  const between: CertificateFields[] = [];
  // What follows in the chain may be for those who trust another root.
  for (let below = leaf;;) {
    const issued = trusted.filter(({ subject }) => isSameBytes(subject, below.issuer));
    const above = others.shift();
    if (issued.length > 0 || above === undefined) return expiries(leaf, between, issued);
    between.push(above);
    below = above;
  }
}

function expiries(
  leaf: CertificateFields,
  between: readonly CertificateFields[],
  roots: readonly CertificateFields[],
): CertificateExpiry[] {
  return [
    { kind: "leaf", notAfterMs: leaf.notAfterMs },
    ...(between.length > 0 ? [{ kind: "intermediate", notAfterMs: firstEnd(between) } as const] : []),
    ...(roots.length > 0 ? [{ kind: "root", notAfterMs: firstEnd(roots) } as const] : []),
  ];
}

function readAll(pem: string): CertificateFields[] {
  return decodePem(pem).map(({ der }) => readCertificate(der));
}

function firstEnd(certificates: readonly CertificateFields[]): number {
  return Math.min(...certificates.map(({ notAfterMs }) => notAfterMs));
}
