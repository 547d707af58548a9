/**
 * Who is at the other end of a mutual TLS connection: called once per connection, after the handshake and before any
 * byte is used. TLS has checked the chain; here the leaf is held against the SPIFFE X.509-SVID rules (§2 to §5).
 */
import { formatSpiffeId, parseSpiffeId } from "../model/spiffe_id.ts";
import {
  type CertificateFields,
  EXTENDED_KEY_USAGE,
  GENERAL_NAME,
  KEY_USAGE,
  readCertificate,
} from "./certificate_fields.ts";
import { hex } from "./der_reader.ts";
import { IdentityError } from "./identity_error.ts";

export type PeerRefusalCode =
  | "handshake_failed"
  | "certificate_missing"
  | "certificate_malformed"
  | "certificate_not_yet_valid"
  | "certificate_expired"
  | "certificate_revoked"
  | "certificate_is_ca"
  | "key_usage_unfit"
  | "uri_san_missing"
  | "uri_san_several"
  | "spiffe_id_malformed"
  | "trust_domain_foreign"
  | "spiffe_id_unexpected";

/** `detail` is one sentence for the log; everything that came from the peer is quoted in it as JSON. */
export type PeerIdentity =
  | {
    readonly ok: true;
    readonly spiffeId: string;
    readonly serial: string;
    /** Authority key identifier, lower-case hex. */
    readonly signer: string | undefined;
    readonly notAfterMs: number;
  }
  | { readonly ok: false; readonly code: PeerRefusalCode; readonly detail: string };

/** What Bun tells in its `handshake` callback; the flag `success` beside them is no verdict (true for a rogue client). */
export interface PeerHandshake {
  readonly error: (Error & { readonly code?: unknown }) | null;
  /** From `getPeerCertificate()`: `raw` is the leaf's DER. Nothing when the peer showed none. */
  readonly certificate: { readonly raw?: Uint8Array } | null | undefined;
}

export interface PeerExpectation {
  /** What the peer is in this connection; its certificate must be made for that. */
  readonly peer: "client" | "server";
  readonly trustDomain: string;
  /** Other names of the same trust domain. @default none */
  readonly trustDomainAliases?: readonly string[];
  /** The one SPIFFE ID that will do; null accepts any of the trust domain. */
  readonly spiffeId: string | null;
  /** Milliseconds since 1970. Also catches what a resumed TLS session no longer checks. */
  readonly nowMs: number;
  /** By the serial number and the signer's key identifier, lower-case hex. @default none is */
  isRevoked?(serial: string, signer: string | undefined): boolean;
}

/**
 * Bun compares the host name too, and a SPIFFE certificate has none. It reports this only when the chain is good: any
 * fault of the chain comes first, under another code.
 */
export const NAME_DIFFERS = "ERR_TLS_CERT_ALTNAME_INVALID";

const OTHER_CLOCK = "; is this machine's clock right?";
const OTHER_ROOT = "; its root is none of those that are trusted here";

/** What OpenSSL's codes come from most often. */
const HINTS: ReadonlyMap<unknown, string> = new Map([
  ["CERT_HAS_EXPIRED", OTHER_CLOCK],
  ["CERT_NOT_YET_VALID", OTHER_CLOCK],
  ["DEPTH_ZERO_SELF_SIGNED_CERT", OTHER_ROOT],
  ["SELF_SIGNED_CERT_IN_CHAIN", OTHER_ROOT],
  ["UNABLE_TO_GET_ISSUER_CERT", OTHER_ROOT],
  ["UNABLE_TO_GET_ISSUER_CERT_LOCALLY", OTHER_ROOT],
  ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", OTHER_ROOT],
]);

/** How much of a name that the peer chose goes into the log. */
const QUOTED_CHARACTERS_MAX = 300;

/** The peer's SPIFFE ID, or why the connection must be closed. Never throws on what the peer sent. */
export function peerIdentity(handshake: PeerHandshake, expected: PeerExpectation): PeerIdentity {
  const { error, certificate } = handshake;
  const raw = certificate?.raw;
  // First, because the error that comes with it speaks of an issuer, which says nothing to a reader.
  if (raw === undefined) {
    return refuse("certificate_missing", `The peer showed no certificate${because(error)}`);
  }
  if (error !== null && !(expected.peer === "server" && error.code === NAME_DIFFERS)) {
    const hint = HINTS.get(error.code) ?? "";
    return refuse("handshake_failed", `TLS does not trust the peer's certificate${because(error)}${hint}`);
  }
  let fields: CertificateFields;
  try {
    fields = readCertificate(raw);
  } catch (problem) {
    if (!(problem instanceof IdentityError)) throw problem;
    return refuse("certificate_malformed", problem.message);
  }
  return refuseUse(fields, expected) ?? identityOf(fields, expected);
}

