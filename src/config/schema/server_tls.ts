/** ServerTLSSettings: how a Gateway's server speaks to those who call it. */
import * as v from "valibot";
import { across, type Fault } from "./across.ts";
import { fields, list, optional, type Schema } from "./fields.ts";
import type { Immutable } from "./immutable.ts";
import { unimplementedValue, wrong } from "./problem.ts";
import { oneOf, subdomain, text } from "./scalars.ts";

const MODES = [
  "PASSTHROUGH",
  "SIMPLE",
  "MUTUAL",
  "AUTO_PASSTHROUGH",
  "ISTIO_MUTUAL",
  "OPTIONAL_MUTUAL",
] as const;

const VERSIONS = ["TLS_AUTO", "TLSV1_0", "TLSV1_1", "TLSV1_2", "TLSV1_3"] as const;
const OLD: readonly string[] = ["TLSV1_0", "TLSV1_1"];

export type TlsVersion = "TLSV1_2" | "TLSV1_3";

/** `TLS_AUTO` and nothing are what stands in `auto`. */
function version(auto: TlsVersion): Schema<TlsVersion> {
  return v.pipe(
    v.nullish(oneOf(VERSIONS, "a version of TLS"), "TLS_AUTO"),
    v.check((name) => !OLD.includes(name), unimplementedValue("a version of TLS before 1.2")),
    v.transform((name): TlsVersion => name === "TLSV1_2" || name === "TLSV1_3" ? name : auto),
  );
}

/** Suites with forward secrecy and authenticated encryption, by the names that Istio has for them. */
const SUITES = [
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
];

/** The others of Istio's: without forward secrecy, or with encryption that is not authenticated. */
const WEAK_SUITES = [
  "ECDHE-ECDSA-AES128-SHA",
  "ECDHE-RSA-AES128-SHA",
  "ECDHE-ECDSA-AES256-SHA",
  "ECDHE-RSA-AES256-SHA",
  "AES128-GCM-SHA256",
  "AES256-GCM-SHA384",
  "AES128-SHA",
  "AES256-SHA",
  "DES-CBC3-SHA",
];

const cipherSuites = list(v.pipe(
  v.string(),
  v.check(
    (name) => !WEAK_SUITES.includes(name),
    unimplementedValue("a cipher suite without forward secrecy and authenticated encryption"),
  ),
  v.check(
    (name) => SUITES.includes(name) || WEAK_SUITES.includes(name),
    wrong("{} is no cipher suite", `use ${SUITES.join(", ")}`),
  ),
));

const SHA256_BYTES = 32;

/** Base64, as `openssl dgst -sha256 -binary | base64` writes it. */
const publicKeyHash: Schema<string> = v.pipe(
  v.string(),
  v.check(
    (text) => hashOf(text) !== undefined,
    wrong("{} is no SHA-256 in base64", "hash the public key in DER, not in PEM"),
  ),
  v.transform((text) => hashOf(text) as string),
);

/** With colons between the octets or without. */
const certificateHash: Schema<string> = v.pipe(
  v.string(),
  v.check(
    (text) => /^([0-9a-f]{64}|[0-9a-f]{2}(:[0-9a-f]{2}){31})$/i.test(text),
    wrong("{} is no SHA-256 in hex", "write what `openssl x509 -fingerprint -sha256` shows"),
  ),
  v.transform((text) => text.replaceAll(":", "").toLowerCase()),
);

/** Certificates of one server: one of RSA and one of ECDSA. */
const CERTIFICATES_MAX = 2;

/** Paths, as those of a server with one certificate. */
const certificate = v.pipe(
  fields({ serverCertificate: text, privateKey: text }, ["caCertificates"]),
  across(function* (pair: { readonly serverCertificate: string | null; readonly privateKey: string | null }) {
    for (const field of ["serverCertificate", "privateKey"] as const) {
      if (pair[field] === null) yield { message: wrong(`the certificate needs ${field}, a path`), at: [] };
    }
  }),
  v.transform(({ serverCertificate, privateKey }) => ({
    serverCertificate: serverCertificate ?? "",
    privateKey: privateKey ?? "",
  })),
);

const written = fields({
  /** Answers every request over plain HTTP with 301. */
  httpsRedirect: v.nullish(v.boolean(), false),
  mode: v.nullish(oneOf(MODES, "a mode"), "PASSTHROUGH"),
  /** Paths of PEM files, read again when they change. */
  serverCertificate: text,
  privateKey: text,
  caCertificates: text,
  /** Instead of paths: a directory of the gateway's `--credentials`, with what a secret of Kubernetes has. */
  credentialName: optional(subdomain),
  /** Several certificates for one server, of which a client gets one whose key it can verify: RSA or ECDSA. */
  credentialNames: atMostTwo(subdomain),
  tlsCertificates: atMostTwo(certificate as Schema<v.InferOutput<typeof certificate>>),
  /** Certificates that were revoked; then every authority of a chain needs such a list. A path. */
  caCrl: text,
  /** SHA-256 of public keys of which a caller's certificate must have one, in hex; files have base64. */
  verifyCertificateSpki: list(publicKeyHash),
  /** SHA-256 of certificates that callers may show, in lower-case hex. */
  verifyCertificateHash: list(certificateHash),
  /** Of TLS 1.2; empty: all that can be named here. */
  cipherSuites: cipherSuites,
  /** Names of which a caller's certificate must have one; empty is any. */
  subjectAltNames: list(v.string() as Schema<string>),
  minProtocolVersion: version("TLSV1_2"),
  maxProtocolVersion: version("TLSV1_3"),
});

