/**
 * The file of `run --enrolment`: which platforms vouch for workloads, by tokens that they issue (JWTs, RFC 7519), and which
 * workload is meant by what such a token says.
 */
import * as v from "valibot";
import type { SourceFile } from "../../runtime/read_files.ts";
import type { Finding } from "../finding.ts";
import { fields, list, listOfSome, optional, type Schema } from "../schema/fields.ts";
import { duration } from "../schema/numbers.ts";
import { wrong } from "../schema/problem.ts";
import { oneOf } from "../schema/scalars.ts";
import { readSingleDocument } from "../single_document.ts";
import { type ClaimPath, type ClaimTemplate, parseClaimPath, parseClaimTemplate } from "./claim_template.ts";

/** Signatures that a platform may make. With none of them is a public key ever taken for a secret. */
const ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"];
const ALGORITHMS_DEFAULT = ["RS256", "ES256"];

/** What Kubernetes and the clouds issue unless they are asked for more. */
const TOKEN_LIFE_DEFAULT = "1h";

export interface ClaimCondition {
  readonly claim: ClaimPath;
  /** One of them is there, the other null. */
  readonly exact: string | null;
  readonly prefix: string | null;
}

/** Whom a token means. The identity of that one is what the resources say of it, as with join tokens. */
export interface PlatformRule {
  /** All must hold. */
  readonly when: readonly ClaimCondition[];
  /** `NAMESPACE/NAME`; either this or `group`. */
  readonly workload: ClaimTemplate | null;
  readonly group: ClaimTemplate | null;
}

export interface PlatformIssuer {
  readonly issuer: string;
  readonly audiences: readonly string[];
  /** Where its public keys are; one of the two is there. */
  readonly jwksFile: string | null;
  readonly jwksUri: string | null;
  readonly algorithms: readonly string[];
  /** Of a token, from `iat` to `exp`, milliseconds. */
  readonly tokenLifetimeMax: number;
  /** The first that holds counts. */
  readonly rules: readonly PlatformRule[];
}

const claim: Schema<ClaimPath> = v.pipe(
  v.string(),
  v.check((text) => parseClaimPath(text) !== null, wrong("{} is no claim", 'such as "claims[sub]"')),
  v.transform((text) => parseClaimPath(text) as ClaimPath),
);

const template: Schema<ClaimTemplate> = v.pipe(
  v.string(),
  v.check(
    (text) => parseClaimTemplate(text) !== null,
    wrong(
      "{} is no template",
      'text and claims in braces, such as "shop/{claims[kubernetes.io][pod][name]}"',
    ),
  ),
  v.transform((text) => parseClaimTemplate(text) as ClaimTemplate),
);

const condition = v.pipe(
  fields({ claim, exact: optional(v.string()), prefix: optional(v.string()) }),
  v.check(
    ({ exact, prefix }) => (exact === null) !== (prefix === null),
    wrong("needs either exact or prefix"),
  ),
) as unknown as Schema<ClaimCondition>;

const rule = v.pipe(
  fields({
    when: list(condition),
    workload: optional(template),
    group: optional(template),
  }),
  v.check(
    ({ workload, group }) => (workload === null) !== (group === null),
    wrong("needs either a workload or a group"),
  ),
) as unknown as Schema<PlatformRule>;

const issuer = v.pipe(
  fields({
    issuer: v.pipe(v.string(), v.minLength(1, wrong("an issuer is what its tokens have as iss"))),
    audiences: listOfSome(v.string(), "an audience: tokens for others must not be good here"),
    jwksFile: optional(v.string()),
    jwksUri: optional(v.pipe(
      v.string(),
      v.check(isKeyUri, wrong("{} is no URL for keys", "https, or http of this machine's own address")),
    )),
    algorithms: v.nullish(listOfSome(oneOf(ALGORITHMS, "a signature"), "an algorithm"), ALGORITHMS_DEFAULT),
    tokenLifetimeMax: v.nullish(duration, TOKEN_LIFE_DEFAULT),
    rules: listOfSome(rule, "a rule"),
  }),
  v.check(
    ({ jwksFile, jwksUri }) => (jwksFile === null) !== (jwksUri === null),
    wrong("needs either jwksFile or jwksUri"),
  ),
) as unknown as Schema<PlatformIssuer>;

const schema = v.pipe(
  fields({ issuers: listOfSome(issuer, "an issuer") }),
  v.check(
    ({ issuers }) => new Set(issuers.map((each) => each.issuer)).size === issuers.length,
    wrong("an issuer stands here twice"),
  ),
) as unknown as Schema<{ readonly issuers: readonly PlatformIssuer[] }>;

/** Null, with the reasons, when the file is none. */
export function readEnrolmentFile(
  source: SourceFile,
): { readonly issuers: readonly PlatformIssuer[] | null; readonly findings: readonly Finding[] } {
  const wanted = "an enrolment file is one document with a list of issuers";
  const { document, findings } = readSingleDocument(source, schema, wanted);
  return { issuers: document?.output.issuers ?? null, findings };
}

/** In plain text nobody else's keys may be fetched: whoever stands between could put in some of his own. */
function isKeyUri(text: string): boolean {
  const url = URL.parse(text);
  if (url === null || url.username !== "" || url.password !== "") return false;
  if (url.protocol === "https:") return true;
  return url.protocol === "http:" && /^(127\.\d+\.\d+\.\d+|\[::1\]|localhost)$/.test(url.hostname);
}