function refuseUse(fields: CertificateFields, expected: PeerExpectation): PeerIdentity | undefined {
  const { nowMs, peer } = expected;
  if (nowMs < fields.notBeforeMs) {
    return refuse(
      "certificate_not_yet_valid",
      `The peer's certificate is valid from ${time(fields.notBeforeMs)}`,
    );
  }
  if (nowMs > fields.notAfterMs) {
    return refuse("certificate_expired", `The peer's certificate expired at ${time(fields.notAfterMs)}`);
  }
  if (expected.isRevoked?.(fields.serial, signerOf(fields))) {
    return refuse("certificate_revoked", `The peer's certificate ${fields.serial} was revoked`);
  }
  const usage = fields.keyUsage;
  if (fields.isCa || usage?.has(KEY_USAGE.keyCertSign) || usage?.has(KEY_USAGE.crlSign)) {
    return refuse("certificate_is_ca", "The peer shows a certificate that can sign others, not a workload's");
  }
  if (!usage?.has(KEY_USAGE.digitalSignature)) {
    return refuse("key_usage_unfit", "The peer's certificate is not for digital signatures");
  }
  const purpose = peer === "client" ? EXTENDED_KEY_USAGE.clientAuth : EXTENDED_KEY_USAGE.serverAuth;
  if (!fields.extendedKeyUsage?.has(purpose)) {
    return refuse("key_usage_unfit", `The peer's certificate is not for use as a ${peer}`);
  }
  return undefined;
}

function identityOf(fields: CertificateFields, expected: PeerExpectation): PeerIdentity {
  const uris = fields.alternativeNames.filter((name) => name.tag === GENERAL_NAME.uri);
  const [uri] = uris;
  if (uri === undefined) return refuse("uri_san_missing", "The peer's certificate has no URI SAN");
  if (uris.length > 1) {
    return refuse("uri_san_several", `The peer's certificate has ${uris.length} URI SANs, not exactly one`);
  }
  const id = parseSpiffeId(uri.value);
  const quoted = quote(uri.value);
  if (id === undefined) {
    return refuse("spiffe_id_malformed", `The peer's URI SAN ${quoted} is no SPIFFE ID of a workload`);
  }
  const domains = [expected.trustDomain, ...expected.trustDomainAliases ?? []];
  if (!domains.includes(id.trustDomain)) {
    return refuse(
      "trust_domain_foreign",
      `The peer's SPIFFE ID ${quoted} is not of trust domain ${domains.join(" or ")}`,
    );
  }
  // Whatever name the trust domain has, the workload's own is what was expected.
  const named = formatSpiffeId({ ...id, trustDomain: expected.trustDomain });
  if (expected.spiffeId !== null && named !== expected.spiffeId && uri.value !== expected.spiffeId) {
    return refuse("spiffe_id_unexpected", `The peer is ${quoted}, expected was ${expected.spiffeId}`);
  }
  const { serial, notAfterMs } = fields;
  return { ok: true, spiffeId: uri.value, serial, signer: signerOf(fields), notAfterMs };
}

function signerOf({ authorityKeyIdentifier: signer }: CertificateFields): string | undefined {
  return signer && hex(signer);
}

function refuse(code: PeerRefusalCode, detail: string): PeerIdentity {
  return { ok: false, code, detail };
}

/** Only the stable code: Bun's messages about names run over several lines and hold what the peer sent. */
function because(error: PeerHandshake["error"]): string {
  return error === null ? "" : `: ${typeof error.code === "string" ? error.code : error.name}`;
}

/** In quotes, cut, and without anything that a terminal would obey. */
function quote(text: string): string {
  return JSON.stringify(text.slice(0, QUOTED_CHARACTERS_MAX)).replace(
    /[^\x20-\x7e]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function time(ms: number): string {
  return new Date(ms).toISOString();
}
