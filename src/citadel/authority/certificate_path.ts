/** The way from a CA's certificate up to a root (RFC 5280 §6.1), as far as TLS libraries will check it when they meet it. */
import { KEY_USAGE } from "../../identity/certificate_fields.ts";
import { isSameBytes } from "../../lib/same_bytes.ts";
import type { AuthorityCertificate } from "./authority_material.ts";
import { RSA_BITS_MAX, RSA_BITS_MIN } from "../certificate_request.ts";
import { X509Certificate } from "../x509.ts";

/** Certificates from the one that signs to the root, both included. */
export const PATH_LENGTH_MAX = 8;

const CURVES = ["P-256", "P-384", "P-521"];
const WEAK_HASHES = ["SHA-1", "MD5"];

/** Why there is no way; a clause. */
export class PathError extends Error {
  override readonly name = "PathError";

  constructor(message: string, readonly where: "certificate" | "chain" | "root") {
    super(message);
  }
}

export interface PathRequest {
  /** Of the CA that signs leaves. */
  readonly certificate: AuthorityCertificate;
  /** What may stand between, in any order; the certificate and the root may be among them. */
  readonly candidates: readonly AuthorityCertificate[];
  readonly roots: readonly AuthorityCertificate[];
  readonly nowMs: number;
}

/** The path, each certificate signed by the next, the last one a root. Throws PathError. */
export async function findPath(request: PathRequest): Promise<AuthorityCertificate[]> {
  const { certificate, candidates, roots, nowMs } = request;
  const path: AuthorityCertificate[] = [];
  for (let current = certificate;;) {
    const root = roots.find((each) => isSameBytes(each.der, current.der));
    const where = root !== undefined ? "root" : path.length === 0 ? "certificate" : "chain";
    checkAuthority(current, path.length, where, nowMs);
    path.push(current);
    if (root !== undefined) return path;
    if (path.length >= PATH_LENGTH_MAX) {
      throw new PathError(`its chain has more than ${PATH_LENGTH_MAX} certificates`, "chain");
    }
    const next = await issuerOf(current, roots) ?? await issuerOf(current, candidates);
    if (next === undefined || path.some((each) => isSameBytes(each.der, next.der))) {
      const why = whyNoIssuer(current, [...roots, ...candidates]);
      throw new PathError(`its chain does not lead to a root: ${why}`, "chain");
    }
    current = next;
  }
}

async function issuerOf(
  { der, fields }: AuthorityCertificate,
  candidates: readonly AuthorityCertificate[],
): Promise<AuthorityCertificate | undefined> {
  const issued = new X509Certificate(der);
  for (const candidate of candidates) {
    if (!isSameBytes(candidate.fields.subject, fields.issuer)) continue;
    try {
      const publicKey = new X509Certificate(candidate.der).publicKey;
      if (await issued.verify({ publicKey, signatureOnly: true })) return candidate;
    } catch {
      // A key of another kind than the signature's: not this one.
    }
  }
  return undefined;
}

/** A clause about a certificate whose issuer is not among those that are there. */
function whyNoIssuer({ der, fields }: AuthorityCertificate, known: readonly AuthorityCertificate[]): string {
  const { issuer, subject } = new X509Certificate(der);
  if (!known.some((each) => isSameBytes(each.fields.subject, fields.issuer))) {
    return `${JSON.stringify(issuer)} has issued ${
      JSON.stringify(subject)
    }, and its certificate is not there`;
  }
  if (isSameBytes(fields.subject, fields.issuer)) {
    return `${JSON.stringify(subject)} has issued itself, and is none of the roots`;
  }
  const other = "the certificate of that name that is there has another key";
  return `${JSON.stringify(issuer)} has issued ${JSON.stringify(subject)}, and ${other}`;
}

/**
 * Refuses a root that nothing leads to and that workloads would trust all the same: they would believe whoever has its
 * key. One that has expired does no harm. Throws PathError.
 */
export function checkTrusted(root: AuthorityCertificate): void {
  const weakness = root.fields.isCa
    ? weaknessOf(new X509Certificate(root.der as Uint8Array<ArrayBuffer>), "root")
    : "is not a CA's certificate";
  if (weakness !== undefined) throw new PathError(`${nameOf(root)} ${weakness}`, "root");
}

/** `below`: CAs between it and a leaf. */
function checkAuthority(
  authority: AuthorityCertificate,
  below: number,
  where: PathError["where"],
  nowMs: number,
): void {
  const { isCa, keyUsage, pathLengthMax, notBeforeMs, notAfterMs } = authority.fields;
  const refuse = (why: string) => {
    throw new PathError(`${nameOf(authority)} ${why}`, where);
  };
  if (!isCa) refuse("is not a CA's certificate");
  if (keyUsage !== undefined && !keyUsage.has(KEY_USAGE.keyCertSign)) refuse("may not sign certificates");
  if (pathLengthMax !== undefined && below > pathLengthMax) {
    refuse(`allows ${pathLengthMax} CAs between it and a leaf (pathlen), and there would be ${below}`);
  }
  if (nowMs < notBeforeMs) refuse(`is valid from ${new Date(notBeforeMs).toISOString()} on`);
  if (nowMs >= notAfterMs) refuse(`expired at ${new Date(notAfterMs).toISOString()}`);
  const weakness = weaknessOf(new X509Certificate(authority.der as Uint8Array<ArrayBuffer>), where);
  if (weakness !== undefined) refuse(weakness);
}

function weaknessOf(certificate: X509Certificate, where: PathError["where"]): string | undefined {
  const { name, namedCurve, modulusLength } = certificate.publicKey.algorithm as Partial<
    EcKeyAlgorithm & RsaKeyAlgorithm
  >;
  if (name?.startsWith("RSA")) {
    const bits = modulusLength ?? 0;
    if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX) return `has an RSA key of ${bits} bits`;
  } else if (!CURVES.includes(namedCurve ?? "")) {
    return `has a key of a kind that TLS libraries do not take: ${name} ${namedCurve ?? ""}`.trim();
  }
  // Nobody checks the signature of what is trusted for itself.
  if (where === "root") return undefined;
  const { hash } = certificate.signatureAlgorithm as { readonly hash?: { readonly name?: string } };
  return WEAK_HASHES.includes(hash?.name ?? "") ? `is signed with ${hash?.name}` : undefined;
}

/** By its subject, in quotes. */
function nameOf({ der, fields }: AuthorityCertificate): string {
  return JSON.stringify(new X509Certificate(der).subject || `serial ${fields.serial}`);
}
