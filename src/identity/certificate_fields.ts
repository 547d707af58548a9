/**
 * What the mesh reads from an X.509 certificate (RFC 5280 §4.1), straight from its DER: the texts that TLS libraries
 * make of alternative names have been used to forge names before. The signature and the chain are TLS's business.
 */
import { DER_TAG, DerReader, hex, latin1 } from "./der_reader.ts";
import { IdentityError } from "./identity_error.ts";

/** A longer certificate is not read. */
export const CERTIFICATE_BYTES_MAX = 16 * 1024;

/** Alternative names and extensions beyond this many make a certificate unreadable. */
export const CERTIFICATE_LIST_LENGTH_MAX = 64;

/** Identifier octets of GeneralName (RFC 5280 §4.2.1.6). */
export const GENERAL_NAME = { email: 0x81, dns: 0x82, uri: 0x86, ip: 0x87 } as const;

/** Bits of KeyUsage (RFC 5280 §4.2.1.3), counted from the first. */
export const KEY_USAGE = { digitalSignature: 0, keyCertSign: 5, crlSign: 6 } as const;

/** Purposes (RFC 5280 §4.2.1.12), as hex of the OID's content. */
export const EXTENDED_KEY_USAGE = {
  serverAuth: "2b06010505070301",
  clientAuth: "2b06010505070302",
} as const;

export interface CertificateFields {
  /** Lower-case hex, without the zero octet that only says that it is positive: as openssl prints it. */
  readonly serial: string;
  /** Milliseconds since 1970. */
  readonly notBeforeMs: number;
  /** Milliseconds since 1970. */
  readonly notAfterMs: number;
  /** Content of the issuer's Name. */
  readonly issuer: Uint8Array;
  /** Content of the subject's Name. */
  readonly subject: Uint8Array;
  /** Content of SubjectPublicKeyInfo. */
  readonly publicKey: Uint8Array;
  /** BasicConstraints says CA:TRUE. */
  readonly isCa: boolean;
  /** CAs that may stand between this one and a leaf; undefined: any number. */
  readonly pathLengthMax: number | undefined;
  /** What its issuer's certificates call its key; undefined without the extension. */
  readonly subjectKeyIdentifier: Uint8Array | undefined;
  /** What its issuer calls the key that signed it; undefined where that is not said. */
  readonly authorityKeyIdentifier: Uint8Array | undefined;
  /** Bits that are set; undefined without the extension. */
  readonly keyUsage: ReadonlySet<number> | undefined;
  /** OIDs as hex; undefined without the extension. */
  readonly extendedKeyUsage: ReadonlySet<string> | undefined;
  /** In their order, one character an octet, or hex where it is no text; empty without the extension. */
  readonly alternativeNames: readonly { readonly tag: number; readonly value: string }[];
}

const OID = {
  subjectKeyIdentifier: "551d0e",
  keyUsage: "551d0f",
  subjectAltName: "551d11",
  basicConstraints: "551d13",
  authorityKeyIdentifier: "551d23",
  extendedKeyUsage: "551d25",
} as const;

/** How large a certificate may be. */
export interface CertificateLimits {
  readonly bytesMax: number;
  /** Of alternative names. */
  readonly namesMax: number;
}

const MESH_LIMITS: CertificateLimits = {
  bytesMax: CERTIFICATE_BYTES_MAX,
  namesMax: CERTIFICATE_LIST_LENGTH_MAX,
};

/** Reads a DER certificate; throws IdentityError `certificate_malformed`. */
export function readCertificate(der: Uint8Array, limits: CertificateLimits = MESH_LIMITS): CertificateFields {
  try {
    if (der.length > limits.bytesMax) {
      throw new IdentityError("certificate_malformed", `it is longer than ${limits.bytesMax} bytes`);
    }
    return readFields(der, limits.namesMax);
  } catch (cause) {
    if (!(cause instanceof IdentityError)) throw cause;
    throw new IdentityError("certificate_malformed", `The certificate cannot be read: ${cause.message}`, {
      cause,
    });
  }
}

