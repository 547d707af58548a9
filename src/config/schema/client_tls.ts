/** ClientTLSSettings: how a caller's proxy speaks to the endpoints of a cluster. */
import * as v from "valibot";
import { across, type Fault } from "./across.ts";
import { fields, list, optional, type Schema } from "./fields.ts";
import type { Immutable } from "./immutable.ts";
import { wrong } from "./problem.ts";
import { host, oneOf, subdomain, text } from "./scalars.ts";

const MODES = ["DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL"] as const;

const written = fields({
  mode: v.nullish(oneOf(MODES, "a mode"), "DISABLE"),
  /** Paths of PEM files. */
  clientCertificate: text,
  privateKey: text,
  /** Null: the public authorities that every machine trusts, as in Istio since 1.21. */
  caCertificates: text,
  /** Certificates that they have revoked; then every authority of a chain needs such a list. */
  caCrl: text,
  /** Instead of paths: a directory of the proxy's `--credentials`, with what a secret of Kubernetes has. */
  credentialName: optional(subdomain),
  subjectAltNames: list(v.string() as Schema<string>),
  sni: optional(host),
  insecureSkipVerify: optional(v.boolean() as Schema<boolean>),
});

type Written = v.InferOutput<typeof written>;

export const clientTls = v.pipe(
  written,
  across(faults),
  v.transform((tls) => ({ ...tls, insecureSkipVerify: tls.insecureSkipVerify ?? false })),
);

export type ClientTls = Immutable<v.InferOutput<typeof clientTls>>;

function* faults(tls: Written): Generator<Fault> {
  const { mode, credentialName } = tls;
  if (mode === "ISTIO_MUTUAL" || mode === "DISABLE") return yield* superfluous(tls);
  if (credentialName !== null) {
    for (const field of ["clientCertificate", "privateKey", "caCertificates", "caCrl"] as const) {
      if (tls[field] === null) continue;
      yield { message: wrong("stands beside credentialName, which already says it"), at: [field] };
    }
  } else if (mode === "MUTUAL") {
    for (const field of ["clientCertificate", "privateKey"] as const) {
      if (tls[field] === null) yield { message: wrong(`the mode MUTUAL needs ${field}, a path`), at: [] };
    }
  }
  if (tls.insecureSkipVerify !== true) return;
  // With MUTUAL a credential still has the client's own certificate.
  const verifying = [
    "caCertificates",
    "caCrl",
    ...mode === "SIMPLE" ? ["credentialName" as const] : [],
  ] as const;
  for (const field of verifying) {
    if (tls[field] === null) continue;
    yield { message: wrong("is of no use with insecureSkipVerify"), at: [field] };
  }
  if (tls.subjectAltNames.length > 0) {
    yield { message: wrong("are of no use with insecureSkipVerify"), at: ["subjectAltNames"] };
  }
}

/** The mesh's own certificates and identities, or none: everything else would be ignored. */
function* superfluous({ mode, subjectAltNames, ...rest }: Written): Generator<Fault> {
  const ofMesh = mode === "ISTIO_MUTUAL";
  const hint = ofMesh ? "remove it: the identity of each endpoint is verified" : null;
  for (const [field, value] of Object.entries(rest)) {
    // A gateway has several servers at one port, and tells them apart by it.
    if (value !== null && !(ofMesh && field === "sni")) {
      yield { message: wrong(`is of no use in the mode ${mode}`, hint), at: [field] };
    }
  }
  if (subjectAltNames.length === 0) return;
  yield { message: wrong(`are of no use in the mode ${mode}`, hint), at: ["subjectAltNames"] };
}
