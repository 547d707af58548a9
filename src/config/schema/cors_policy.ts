/** CorsPolicy: which pages of other origins may read the answers of a route. */
import * as v from "valibot";
import type { StringMatch } from "../../model/route.ts";
import { fields, list, optional, type Schema } from "./fields.ts";
import { headerName } from "./header_operations.ts";
import type { Immutable } from "./immutable.ts";
import { duration } from "./numbers.ts";
import { wrong } from "./problem.ts";
import { oneOf } from "./scalars.ts";
import { stringMatch } from "./string_match.ts";

const METHODS = [
  "GET",
  "HEAD",
  "POST",
  "PUT",
  "PATCH",
  "DELETE",
  "CONNECT",
  "OPTIONS",
  "TRACE",
  "*",
] as const;
const UNMATCHED_PREFLIGHTS = ["UNSPECIFIED", "FORWARD", "IGNORE"] as const;

const SECOND_MS = 1_000;

const origin: Schema<StringMatch> = v.pipe(
  stringMatch,
  v.check(
    (match) => match.type === "present" || match.value !== "",
    wrong("an empty origin matches nothing"),
  ),
);

export const corsPolicy = v.pipe(
  fields({
    allowOrigins: list(origin),
    /** Deprecated: origins as they are, or `*`. */
    allowOrigin: list(v.pipe(v.string(), v.nonEmpty(wrong("an empty origin matches nothing")))),
    allowMethods: list(oneOf(METHODS, "a method")),
    allowHeaders: list(headerName),
    exposeHeaders: list(headerName),
    maxAge: optional(v.pipe(
      duration,
      v.check((ms) => ms % SECOND_MS === 0, wrong("maxAge is in whole seconds")),
    )),
    allowCredentials: v.nullish(v.boolean(), false),
    unmatchedPreflights: v.nullish(oneOf(UNMATCHED_PREFLIGHTS, "what to do with a preflight"), "UNSPECIFIED"),
  }),
  /** The deprecated origins come last; the exact origin `*` is every origin, as in Envoy. */
  v.transform(({ allowOrigin, unmatchedPreflights, ...policy }) => ({
    ...policy,
    allowOrigins: [
      ...policy.allowOrigins,
      ...allowOrigin.map((value): StringMatch => ({ type: "exact", value })),
    ],
    unmatchedPreflights: unmatchedPreflights === "IGNORE" ? "IGNORE" as const : "FORWARD" as const,
  })),
);

export type CorsPolicy = Immutable<v.InferOutput<typeof corsPolicy>>;