function atMostTwo<Value>(item: Schema<Value>) {
  return v.pipe(
    list(item),
    v.check(
      (items) => items.length <= CERTIFICATES_MAX,
      wrong(`has more than ${CERTIFICATES_MAX} certificates`, "name one of RSA and one of ECDSA"),
    ),
  );
}

type Written = v.InferOutput<typeof written>;

export const serverTls = v.pipe(written, across(faults));

export type ServerTls = Immutable<Written>;

/** Modes in which the gateway shows a certificate from outside the mesh. */
const CERTIFIED: readonly Written["mode"][] = ["SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL"];

/** Where a server's certificates can be; it has them from one of these. */
const SOURCES = ["credentialName", "credentialNames", "tlsCertificates", "serverCertificate"] as const;
const CREDENTIALS = ["credentialName", "credentialNames"] as const;

const FILES = ["serverCertificate", "privateKey", "caCertificates"] as const;

/** What is said of the certificates of those who call. */
const ABOUT_CALLERS = ["verifyCertificateSpki", "verifyCertificateHash"] as const;

function* faults(tls: Written): Generator<Fault> {
  const { mode } = tls;
  const [source, ...others] = SOURCES.filter((field) => isGiven(tls[field]));
  for (const other of others) {
    yield { message: wrong(`stands beside ${source}, which already says it`), at: [other] };
  }
  for (const field of ["credentialName", "credentialNames", "tlsCertificates"] as const) {
    if (!isGiven(tls[field]) || CERTIFIED.includes(mode)) continue;
    const verb = field === "credentialName" ? "is" : "are";
    yield { message: wrong(`${verb} of no use in the mode ${mode}`), at: [field] };
  }
  const needed = filesOf(tls);
  for (const field of FILES) {
    if (tls[field] === null) {
      if (needed.includes(field)) yield { message: wrong(`the mode ${mode} needs ${field}, a path`), at: [] };
      continue;
    }
    // A CA besides a certificate of one's own is not asked for, but no contradiction.
    const isOwn = source === "tlsCertificates" && field === "caCertificates";
    if (needed.length > 0 || isOwn || others.some((other) => other === field)) continue;
    const where = source === undefined || source === "serverCertificate"
      ? `in the mode ${mode}`
      : `besides ${source}`;
    yield { message: wrong(`is of no use ${where}`), at: [field] };
  }
  yield* useless(tls);
  if (tls.minProtocolVersion === "TLSV1_3" && tls.maxProtocolVersion === "TLSV1_2") {
    yield { message: wrong("is below minProtocolVersion"), at: ["maxProtocolVersion"] };
  }
}

function isGiven(value: string | null | readonly unknown[]): boolean {
  return value !== null && value.length > 0;
}

/** The paths that it has to name. */
function filesOf(tls: Written): readonly (typeof FILES)[number][] {
  if (CREDENTIALS.some((field) => isGiven(tls[field]))) return [];
  const needed = neededFor(tls.mode);
  return tls.tlsCertificates.length === 0 ? needed : needed.filter((field) => field === "caCertificates");
}

function neededFor(mode: Written["mode"]): readonly (typeof FILES)[number][] {
  if (mode === "MUTUAL" || mode === "OPTIONAL_MUTUAL") return FILES;
  return mode === "SIMPLE" ? ["serverCertificate", "privateKey"] : [];
}

/** What would be ignored: nobody shows a certificate of another authority, or TLS has no such choice. */
function* useless(tls: Written): Generator<Fault> {
  const { mode, cipherSuites } = tls;
  const asksCallers = mode === "MUTUAL" || mode === "OPTIONAL_MUTUAL";
  const inMode = `of no use in the mode ${mode}`;
  const credential = CREDENTIALS.find((field) => isGiven(tls[field]));
  if (tls.caCrl !== null && !asksCallers) yield { message: wrong(`is ${inMode}`), at: ["caCrl"] };
  else if (tls.caCrl !== null && credential !== undefined) {
    const hint = "name the list ca.crl in the credential's directory";
    yield { message: wrong(`is of no use besides ${credential}`, hint), at: ["caCrl"] };
  }
  for (const field of ABOUT_CALLERS) {
    if (tls[field].length > 0 && !asksCallers) yield { message: wrong(`are ${inMode}`), at: [field] };
  }
  // Those of the mesh have names, too.
  if (tls.subjectAltNames.length > 0 && !asksCallers && mode !== "ISTIO_MUTUAL") {
    yield {
      message: wrong(`are ${inMode}`, "callers are asked for no certificate"),
      at: ["subjectAltNames"],
    };
  }
  if (cipherSuites.length === 0) return;
  if (!CERTIFIED.includes(mode)) yield { message: wrong(`are ${inMode}`), at: ["cipherSuites"] };
  else if (tls.minProtocolVersion === "TLSV1_3") {
    yield { message: wrong("are of no use in TLS 1.3, which has suites of its own"), at: ["cipherSuites"] };
  }
}

/** Hex; undefined: it is none. */
function hashOf(text: string): string | undefined {
  const bytes = Buffer.from(text, "base64");
  return bytes.length === SHA256_BYTES && bytes.toString("base64") === text
    ? bytes.toString("hex")
    : undefined;
}
