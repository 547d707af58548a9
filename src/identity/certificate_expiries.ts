/** When the certificates that a process depends on end: its own, those between, and the root that they lead to. */
import { type CertificateFields, readCertificate } from "./certificate_fields.ts";
import { decodePem } from "./pem.ts";

export interface CertificateExpiry {
  readonly kind: "leaf" | "intermediate" | "root";
  /** Milliseconds since 1970; of several intermediates the first to end. */
  readonly notAfterMs: number;
}

/** `chain`: PEM, the leaf first; `roots`: PEM. Throws IdentityError. */
export function certificateExpiries(chain: string, roots: string): CertificateExpiry[] {
  const [leaf, ...between] = readAll(chain);
  if (leaf === undefined) return [];
  const { issuer } = between.at(-1) ?? leaf;
  const issued = readAll(roots).filter(({ subject }) => sameName(subject, issuer));
  const expiries: CertificateExpiry[] = [{ kind: "leaf", notAfterMs: leaf.notAfterMs }];
  if (between.length > 0) expiries.push({ kind: "intermediate", notAfterMs: firstEnd(between) });
  if (issued.length > 0) expiries.push({ kind: "root", notAfterMs: firstEnd(issued) });
  return expiries;
}

function readAll(pem: string): CertificateFields[] {
  return decodePem(pem).map(({ der }) => readCertificate(der));
}

function firstEnd(certificates: readonly CertificateFields[]): number {
  return Math.min(...certificates.map(({ notAfterMs }) => notAfterMs));
}

function sameName(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}
