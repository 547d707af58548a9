/** RequestAuthentication (security.istio.io): which tokens a workload takes, and what becomes of them. */
import * as v from "valibot";
import { JwksError, readJwks } from "../../model/jwks.ts";
import { across, type Fault } from "./across.ts";
import { fields, list, optional, type Schema } from "./fields.ts";
import { headerName } from "./header_operations.ts";
import type { Immutable } from "./immutable.ts";
import { duration } from "./numbers.ts";
import { noTargets } from "./policy_targets.ts";
import { wrong } from "./problem.ts";
import { labels } from "./scalars.ts";

/** Istio's limit. */
const SPACE_DELIMITED_CLAIMS_MAX = 64;

const nonEmpty: Schema<string> = v.pipe(v.string(), v.nonEmpty(wrong("an empty string names nothing")));

const keysUrl: Schema<string> = v.pipe(
  v.string(),
  v.rawCheck(({ dataset, addIssue }) => {
    const fault = dataset.typed ? keysUrlFault(dataset.value) : null;
    if (fault !== null) addIssue({ message: wrong(fault) });
  }),
);

/** Whoever can read a file of the configuration must not be able to make tokens. */
const keySet: Schema<string> = v.pipe(
  v.string(),
  v.rawCheck(({ dataset, addIssue }) => {
    const fault = dataset.typed ? keySetFault(dataset.value) : null;
    if (fault !== null) addIssue({ message: wrong(fault.message, fault.hint) });
  }),
);

const fromHeader = fields({ name: headerName, prefix: v.nullish(v.string(), "") });

/** A header that the proxy sets itself. */
const outputHeader: Schema<string> = v.pipe(
  headerName,
  v.check(
    (name) => !RESERVED.has(name) && !name.startsWith("x-bowline-"),
    wrong("{} has a meaning of its own for HTTP or the mesh", "choose a name such as x-jwt-payload"),
  ),
);

const RESERVED: ReadonlySet<string> = new Set([
  ...["host", "connection", "content-length", "transfer-encoding", "te", "trailer", "upgrade", "expect"],
  ...["keep-alive", "proxy-connection", "x-forwarded-client-cert"],
]);

const ruleFields = fields({
  issuer: v.pipe(v.string(), v.nonEmpty(wrong("needs an issuer"))),
  audiences: list(nonEmpty),
  jwksUri: optional(keysUrl),
  /** The spelling of older versions of Istio. */
  jwks_uri: optional(keysUrl),
  jwks: optional(keySet),
  fromHeaders: list(fromHeader),
  fromParams: list(nonEmpty),
  fromCookies: list(nonEmpty),
  outputPayloadToHeader: optional(outputHeader),
  forwardOriginalToken: v.nullish(v.boolean(), false),
  outputClaimToHeaders: list(fields({ header: outputHeader, claim: nonEmpty })),
  timeout: optional(duration),
  spaceDelimitedClaims: v.nullish(
    v.pipe(
      v.array(nonEmpty),
      v.maxLength(
        SPACE_DELIMITED_CLAIMS_MAX,
        wrong(`has more than ${SPACE_DELIMITED_CLAIMS_MAX} claims`),
      ),
    ),
    [],
  ),
});

type RuleFields = v.InferOutput<typeof ruleFields>;

const jwtRule = v.pipe(
  ruleFields,
  across(function* ({ issuer, jwksUri, jwks_uri: older, jwks }: RuleFields): Generator<Fault> {
    const [first, second] = [jwksUri, older, jwks].filter((one) => one !== null);
    if (second !== undefined) {
      const message = wrong("there are two sources of keys", "write one of jwks and jwksUri");
      yield { message, at: [jwks === null ? "jwks_uri" : "jwks"] };
    }
    if (first === undefined && keysUrlFault(issuer) !== null) {
      const hint = "write jwks or jwksUri, or the issuer's URL";
      yield {
        message: wrong("{} is no URL to ask for keys, and nothing else says where they are", hint),
        at: ["issuer"],
      };
    }
  }),
) as Schema<RuleFields>;

export const requestAuthenticationSpec = fields({
  /** Null: every workload of the namespace, or of the mesh where it stands in the root namespace. */
  selector: optional(fields({ matchLabels: labels })),
  targetRef: noTargets,
  targetRefs: noTargets,
  jwtRules: list(jwtRule),
});

export type RequestAuthenticationSpec = Immutable<v.InferOutput<typeof requestAuthenticationSpec>>;
export type JwtRuleSpec = RequestAuthenticationSpec["jwtRules"][number];

/** Why keys cannot be asked for there; null: they can. Istio's rules, and none of the ways to hide where a URL leads. */
function keysUrlFault(text: string): string | null {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null) return "{} is no URL";
  if (url.protocol !== "https:" && url.protocol !== "http:") return "{} is neither https nor http";
  if (url.username !== "" || url.password !== "") return "a URL with a password in it would be read by many";
  if (url.hash !== "") return "a server is never told what follows #";
  return null;
}

function keySetFault(text: string): { message: string; hint: string | null } | null {
  try {
    const { keys, leftOut } = readJwks(text);
    const secret = leftOut.find((fault) => /secret|private/.test(fault));
    if (secret !== undefined) return { message: `${secret}`, hint: "write public keys alone" };
    if (keys.length > 0) return null;
    return { message: ["no key of it verifies a signature", ...leftOut].join("; "), hint: null };
  } catch (error) {
    if (!(error instanceof JwksError)) throw error;
    return { message: `this is no set of keys: ${error.message}`, hint: 'it begins with { "keys": [' };
  }
}
