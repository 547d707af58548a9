/**
 * The mesh's own root: a key and a self-signed certificate in one file, so that no crash can leave one without the
 * other, and the signing of leaf certificates (SPIFFE X.509-SVID) with it.
 */
import { type CertificateFields, readCertificate } from "../identity/certificate_fields.ts";
import { DER_TAG, DerReader, hex } from "../identity/der_reader.ts";
import {
  decodePrivateKey,
  ECDSA_P256,
  encodePrivateKey,
  generateKeyPair,
  type KeyPair,
  PRIVATE_KEY_LABEL,
} from "../identity/key_pair.ts";
import { decodePem, encodePem } from "../identity/pem.ts";
import { CERTIFICATE_LABEL, certificatePin } from "../identity/trust_bundle.ts";
import type { Clock } from "../lib/clock.ts";
import type { PrivateFiles } from "../runtime/private_files.ts";
import { CitadelError } from "./citadel_error.ts";
import { leafBody } from "./leaf_certificate.ts";
import { SigningKey } from "./signing_key.ts";
import {
  BasicConstraintsExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from "./x509.ts";

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** Life of a root that bowline makes (Istio's CITADEL_SELF_SIGNED_CA_CERT_TTL). */
export const ROOT_LIFE_MS = 3650 * DAY_MS;

/** Life of a leaf when nothing else is said. */
export const LEAF_LIFE_DEFAULT_MS = DAY_MS;

/** Longest life of a leaf (Istio's MAX_WORKLOAD_CERT_TTL). */
export const LEAF_LIFE_MAX_MS = 90 * DAY_MS;

/** Shortest life of a leaf: renewal comes at half of it, and must have time to be tried again. */
export const LEAF_LIFE_MIN_MS = MINUTE_MS;

/** How far notBefore lies in the past, for peers whose clocks are behind. */
export const BACK_DATE_MS = 5 * 60 * SECOND_MS;

/** A short-lived leaf is back-dated by no more than this share of its life, so that half of it still lies ahead. */
export const BACK_DATE_SHARE_MAX = 0.1;

/** The CA's file in its directory. */
export const AUTHORITY_FILE = "authority.pem";

const AUTHORITY_BYTES_MAX = 64 * 1024;
const SERIAL_BYTES = 16;

export interface LeafRequest {
  /** DER of SubjectPublicKeyInfo. */
  readonly publicKey: Uint8Array;
  /** The one name in the certificate. */
  readonly spiffeId: string;
  /** LEAF_LIFE_MIN_MS … LEAF_LIFE_MAX_MS; the root's own end cuts it short. */
  readonly ttlMs: number;
}

export interface IssuedLeaf {
  /** PEM. */
  readonly certificate: string;
  /** Lower-case hex. */
  readonly serial: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

export interface AuthorityOptions {
  /** Holds AUTHORITY_FILE; must exist. */
  readonly directory: string;
  readonly trustDomain: string;
  readonly clock: Clock;
  readonly files: PrivateFiles;
}

export class CertificateAuthority {
  readonly #key: SigningKey;
  readonly #clock: Clock;
  /** Content of the issuer's Name. */
  readonly #name: Uint8Array;
  readonly #keyIdentifier: Uint8Array;
  /** PEM of the root. */
  readonly root: string;
  /** `sha256:HEX` of the root. */
  readonly pin: string;
  /** End of the root's life, milliseconds since 1970. */
  readonly notAfterMs: number;

  private constructor(
    key: SigningKey,
    der: Uint8Array,
    clock: Clock,
    pin: string,
    keyIdentifier: Uint8Array,
  ) {
    const { subject, notAfterMs } = readCertificate(der);
    this.#key = key;
    this.#clock = clock;
    this.#name = subject;
    this.#keyIdentifier = keyIdentifier;
    this.root = encodePem(CERTIFICATE_LABEL, der);
    this.pin = pin;
    this.notAfterMs = notAfterMs;
  }

  /**
   * Loads the CA of a directory, or makes one where there is none. Throws CitadelError `ca_unusable`, which names the
   * file, and PrivateFileError; a CA that is there is never replaced.
   */
  static async open(options: AuthorityOptions): Promise<CertificateAuthority> {
    const path = `${options.directory}/${AUTHORITY_FILE}`;
    let bytes = await options.files.read(path, AUTHORITY_BYTES_MAX);
    if (bytes === undefined) {
      const made = new TextEncoder().encode(await makeAuthority(options.trustDomain, options.clock));
      // Whoever else starts on the same directory: the first one's CA is everybody's.
      const first = await options.files.create(path, made);
      bytes = first ? made : await options.files.read(path, AUTHORITY_BYTES_MAX);
    }
    const { keys, der } = await loadAuthority(bytes ?? new Uint8Array(), path, options);
    const pin = await certificatePin(der);
    const keyIdentifier = await keyIdentifierOf(der);
    return new CertificateAuthority(
      new SigningKey(keys.privateKey),
      der,
      options.clock,
      pin,
      keyIdentifier,
    );
  }

  /** Signs a leaf for both ends of mutual TLS; throws CitadelError `request_invalid` for a life out of range. */
  async sign(request: LeafRequest): Promise<IssuedLeaf> {
    const { ttlMs, spiffeId } = request;
    if (!(ttlMs >= LEAF_LIFE_MIN_MS && ttlMs <= LEAF_LIFE_MAX_MS)) {
      throw new CitadelError(
        "request_invalid",
        `A certificate lives ${LEAF_LIFE_MIN_MS} to ${LEAF_LIFE_MAX_MS} milliseconds, not ${ttlMs}`,
      );
    }
    const now = this.#clock.now();
    const serial = randomSerial();
    const notBeforeMs = wholeSeconds(now - Math.min(BACK_DATE_MS, ttlMs * BACK_DATE_SHARE_MAX));
    const notAfterMs = wholeSeconds(Math.min(now + ttlMs, this.notAfterMs));
    const body = leafBody({
      algorithm: this.#key.algorithm,
      issuer: this.#name,
      serial,
      notBeforeMs,
      notAfterMs,
      publicKey: request.publicKey,
      spiffeId,
      keyIdentifier: this.#keyIdentifier,
    });
    const certificate = encodePem(CERTIFICATE_LABEL, await this.#key.seal(body));
    return { certificate, serial: hex(serial), notBeforeMs, notAfterMs };
  }
}

/** PEM of a new key and its self-signed certificate. */
async function makeAuthority(trustDomain: string, clock: Clock): Promise<string> {
  const keys = await generateKeyPair();
  const serial = hex(randomSerial());
  const now = clock.now();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    // A name of its own: with two roots of one name, as in a rollover, TLS libraries may try the wrong one only.
    name: `CN=bowline root ${serial}`,
    keys: keys as CryptoKeyPair,
    serialNumber: serial,
    notBefore: new Date(wholeSeconds(now - BACK_DATE_MS)),
    notAfter: new Date(wholeSeconds(now + ROOT_LIFE_MS)),
    signingAlgorithm: ECDSA_P256,
    extensions: [
      new BasicConstraintsExtension(true, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
      new SubjectAlternativeNameExtension([{ type: "url", value: trustDomainUri(trustDomain) }]),
    ],
  });
  return await encodePrivateKey(keys.privateKey) +
    encodePem(CERTIFICATE_LABEL, new Uint8Array(certificate.rawData));
}

async function loadAuthority(
  bytes: Uint8Array,
  path: string,
  { trustDomain, clock }: AuthorityOptions,
): Promise<{ keys: KeyPair; der: Uint8Array }> {
  let keys: KeyPair;
  let certificate: X509Certificate;
  let fields: CertificateFields;
  let der: Uint8Array;
  try {
    const blocks = decodePem(new TextDecoder().decode(bytes));
    const [key, root] = blocks;
    if (key?.label !== PRIVATE_KEY_LABEL || root?.label !== CERTIFICATE_LABEL || blocks.length !== 2) {
      throw new Error("it must hold exactly a PRIVATE KEY and then a CERTIFICATE");
    }
    keys = await decodePrivateKey(encodePem(key.label, key.der));
    fields = readCertificate(root.der);
    if (!fields.isCa) throw new Error("its certificate is not a CA's");
    certificate = new X509Certificate(root.der);
    der = root.der;
  } catch (cause) {
    throw unusable(path, cause instanceof Error ? cause.message : String(cause), cause);
  }
  if (!await certificate.verify({ publicKey: keys.publicKey, signatureOnly: true })) {
    throw unusable(path, "its key and its certificate do not belong together");
  }
  const names = fields.alternativeNames;
  if (names.length !== 1 || names[0]?.value !== trustDomainUri(trustDomain)) {
    const made = names.map((name) => JSON.stringify(name.value)).join(", ") || "none";
    throw unusable(path, `it was made for trust domain ${made}, not "${trustDomainUri(trustDomain)}"`);
  }
  if (clock.now() >= fields.notAfterMs) {
    throw unusable(path, `its certificate expired at ${new Date(fields.notAfterMs).toISOString()}`);
  }
  return { keys, der };
}

/** What the certificate calls its own key; without that, what RFC 5280 §4.2.1.2 (1) would call it. */
async function keyIdentifierOf(der: Uint8Array): Promise<Uint8Array> {
  const { subjectKeyIdentifier, publicKey } = readCertificate(der);
  if (subjectKeyIdentifier !== undefined) return subjectKeyIdentifier;
  const reader = new DerReader(publicKey);
  reader.read(DER_TAG.sequence);
  const bits = reader.read(DER_TAG.bitString).slice(1);
  return new Uint8Array(await crypto.subtle.digest("SHA-1", bits));
}

/** SPIFFE X.509-SVID §4.1: the name of a signing certificate is its trust domain, without a path. */
function trustDomainUri(trustDomain: string): string {
  return `spiffe://${trustDomain}`;
}

/** 126 random bits between a leading 01: positive, never padded, of one length, and unique across restarts. */
function randomSerial(): Uint8Array {
  const bytes = crypto.getRandomValues(new Uint8Array(SERIAL_BYTES));
  bytes[0] = ((bytes[0] as number) & 0x3f) | 0x40;
  return bytes;
}

function wholeSeconds(ms: number): number {
  return Math.floor(ms / SECOND_MS) * SECOND_MS;
}

function unusable(path: string, why: string, cause?: unknown): CitadelError {
  const message = `The certificate authority in ${path} cannot be used: ${why}; ` +
    "restore the file from a backup, or move it away to start a new mesh that every workload must join again";
  return new CitadelError("ca_unusable", message, message, { cause });
}
