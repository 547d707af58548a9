/** Istio's StringMatch: one of `exact`, `prefix` and `regex`, and for headers and query parameters `{}` for presence. */
import * as v from "valibot";
import { compileRegex } from "../../lib/regex.ts";
import { isMap } from "../../lib/is_map.ts";
import { claimKeys, claimName, isClaimName } from "../../model/claim_name.ts";
import type { NamedMatch, StringMatch } from "../../model/route.ts";
import { isToken } from "./header_operations.ts";
import { fields, optional, type Schema } from "./fields.ts";
import { unimplementedValue, wrong } from "./problem.ts";

/** The longest regular expression, in bytes of UTF-8 (Istio's limit). */
export const REGEX_BYTES_MAX = 1024;

/**
 * What repetitions may make of a shorter one. Matching takes time by this and by the text: with 300 at most 28 ms more for
 * the first header of 50 kB that a sidecar meets, and 1 ms for the next; 500 takes 68, and `(a{1,100}){1,10}b`, which
 * comes to 2,022, 600. What is written out may be longer. A name of DNS, written as RFC 1123 has it, comes to 260.
 */
export const REGEX_INSTRUCTIONS_MAX = 300;

type Kind = Exclude<StringMatch["type"], "present">;

const KINDS: readonly Kind[] = ["exact", "prefix", "regex"];

/** Names that Istio ignores among headers, so that a rule would match more than its writer meant. */
const PSEUDO_HEADERS: readonly string[] = ["uri", "scheme", "method", "authority"];

const TEXT: Schema<string> = v.string();

/** An expression of RE2 within the limit. */
export const regexText: Schema<string> = v.pipe(
  v.string(),
  v.rawCheck(({ dataset, addIssue }) => {
    const reason = dataset.typed ? regexFault(dataset.value) : undefined;
    if (reason !== undefined) addIssue({ message: wrong(reason) });
  }),
);

const prefixText: Schema<string> = v.pipe(
  v.string(),
  v.nonEmpty(wrong("an empty prefix matches everything", "leave the condition out")),
);

/** A condition on a value that is always there: path, method, scheme, authority. */
export const stringMatch: Schema<StringMatch> = v.pipe(
  fields({ exact: optional(TEXT), prefix: optional(prefixText), regex: optional(regexText) }),
  v.check((value) => kindsOf(value).length === 1, wrong("needs exactly one of exact, prefix and regex")),
  v.transform((value) => toStringMatch(value)),
);

/** A condition on a value that may be absent: `{}` asks only that it is there. */
const presenceOrStringMatch: Schema<StringMatch> = v.pipe(
  fields({ exact: optional(TEXT), prefix: optional(prefixText), regex: optional(regexText) }),
  v.check((value) => kindsOf(value).length <= 1, wrong("has more than one of exact, prefix and regex")),
  v.transform((value) => toStringMatch(value)),
);

/** Istio reads the regex `*`, which is none, as presence of a header. */
const headerMatch: Schema<StringMatch> = v.pipe(
  v.unknown(),
  v.transform((value) =>
    isMap(value) && Object.keys(value).length === 1 && value["regex"] === "*" ? {} : value
  ),
  presenceOrStringMatch,
);

/** Conditions by the name of a header, or of a claim; as in NamedMatch in what comes out. */
export const headerMatches: Schema<NamedMatch[]> = v.pipe(
  v.record(
    v.pipe(
      v.string(),
      v.nonEmpty(wrong("a header needs a name")),
      v.check(
        (name) => !isClaimName(name) || claimKeys(name) !== null,
        wrong(
          "{} names no claim of a token",
          "write @request.auth.claims.NAME, or @request.auth.claims[NAME][NAME]",
        ),
      ),
      v.check(
        (name) => !PSEUDO_HEADERS.includes(name),
        wrong("{} is not a header, and Istio ignores it here", "use the field of that name beside headers"),
      ),
      v.check(
        (name) => !name.startsWith(":"),
        unimplementedValue("a pseudo-header among headers", "use uri, scheme, method or authority"),
      ),
      v.check(
        (name) => name === "" || /^[@:]/.test(name) || isToken(name),
        wrong("{} is not the name of a header"),
      ),
    ),
    headerMatch,
  ),
  v.transform((matches) => named(matches, headerOrClaim)),
) as unknown as Schema<NamedMatch[]>;

/** Conditions by the name of a query parameter, which keeps its case. */
export const queryMatches: Schema<NamedMatch[]> = v.pipe(
  v.record(v.pipe(v.string(), v.nonEmpty(wrong("a query parameter needs a name"))), presenceOrStringMatch),
  v.transform((matches) => named(matches, (name) => name)),
) as unknown as Schema<NamedMatch[]>;

/** Why a regular expression cannot be used, or undefined when it can. RE2's syntax, as in Envoy. */
function regexFault(source: string): string | undefined {
  if (source === "") return "an empty regex matches the empty string alone";
  const bytes = new TextEncoder().encode(source).length;
  if (bytes > REGEX_BYTES_MAX) {
    return `the regex is longer than ${REGEX_BYTES_MAX} bytes`;
  }
  try {
    const instructions = compileRegex(source).programSize();
    return instructions <= Math.max(REGEX_INSTRUCTIONS_MAX, 2 * bytes)
      ? undefined
      : `the regex comes to ${instructions} instructions by its repetitions, more than ${REGEX_INSTRUCTIONS_MAX}, ` +
        `and would hold up other requests; repeat less`;
  } catch (error) {
    const reason = error instanceof Error
      ? error.message.replace(/^error parsing regexp: /, "")
      : String(error);
    return `the regex is not valid in RE2: ${reason}`;
  }
}

/** Claims keep their case. */
function headerOrClaim(name: string): string {
  const keys = claimKeys(name);
  return keys === null ? name.toLowerCase() : claimName(keys);
}

function kindsOf(value: Readonly<Record<Kind, string | null>>): Kind[] {
  return KINDS.filter((kind) => value[kind] !== null);
}

function toStringMatch(value: Readonly<Record<Kind, string | null>>): StringMatch {
  const [type] = kindsOf(value);
  return type === undefined ? { type: "present" } : { type, value: value[type] as string };
}

function named(matches: Record<string, StringMatch>, nameOf: (key: string) => string): NamedMatch[] {
  return Object.entries(matches).map(([key, match]) => ({ name: nameOf(key), match }));
}
