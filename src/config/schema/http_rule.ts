/** HTTPRoute, a rule of a VirtualService: which requests it is for, and what becomes of them. */
import * as v from "valibot";
import { across, type Fault } from "./across.ts";
import { corsPolicy } from "./cors_policy.ts";
import { ALL_ZERO, allWeightsZero, weighted } from "./destination.ts";
import { fields, list, optional, type Schema } from "./fields.ts";
import { headerOperations } from "./header_operations.ts";
import { delegate, directResponse, httpRedirect, httpRewrite } from "./http_actions.ts";
import { httpFault } from "./http_fault.ts";
import { httpMatch } from "./http_match.ts";
import { mirrorFields, singleMirror } from "./http_mirror.ts";
import { httpRetry } from "./http_retry.ts";
import type { Immutable } from "./immutable.ts";
import { durationOrZero } from "./numbers.ts";
import { wrong } from "./problem.ts";
import { text } from "./scalars.ts";

/** The actions, of which a rule has exactly one, and what may not stand beside each. */
const EXCLUDED = {
  delegate: ["redirect", "directResponse", "route"],
  redirect: ["directResponse", "route", "fault", "rewrite"],
  directResponse: ["route", "fault", "rewrite"],
} as const;

const written = fields({
  name: text,
  /** Alternatives; empty matches everything. */
  match: list(httpMatch),
  route: list(fields({ ...weighted, headers: optional(headerOperations) })),
  redirect: optional(httpRedirect),
  directResponse: optional(directResponse),
  delegate: optional(delegate),
  rewrite: optional(httpRewrite),
  /** For the whole request with all retries. */
  timeout: optional(durationOrZero),
  retries: optional(httpRetry as Schema<v.InferOutput<typeof httpRetry>>),
  fault: optional(httpFault),
  ...mirrorFields,
  corsPolicy: optional(corsPolicy as Schema<v.InferOutput<typeof corsPolicy>>),
  headers: optional(headerOperations),
}, [
  // Istio's older spelling of websocket upgrades and header operations.
  "websocketUpgrade",
  "appendHeaders",
  "appendRequestHeaders",
  "appendResponseHeaders",
  "removeRequestHeaders",
  "removeResponseHeaders",
]);

type Written = v.InferOutput<typeof written>;

/**
 * In what comes out, exactly one of `route` (not empty), `redirect`, `directResponse` and `delegate` is there; `timeout`
 * null is none, and so is 0 in the file; `mirror` has its own share.
 */
export const httpRule = v.pipe(
  written,
  across(conflicts),
  v.transform(({ mirrorPercentage, mirrorPercent, ...rule }: Written) => ({
    ...rule,
    timeout: rule.timeout === 0 ? null : rule.timeout,
    mirror: singleMirror({ mirror: rule.mirror, mirrorPercentage, mirrorPercent }),
  })),
);

export type HttpRule = Immutable<v.InferOutput<typeof httpRule>>;

function* conflicts(rule: Written): Generator<Fault> {
  const present = (field: keyof Written) => field === "route" ? rule.route.length > 0 : rule[field] !== null;
  const action = (["delegate", "redirect", "directResponse"] as const).find(present);
  for (const other of action === undefined ? [] : EXCLUDED[action]) {
    if (present(other)) {
      yield { message: wrong(`has both ${action} and ${other}, which exclude each other`), at: [] };
    }
  }
  if (action === undefined && rule.route.length === 0) {
    yield {
      message: wrong(
        "the rule has no route, so it says nothing about where requests go",
        "add route: with a destination",
      ),
      at: [],
    };
  }
  if (allWeightsZero(rule.route)) yield { message: ALL_ZERO, at: [] };
  if (rule.mirror !== null && rule.mirrors.length > 0) {
    yield { message: wrong("has both mirror and mirrors", "put the one among the others"), at: [] };
  }
  const prefixes = rule.match.filter((match) => match.uri?.type === "prefix").length;
  if (rule.redirect?.prefixRewrite != null && (prefixes === 0 || prefixes < rule.match.length)) {
    yield { message: wrong("prefixRewrite needs a match with a prefix of the uri"), at: ["redirect"] };
  }
  yield* authorities(rule);
}

/** The authority is set in one place, so that it does not depend on an order which of two holds. */
function* authorities({ rewrite, headers }: Written): Generator<Fault> {
  const { set = {}, add = {} } = headers?.request ?? {};
  if (rewrite === null || rewrite.authority === null || (set["host"] ?? add["host"]) === undefined) return;
  yield { message: wrong("sets the authority both in rewrite and in headers.request"), at: [] };
}