function readFields(der: Uint8Array, namesMax: number): CertificateFields {
  const outer = new DerReader(der);
  const certificate = outer.enter(DER_TAG.sequence);
  outer.finish();
  const body = certificate.enter(DER_TAG.sequence);
  certificate.read(DER_TAG.sequence);
  certificate.read(DER_TAG.bitString);
  certificate.finish();

  if (body.nextIs(0xa0)) body.read(0xa0);
  const serial = body.readIntegerHex().replace(/^00(?=..)/, "");
  body.read(DER_TAG.sequence);
  const issuer = body.read(DER_TAG.sequence);
  const validity = body.enter(DER_TAG.sequence);
  const notBeforeMs = validity.readTime();
  const notAfterMs = validity.readTime();
  validity.finish();
  const subject = body.read(DER_TAG.sequence);
  const publicKey = body.read(DER_TAG.sequence);
  // Unique identifiers of the issuer and the subject, long out of use.
  if (body.nextIs(0x81)) body.read(0x81);
  if (body.nextIs(0x82)) body.read(0x82);
  const extensions = body.nextIs(0xa3) ? readExtensions(body.enter(0xa3)) : new Map<string, Uint8Array>();
  body.finish();

  const usage = extensions.get(OID.keyUsage);
  const purposes = extensions.get(OID.extendedKeyUsage);
  const names = extensions.get(OID.subjectAltName);
  const keyIdentifier = extensions.get(OID.subjectKeyIdentifier);
  return {
    serial,
    notBeforeMs,
    notAfterMs,
    issuer,
    subject,
    publicKey,
    ...readBasicConstraints(extensions.get(OID.basicConstraints)),
    subjectKeyIdentifier: keyIdentifier && new DerReader(keyIdentifier).read(DER_TAG.octetString),
    authorityKeyIdentifier: readAuthorityKeyIdentifier(extensions.get(OID.authorityKeyIdentifier)),
    keyUsage: usage && readKeyUsage(usage),
    extendedKeyUsage: purposes && readExtendedKeyUsage(purposes),
    alternativeNames: names === undefined ? [] : readAlternativeNames(names, namesMax),
  };
}

function readExtensions(reader: DerReader): Map<string, Uint8Array> {
  const list = reader.enter(DER_TAG.sequence);
  reader.finish();
  const extensions = new Map<string, Uint8Array>();
  while (!list.atEnd) {
    const extension = list.enter(DER_TAG.sequence);
    const oid = extension.readOidHex();
    if (extension.nextIs(DER_TAG.boolean)) extension.readBoolean();
    const value = extension.read(DER_TAG.octetString);
    extension.finish();
    // RFC 5280 §4.2: never twice; with two, each reader would believe another one.
    if (extensions.has(oid)) {
      throw new IdentityError("certificate_malformed", `extension ${oid} stands twice`);
    }
    extensions.set(oid, value);
    checkLength(extensions.size, "extensions");
  }
  return extensions;
}

/** RFC 5280 §4.2.1.1: the key's own identifier stands first, if at all. */
function readAuthorityKeyIdentifier(extension: Uint8Array | undefined): Uint8Array | undefined {
  const identifier = extension && new DerReader(extension).enter(DER_TAG.sequence);
  return identifier?.nextIs(0x80) ? identifier.read(0x80) : undefined;
}

function readBasicConstraints(
  extension: Uint8Array | undefined,
): Pick<CertificateFields, "isCa" | "pathLengthMax"> {
  if (extension === undefined) return { isCa: false, pathLengthMax: undefined };
  const outer = new DerReader(extension);
  const constraints = outer.enter(DER_TAG.sequence);
  outer.finish();
  const isCa = constraints.nextIs(DER_TAG.boolean) && constraints.readBoolean();
  const length = constraints.nextIs(DER_TAG.integer) ? constraints.readIntegerHex() : undefined;
  constraints.finish();
  if (length !== undefined && length >= "8") {
    throw new IdentityError("certificate_malformed", "its path length is negative");
  }
  return { isCa, pathLengthMax: length === undefined ? undefined : Number.parseInt(length, 16) };
}

function readKeyUsage(extension: Uint8Array): Set<number> {
  const outer = new DerReader(extension);
  const content = outer.read(DER_TAG.bitString);
  outer.finish();
  const unused = content[0];
  if (unused === undefined || unused > 7 || (unused > 0 && content.length === 1) || content.length > 3) {
    throw new IdentityError("certificate_malformed", "its key usage is not a bit string");
  }
  const bits = new Set<number>();
  for (let bit = 0; bit < (content.length - 1) * 8 - unused; bit++) {
    if (((content[1 + (bit >> 3)] as number) & (0x80 >> (bit & 7))) !== 0) bits.add(bit);
  }
  return bits;
}

function readExtendedKeyUsage(extension: Uint8Array): Set<string> {
  const outer = new DerReader(extension);
  const list = outer.enter(DER_TAG.sequence);
  outer.finish();
  const purposes = new Set<string>();
  while (!list.atEnd) {
    purposes.add(list.readOidHex());
    checkLength(purposes.size, "purposes");
  }
  return purposes;
}

function readAlternativeNames(extension: Uint8Array, max: number): { tag: number; value: string }[] {
  const outer = new DerReader(extension);
  const list = outer.enter(DER_TAG.sequence);
  outer.finish();
  const names: { tag: number; value: string }[] = [];
  while (!list.atEnd) {
    const { tag, content } = list.readAny();
    const isText = tag === GENERAL_NAME.email || tag === GENERAL_NAME.dns || tag === GENERAL_NAME.uri;
    names.push({ tag, value: isText ? latin1(content) : hex(content) });
    checkLength(names.length, "alternative names", max);
  }
  return names;
}

function checkLength(length: number, what: string, max = CERTIFICATE_LIST_LENGTH_MAX): void {
  if (length > max) throw new IdentityError("certificate_malformed", `it has more than ${max} ${what}`);
}
