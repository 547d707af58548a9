/**
 * The mesh's own root: a key and a self-signed certificate in one file, so that no crash can leave one without the other.
 */
import { hex } from "../identity/der_reader.ts";
import {
  decodePrivateKey,
  ECDSA_P256,
  encodePrivateKey,
  generateKeyPair,
  type KeyPair,
  PRIVATE_KEY_LABEL,
} from "../identity/key_pair.ts";
import { decodePem, encodePem } from "../identity/pem.ts";
import { CERTIFICATE_LABEL } from "../identity/trust_bundle.ts";
import type { Clock } from "../lib/clock.ts";
import type { PrivateFiles } from "../runtime/private_files.ts";
import {
  type AuthorityCertificate,
  authorityCertificate,
  type AuthorityMaterial,
  authorityPem,
  trustDomainUri,
} from "./authority_material.ts";
import { CitadelError } from "./citadel_error.ts";
import { BACK_DATE_MS, randomSerial, wholeSeconds } from "./certificate_times.ts";
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

/** Life of a root that bowline makes (Istio's CITADEL_SELF_SIGNED_CA_CERT_TTL). */
export const ROOT_LIFE_MS = 3650 * 24 * 60 * 60 * 1000;

/** The CA's file in its directory. */
export const AUTHORITY_FILE = "authority.pem";

const AUTHORITY_BYTES_MAX = 64 * 1024;

export interface OwnAuthorityOptions {
  /** Holds AUTHORITY_FILE; must exist. */
  readonly directory: string;
  readonly trustDomain: string;
  readonly clock: Clock;
  readonly files: PrivateFiles;
}

/**
 * Loads the CA of a directory, or makes one where there is none. Throws CitadelError `ca_unusable`, which names the file,
 * and PrivateFileError; a CA that is there is never replaced.
 */
export async function openOwnAuthority(options: OwnAuthorityOptions): Promise<AuthorityMaterial> {
  const path = `${options.directory}/${AUTHORITY_FILE}`;
  let bytes = await options.files.read(path, AUTHORITY_BYTES_MAX);
  if (bytes === undefined) {
    const made = new TextEncoder().encode(await makeAuthority(options.trustDomain, options.clock));
    // Whoever else starts on the same directory: the first one's CA is everybody's.
    const first = await options.files.create(path, made);
    bytes = first ? made : await options.files.read(path, AUTHORITY_BYTES_MAX);
  }
  const { keys, certificate } = await loadAuthority(bytes ?? new Uint8Array(), path, options);
  return { key: new SigningKey(keys.privateKey), path: [certificate], roots: authorityPem(certificate) };
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
  { trustDomain, clock }: OwnAuthorityOptions,
): Promise<{ keys: KeyPair; certificate: AuthorityCertificate }> {
  let keys: KeyPair;
  let certificate: AuthorityCertificate;
  let signed: X509Certificate;
  try {
    const blocks = decodePem(new TextDecoder().decode(bytes));
    const [key, root] = blocks;
    if (key?.label !== PRIVATE_KEY_LABEL || root?.label !== CERTIFICATE_LABEL || blocks.length !== 2) {
      throw new Error("it must hold exactly a PRIVATE KEY and then a CERTIFICATE");
    }
    keys = await decodePrivateKey(encodePem(key.label, key.der));
    certificate = authorityCertificate(root.der);
    if (!certificate.fields.isCa) throw new Error("its certificate is not a CA's");
    signed = new X509Certificate(root.der);
  } catch (cause) {
    throw unusable(path, cause instanceof Error ? cause.message : String(cause), cause);
  }
  if (!await signed.verify({ publicKey: keys.publicKey, signatureOnly: true })) {
    throw unusable(path, "its key and its certificate do not belong together");
  }
  const { alternativeNames: names, notAfterMs } = certificate.fields;
  if (names.length !== 1 || names[0]?.value !== trustDomainUri(trustDomain)) {
    const made = names.map((name) => JSON.stringify(name.value)).join(", ") || "none";
    throw unusable(path, `it was made for trust domain ${made}, not "${trustDomainUri(trustDomain)}"`);
  }
  if (clock.now() >= notAfterMs) {
    throw unusable(path, `its certificate expired at ${new Date(notAfterMs).toISOString()}`);
  }
  return { keys, certificate };
}

function unusable(path: string, why: string, cause?: unknown): CitadelError {
  const message = `The certificate authority in ${path} cannot be used: ${why}; ` +
    "restore the file from a backup, or move it away to start a new mesh that every workload must join again";
  return new CitadelError("ca_unusable", message, message, { cause });
}
