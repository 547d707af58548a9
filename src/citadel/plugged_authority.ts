/**
 * A CA that the operator plugs in: a directory of PEM files with Istio's names, or with those of a TLS secret. Whatever
 * would only show later, as handshakes that fail, is found here, and refused with its reason.
 */
import { GENERAL_NAME } from "../identity/certificate_fields.ts";
import { DER_TAG } from "../identity/der_reader.ts";
import { derElement } from "../identity/der_writer.ts";
import { IdentityError } from "../identity/identity_error.ts";
import { decodePem } from "../identity/pem.ts";
import { CERTIFICATE_LABEL, TRUST_BUNDLE_ROOTS_MAX } from "../identity/trust_bundle.ts";
import type { Clock } from "../lib/clock.ts";
import { FileError, readTextFile, readTextFileIfPresent } from "../runtime/files.ts";
import type { PrivateFiles } from "../runtime/private_files.ts";
import {
  type AuthorityCertificate,
  authorityCertificate,
  type AuthorityMaterial,
  authorityPem,
  trustDomainUri,
} from "./authority_material.ts";
import { AuthorityKeyError, importAuthorityKey, type KeyAlgorithm } from "./authority_key.ts";
import { CitadelError } from "./citadel_error.ts";
import { findPath, PathError } from "./certificate_path.ts";
import { SigningKey } from "./signing_key.ts";

/** Of each of the files. */
export const AUTHORITY_FILE_BYTES_MAX = 256 * 1024;

/** Certificates in one of the files. */
export const AUTHORITY_CERTIFICATES_MAX = TRUST_BUNDLE_ROOTS_MAX;

export interface PluggedAuthorityOptions {
  /** Holds the files; nothing is written there. */
  readonly directory: string;
  readonly trustDomain: string;
  readonly clock: Clock;
  /** Reads the key, which must be closed to others. */
  readonly files: PrivateFiles;
}

/** Names of the files; the chain may be missing where a root signs itself. */
interface FileNames {
  readonly certificate: string;
  readonly key: string;
  readonly roots: string;
  readonly chain: string | undefined;
}

const ISTIO_NAMES: FileNames = {
  certificate: "ca-cert.pem",
  key: "ca-key.pem",
  roots: "root-cert.pem",
  chain: "cert-chain.pem",
};

/** Of a Kubernetes TLS secret, as cert-manager writes them: the chain follows in `tls.crt`. */
const SECRET_NAMES: FileNames = { certificate: "tls.crt", key: "tls.key", roots: "ca.crt", chain: undefined };

/** Throws CitadelError `ca_unusable`, whose message names the file and what is wrong with it; PrivateFileError. */
export async function openPluggedAuthority(options: PluggedAuthorityOptions): Promise<AuthorityMaterial> {
  const { directory, files, clock } = options;
  const names = await findNames(directory);
  const at = (name: string) => `${directory}/${name}`;
  const [certificate, ...rest] = await readCertificates(at(names.certificate)) as [AuthorityCertificate];
  const chain = names.chain === undefined ? [] : await readCertificates(at(names.chain), "may be missing");
  const roots = await readCertificates(at(names.roots));
  const { privateKey, algorithm } = await readKey(at(names.key), files);
  if (!await belongTogether(privateKey, algorithm, certificate)) {
    throw unusable(at(names.key), `it does not belong to the certificate in ${at(names.certificate)}`);
  }
  refuseForeignNames(certificate, at(names.certificate), options.trustDomain);
  try {
    const path = await findPath({ certificate, candidates: [...rest, ...chain], roots, nowMs: clock.now() });
    const pem = roots.map(authorityPem).join("");
    return {
      ...{ key: new SigningKey(privateKey), path, roots: pem, pinnable: pem },
      pinned: path.at(-1) as AuthorityCertificate,
      crosses: { leaf: [], own: [] },
    };
  } catch (cause) {
    if (!(cause instanceof PathError)) throw cause;
    const name = cause.where === "root" ? names.roots : cause.where === "chain" ? names.chain : undefined;
    throw unusable(at(name ?? names.certificate), cause.message, cause);
  }
}

