/** The files of a CA that the operator plugs in, as they are read: a reason for each that will not do. */
import { IdentityError } from "../../identity/identity_error.ts";
import { decodePem } from "../../identity/pem.ts";
import { CERTIFICATE_LABEL, TRUST_BUNDLE_ROOTS_MAX } from "../../identity/trust_bundle.ts";
import { FileError, namesIn, readTextFile, readTextFileIfPresent } from "../../runtime/files.ts";
import { PrivateFileError, type PrivateFiles } from "../../runtime/private_files.ts";
import { AuthorityKeyError, importAuthorityKey } from "./authority_key.ts";
import { type AuthorityCertificate, authorityCertificate } from "./authority_material.ts";
import { CitadelError } from "../citadel_error.ts";

/** Of each of the files. */
const AUTHORITY_FILE_BYTES_MAX = 256 * 1024;

/** Certificates in one of the files. */
export const AUTHORITY_CERTIFICATES_MAX = TRUST_BUNDLE_ROOTS_MAX;

/** Names of the files; the chain may be missing where a root signs itself. */
export interface FileNames {
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

const NOT_THERE = "it is not there";

/** By what is there, be it only a part. Throws CitadelError. */
export async function findNames(directory: string): Promise<FileNames> {
  let there: ReadonlySet<string>;
  try {
    there = new Set(await namesIn(directory));
  } catch (cause) {
    if (!(cause instanceof FileError)) throw cause;
    throw unusable(directory, reasonOf(cause, "it is not a directory"), cause);
  }
  const [istio, secret] = [ISTIO_NAMES, SECRET_NAMES].map(({ certificate }) => there.has(certificate));
  if (istio && secret) {
    const both = `${ISTIO_NAMES.certificate} and ${SECRET_NAMES.certificate}`;
    throw unusable(directory, `it holds both ${both}, and only one of them can sign`);
  }
  if (istio) return ISTIO_NAMES;
  if (secret) return SECRET_NAMES;
  const begun = [ISTIO_NAMES, SECRET_NAMES].find(({ key, roots, chain }) =>
    [key, roots, chain].some((name) => name !== undefined && there.has(name))
  );
  if (begun !== undefined) return begun;
  throw unusable(
    directory,
    `it holds neither ${ISTIO_NAMES.certificate} (with ${ISTIO_NAMES.key}, ${ISTIO_NAMES.roots}, ` +
      `${ISTIO_NAMES.chain}) nor ${SECRET_NAMES.certificate} (with ${SECRET_NAMES.key}, ${SECRET_NAMES.roots})`,
  );
}

/** Empty where the file is not there, if it may be missing. Throws CitadelError. */
export async function readCertificates(
  path: string,
  missing?: "may be missing",
): Promise<AuthorityCertificate[]> {
  const text = await readPublic(path, missing);
  if (text === undefined) return [];
  if (isDer(text)) {
    throw unusable(path, `it is in DER, and must be PEM: openssl x509 -inform DER -in CERT -out NEW`);
  }
  try {
    const blocks = decodePem(text);
    const other = blocks.find(({ label }) => label !== CERTIFICATE_LABEL);
    if (other !== undefined) {
      throw unusable(path, `besides certificates it holds ${other.label}, which must not be there`);
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
    throw unusable(path, reasonOf(cause, "it is a directory"), cause);
  }
}

/** Throws CitadelError. */
export async function readKey(path: string, files: PrivateFiles): ReturnType<typeof importAuthorityKey> {
  const bytes = await readPrivate(path, files);
  if (bytes === undefined) throw unusable(path, NOT_THERE);
  const text = new TextDecoder().decode(bytes);
  if (isDer(text)) {
    throw unusable(path, `it is in DER, and must be PEM: openssl pkey -inform DER -in KEY -out NEW`);
  }
  try {
    return await importAuthorityKey(text);
  } catch (cause) {
    if (!(cause instanceof AuthorityKeyError || cause instanceof IdentityError)) throw cause;
    throw unusable(path, cause.message, cause);
  }
}

async function readPrivate(path: string, files: PrivateFiles): Promise<Uint8Array | undefined> {
  try {
    return await files.read(path, AUTHORITY_FILE_BYTES_MAX);
  } catch (cause) {
    if (!(cause instanceof PrivateFileError)) throw cause;
    // It says already which file and what to do.
    throw new CitadelError("ca_unusable", cause.message, cause.message, { cause });
  }
}

/** A SEQUENCE begins with what is the digit 0 in a text. */
function isDer(text: string): boolean {
  return text.startsWith("0") && !text.includes("-----BEGIN ");
}

function reasonOf({ code, message }: FileError, wrongKind: string): string {
  if (code === "not-found") return NOT_THERE;
  return code === "wrong-kind" ? wrongKind : message;
}

export function unusable(path: string, why: string, cause?: unknown): CitadelError {
  const message = `The certificate authority in ${path} cannot be used: ${why}`;
  return new CitadelError("ca_unusable", message, message, { cause });
}
