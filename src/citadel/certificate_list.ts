/** Every certificate of the mesh with its state, as `bowline certs` shows them. */
import { compareTexts } from "../lib/compare_texts.ts";
import type { CertificateState, CertificateStatus } from "../model/admin.ts";
import type { AuthorityCertificate } from "./authority/authority_material.ts";
import { AUTHORITY_WARNING_SHARE, certificateState, LEAF_WARNING_SHARE } from "./certificate_state.ts";
import type { IssuedCertificate } from "./issuance_log.ts";
import { X509Certificate } from "./x509.ts";

export interface CertificateListing {
  /** As in AuthorityMaterial. */
  readonly path: readonly AuthorityCertificate[];
  /** Roots that are trusted beside it. */
  readonly others: readonly AuthorityCertificate[];
  readonly issued: readonly IssuedCertificate[];
  readonly nowMs: number;
  isRevoked(certificate: IssuedCertificate): boolean;
}

/** The CA's own, from the root down, other roots, and leaves by their identity. */
export function listCertificates(listing: CertificateListing): CertificateStatus[] {
  const { path, others, issued, nowMs } = listing;
  const [root, ...between] = path.toReversed() as [AuthorityCertificate];
  const leaves = issued.map((certificate): CertificateStatus => ({
    kind: "leaf",
    identity: certificate.spiffeId,
    workload: certificate.workload,
    serial: certificate.serial,
    notAfter: new Date(certificate.notAfterMs).toISOString(),
    state: leafState(certificate, listing),
  }));
  leaves.sort((one, other) =>
    compareTexts(one.identity, other.identity) || compareTexts(one.notAfter, other.notAfter)
  );
  return [
    authorityStatus("root", root, nowMs),
    ...between.map((each) => authorityStatus("intermediate", each, nowMs)),
    ...others.map((each) => authorityStatus("root", each, nowMs)),
    ...leaves,
  ];
}

function authorityStatus(
  kind: "root" | "intermediate",
  { der, fields }: AuthorityCertificate,
  nowMs: number,
): CertificateStatus {
  const { serial, notBeforeMs: startMs, notAfterMs } = fields;
  return {
    ...{ kind, serial },
    identity: new X509Certificate(der).subject,
    workload: null,
    notAfter: new Date(notAfterMs).toISOString(),
    state: certificateState({ startMs, notAfterMs }, AUTHORITY_WARNING_SHARE, nowMs),
  };
}

function leafState(
  certificate: IssuedCertificate,
  { isRevoked, nowMs }: CertificateListing,
): CertificateState {
  const { issuedAtMs, notAfterMs, replaced } = certificate;
  const state = certificateState({ startMs: issuedAtMs, notAfterMs }, LEAF_WARNING_SHARE, nowMs);
  if (isRevoked(certificate)) return "revoked";
  return replaced && state !== "expired" ? "replaced" : state;
}
