/** BOW0075: conditions of a match that no request meets, whatever it asks for. */
import type { StringMatch } from "../../model/route.ts";
import { CODES } from "../codes.ts";
import type { Finding } from "../finding.ts";
import type { ConfigResource } from "../resource.ts";
import type { VirtualServiceSpec } from "../schema/virtual_service.ts";
import { type Analyzer, warning } from "./analyzer.ts";
import { remembered } from "./remembered.ts";

const METHODS: ReadonlySet<string> = new Set([
  ...["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"],
]);

const SCHEMES: readonly string[] = ["http", "https"];

/** Begins with a character that stands for itself, whatever follows, and is no list of choices. */
const BEGINS_WITH_WORD = /^\^?[A-Za-z0-9_-](?![?*{])[^|]*$/;

export const impossibleMatches: Analyzer = ({ virtualServices }) => inEach(virtualServices);

const inEach = remembered(function* (resource: ConfigResource<VirtualServiceSpec>): Generator<Finding> {
  for (const [rule, { match }] of resource.spec.http.entries()) {
    for (const [index, block] of match.entries()) {
      for (const [field, whyNever] of Object.entries(REASONS)) {
        const value = block[field as keyof typeof REASONS];
        if (value === null || value.type === "present") continue;
        const [why, hint] = whyNever(value) ?? [];
        if (why === undefined) continue;
        const path = ["spec", "http", rule, "match", index, field, value.type];
        yield warning(CODES.neverMet, resource, path, `${why}, so this never holds`, hint ?? null);
      }
    }
  }
});

type Condition = Exclude<StringMatch, { type: "present" }>;
type Reason = readonly [why: string, hint: string] | null;

const REASONS = {
  uri: ({ type, value }: Condition): Reason => {
    // `*` is what OPTIONS may ask about.
    const rooted = type === "regex" ? !BEGINS_WITH_WORD.test(value) : value.startsWith("/") || value === "*";
    return rooted ? null : ["a path begins with a slash", `write "/${value.replace(/^\^/, "")}"`];
  },
  method: ({ type, value }: Condition): Reason => {
    const capitals = value.toUpperCase();
    if (type === "regex" || value === capitals || !METHODS.has(capitals)) return null;
    return ["methods are in capitals", `write "${capitals}"`];
  },
  scheme: ({ type, value }: Condition): Reason => {
    if (type === "regex") return null;
    if (SCHEMES.some((scheme) => type === "exact" ? scheme === value : scheme.startsWith(value))) return null;
    return ["a scheme is http or https", "write one of them"];
  },
  authority: ({ type, value }: Condition): Reason =>
    type === "regex" || !value.includes("/")
      ? null
      : ["an authority is a host and perhaps a port", "leave scheme and path out"],
};
