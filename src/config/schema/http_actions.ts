/** What a rule does instead of, or besides, sending a request on: redirect, direct response, delegate, rewrite. */
import * as v from "valibot";
import { compileRegex } from "../../lib/regex.ts";
import { across } from "./across.ts";
import { fields, optional, type Schema } from "./fields.ts";
import { httpStatus } from "./http_fault.ts";
import type { Immutable } from "./immutable.ts";
import { wrong } from "./problem.ts";
import { dnsLabel, oneOf, portNumber, subdomain, text } from "./scalars.ts";
import { regexText } from "./string_match.ts";

/** Istio gives a rule with any other code no action at all, and says so in its log only. */
const REDIRECT_CODES: readonly number[] = [301, 302, 303, 307, 308];
const REDIRECT_CODE_DEFAULT = 301;

/** Istio's limit of the body of a direct response. */
export const DIRECT_BODY_BYTES_MAX = 1_048_576;

const redirectCode: Schema<number> = v.pipe(
  v.number(),
  v.transform((code) => code === 0 ? REDIRECT_CODE_DEFAULT : code),
  v.check(
    (code) => REDIRECT_CODES.includes(code),
    wrong(
      `{} is not a code for a redirect, and Istio gives such a rule no action; one of ${
        REDIRECT_CODES.join(", ")
      }`,
    ),
  ),
);

/** `uri` replaces the whole path, whatever part of it was matched; `prefixRewrite` the prefix that was. */
export const httpRedirect = v.pipe(
  fields({
    uri: text,
    prefixRewrite: text,
    authority: text,
    port: optional(portNumber),
    derivePort: optional(oneOf(["FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT"], "a way to derive a port")),
    scheme: optional(oneOf(["http", "https"], "a scheme")),
    redirectCode: v.nullish(redirectCode, REDIRECT_CODE_DEFAULT),
  }),
  v.check(
    (to) => to.uri === null || to.prefixRewrite === null,
    wrong("has both uri and prefixRewrite; only one of them can say the path"),
  ),
  v.check(
    (to) =>
      [to.uri, to.prefixRewrite, to.authority, to.port, to.derivePort, to.scheme].some((part) =>
        part !== null
      ),
    wrong("leads to where the request came from", "add uri, authority, scheme or port"),
  ),
  v.check(
    (to) => to.port === null || to.derivePort === null,
    wrong("has both port and derivePort; only one of them can say the port"),
  ),
);

export type HttpRedirect = Immutable<v.InferOutput<typeof httpRedirect>>;

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

const body = v.pipe(
  fields({
    string: optional(v.pipe(
      v.string(),
      v.check(
        (value) => new TextEncoder().encode(value).length <= DIRECT_BODY_BYTES_MAX,
        wrong(`a body has at most ${DIRECT_BODY_BYTES_MAX} bytes`),
      ),
    )),
    /** In base 64. */
    bytes: optional(v.pipe(
      v.string(),
      v.check((value) => BASE64.test(value), wrong("bytes are written in base 64")),
      v.check(
        (value) => value.length / 4 * 3 <= DIRECT_BODY_BYTES_MAX + 2,
        wrong(`a body has at most ${DIRECT_BODY_BYTES_MAX} bytes`),
      ),
    )),
  }),
  v.check((value) => value.string === null || value.bytes === null, wrong("has both string and bytes")),
);

export const directResponse = fields({ status: httpStatus, body: optional(body) });

/** The VirtualService without hosts that has the rules; null is the namespace of the one that delegates. */
export const delegate = fields({ name: subdomain, namespace: optional(dnsLabel) });

/** `\1` in `rewrite` is the first group of `match`. */
const uriRegexRewrite = v.pipe(
  fields({
    match: regexText,
    rewrite: v.pipe(v.string(), v.nonEmpty(wrong("an empty rewrite leaves no path"))),
  }),
  across(function* ({ match, rewrite }: { match: string; rewrite: string }) {
    const groups = groupCount(match);
    for (const [, number] of rewrite.matchAll(/\\(\d)/g)) {
      if (groups === undefined || Number(number) <= groups) continue;
      yield {
        message: wrong(
          `names the group ${number}, and the regex has ${groups === 0 ? "none" : `only ${groups}`}`,
        ),
        at: ["rewrite"],
      };
    }
  }),
);

/** `uri` replaces a matched prefix, or the whole path where the match was exact or a regex. */
export const httpRewrite = v.pipe(
  fields({ uri: text, authority: text, uriRegexRewrite: optional(uriRegexRewrite) }),
  v.check(
    (to) => to.uri !== null || to.authority !== null || to.uriRegexRewrite !== null,
    wrong("changes nothing", "add uri, uriRegexRewrite or authority"),
  ),
  v.check(
    (to) => to.uri === null || to.uriRegexRewrite === null,
    wrong("has both uri and uriRegexRewrite; only one of them can say the path"),
  ),
);

function groupCount(regex: string): number | undefined {
  try {
    return compileRegex(regex).groupCount();
  } catch {
    return undefined;
  }
}
