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
  /** Names of which a caller's certificate must have one; empty is any. */
  subjectAltNames: list(v.string() as Schema<string>),
  minProtocolVersion: version("TLSV1_2"),
  maxProtocolVersion: version("TLSV1_3"),
}, [
  "caCrl",
  "credentialNames",
  "tlsCertificates",
  "verifyCertificateSpki",
  "verifyCertificateHash",
  "cipherSuites",
]);

type Written = v.InferOutput<typeof written>;

export const serverTls = v.pipe(written, across(faults));

export type ServerTls = Immutable<Written>;

/** Modes in which the gateway shows a certificate from outside the mesh. */
const CERTIFIED: readonly Written["mode"][] = ["SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL"];

const FILES = ["serverCertificate", "privateKey", "caCertificates"] as const;

function* faults(tls: Written): Generator<Fault> {
  const { mode } = tls;
  const needed = tls.credentialName === null ? neededFor(mode, tls.httpsRedirect) : [];
  if (tls.credentialName !== null && !CERTIFIED.includes(mode)) {
    yield { message: wrong(`is of no use in the mode ${mode}`), at: ["credentialName"] };
  }
  for (const field of FILES) {
    if (tls[field] === null && needed.includes(field)) {
      yield { message: wrong(`the mode ${mode} needs ${field}, a path`), at: [] };
    }
    // A CA besides a certificate of one's own is not asked for, but no contradiction.
    if (tls[field] === null || needed.length > 0) continue;
    const useless = tls.credentialName === null ? `in the mode ${mode}` : "besides credentialName";
    yield { message: wrong(`is of no use ${useless}`), at: [field] };
  }
  if (tls.minProtocolVersion === "TLSV1_3" && tls.maxProtocolVersion === "TLSV1_2") {
    yield { message: wrong("is below minProtocolVersion"), at: ["maxProtocolVersion"] };
  }
}

function neededFor(mode: Written["mode"], redirects: boolean): readonly (typeof FILES)[number][] {
  if (mode === "MUTUAL" || mode === "OPTIONAL_MUTUAL") return FILES;
  return mode === "SIMPLE" && !redirects ? ["serverCertificate", "privateKey"] : [];
}