async function findNames(directory: string): Promise<FileNames> {
  const has = async (name: string) =>
    await readPublic(`${directory}/${name}`, "may be missing") !== undefined;
  const [istio, secret] = [await has(ISTIO_NAMES.certificate), await has(SECRET_NAMES.certificate)];
  if (istio && secret) {
    const both = `${ISTIO_NAMES.certificate} and ${SECRET_NAMES.certificate}`;
    throw unusable(directory, `it holds both ${both}, and only one of them can sign`);
  }
  if (istio) return ISTIO_NAMES;
  if (secret) return SECRET_NAMES;
  throw unusable(
    directory,
    `it holds neither ${ISTIO_NAMES.certificate} (with ${ISTIO_NAMES.key}, ${ISTIO_NAMES.roots}, ` +
      `${ISTIO_NAMES.chain}) nor ${SECRET_NAMES.certificate} (with ${SECRET_NAMES.key}, ${SECRET_NAMES.roots})`,
  );
}

async function readCertificates(path: string, missing?: "may be missing"): Promise<AuthorityCertificate[]> {
  const text = await readPublic(path, missing);
  if (text === undefined) return [];
  try {
    const blocks = decodePem(text);
    const other = blocks.find(({ label }) => label !== CERTIFICATE_LABEL);
    if (other !== undefined) {
      throw unusable(path, `it holds a ${other.label}, and must hold certificates only`);
    }
    if (blocks.length === 0) throw unusable(path, "it holds no certificate");
    if (blocks.length > AUTHORITY_CERTIFICATES_MAX) {
      throw unusable(path, `it holds more than ${AUTHORITY_CERTIFICATES_MAX} certificates`);
    }
    return blocks.map(({ der }) => authorityCertificate(der));
  } catch (cause) {
    if (!(cause instanceof IdentityError)) throw cause;
    throw unusable(path, cause.message, cause);
  }
}

async function readPublic(path: string, missing?: "may be missing"): Promise<string | undefined> {
  try {
    const read = missing === undefined ? readTextFile : readTextFileIfPresent;
    return await read(path, AUTHORITY_FILE_BYTES_MAX);
  } catch (cause) {
    if (!(cause instanceof FileError)) throw cause;
    throw unusable(path, cause.message, cause);
  }
}

async function readKey(path: string, files: PrivateFiles): ReturnType<typeof importAuthorityKey> {
  const bytes = await files.read(path, AUTHORITY_FILE_BYTES_MAX);
  if (bytes === undefined) throw unusable(path, "it is not there");
  try {
    return await importAuthorityKey(decodePem(new TextDecoder().decode(bytes)));
  } catch (cause) {
    if (!(cause instanceof AuthorityKeyError || cause instanceof IdentityError)) throw cause;
    throw unusable(path, cause.message, cause);
  }
}

/** Whether what the one signs is what the other verifies. */
async function belongTogether(
  privateKey: CryptoKey,
  algorithm: KeyAlgorithm,
  { fields }: AuthorityCertificate,
): Promise<boolean> {
  const parameters = { name: algorithm.name, hash: "SHA-256" };
  const sample = new TextEncoder().encode("bowline");
  try {
    const publicKey = await crypto.subtle.importKey(
      "spki",
      derElement(DER_TAG.sequence, fields.publicKey),
      algorithm,
      false,
      ["verify"],
    );
    const signature = await crypto.subtle.sign(parameters, privateKey, sample);
    return await crypto.subtle.verify(parameters, publicKey, signature, sample);
  } catch {
    // A key of another kind cannot even be imported.
    return false;
  }
}

/** A CA that was made for a trust domain (SPIFFE X.509-SVID §4.1) signs for no other; one that names none, for any. */
function refuseForeignNames({ fields }: AuthorityCertificate, path: string, trustDomain: string): void {
  const spiffe = fields.alternativeNames.filter(({ tag, value }) =>
    tag === GENERAL_NAME.uri && value.startsWith("spiffe://")
  );
  const foreign = spiffe.find(({ value }) => value !== trustDomainUri(trustDomain));
  if (foreign === undefined) return;
  const made = JSON.stringify(foreign.value);
  throw unusable(path, `it was made for trust domain ${made}, not "${trustDomainUri(trustDomain)}"`);
}

function unusable(path: string, why: string, cause?: unknown): CitadelError {
  const message = `The certificate authority in ${path} cannot be used: ${why}`;
  return new CitadelError("ca_unusable", message, message, { cause });
}
