/** What is found out about a request, in the parts that an explanation is made of. */
import type { RouteOrigin, SkippedRule } from "../../model/route.ts";
import type { CompiledRoute } from "../route/compiled_route.ts";
import { type ExplainedAction, NO_ACTION } from "./action.ts";
import type { Explained, ExplainedRule, Explanation } from "./explanation.ts";
import type { MeshView } from "./mesh_view.ts";

/** What differs from one request to the next. */
export type Outcome =
  & Pick<Explanation, "action" | "service" | "route" | "trace">
  & Pick<Explained, "origins" | "notes">
  & Omit<ExplainedAction, "action" | "notes">
  & {
    /** As what policies see it; absent: it does not come to that. */
    readonly guarded?: "http" | "tcp";
  };

/** What becomes of calls to hosts that nobody declared. */
export function outside({ settings }: MeshView): "passthrough" | "blocked" {
  return settings.outboundPolicy === "REGISTRY_ONLY" ? "blocked" : "passthrough";
}

export function unrouted(
  action: "passthrough" | "blocked" | "refused" | "not-found",
  why: string,
  note?: string,
): Outcome {
  return {
    ...NO_ACTION,
    action,
    service: null,
    route: null,
    trace: [aside(false, why)],
    origins: [null],
    notes: note === undefined ? [] : [{ destination: null, text: note }],
  };
}

export function routeOf({ route: { origin, name } }: CompiledRoute<unknown>): Explanation["route"] {
  if (origin === null) return null;
  const { virtualService, rule, file, line } = origin;
  return { virtualService, rule, name, file, line };
}

/** Of a rule for requests or for bytes. */
interface RuleVerdict {
  readonly route: { readonly origin: RouteOrigin | null };
  readonly matched: boolean;
  readonly why: string;
}

interface Looked {
  readonly rule: ExplainedRule;
  readonly origin: RouteOrigin | null;
}

export function inTrace(looked: readonly Looked[]): Pick<Outcome, "trace" | "origins"> {
  return { trace: looked.map(({ rule }) => rule), origins: looked.map(({ origin }) => origin) };
}

/** Every rule up to the one that takes the request, with those that are for other callers where they are written. */
export function looked(
  skipped: readonly SkippedRule[] = [],
  verdicts: readonly RuleVerdict[],
): Looked[] {
  const skippedBefore = (index: number) =>
    skipped.filter(({ before }) => before === index).map(({ origin, why }) => ({
      rule: { virtualService: origin.virtualService, rule: origin.rule, matched: false, why },
      origin,
    }));
  const rules = verdicts.flatMap((verdict, index) => [
    ...skippedBefore(index),
    { rule: traced(verdict), origin: verdict.route.origin },
  ]);
  return verdicts.at(-1)?.matched ? rules : [...rules, ...skippedBefore(verdicts.length)];
}

function traced({ route, matched, why }: RuleVerdict): ExplainedRule {
  if (route.origin === null) {
    return aside(matched, "no VirtualService has a rule for it: everything goes to the service itself");
  }
  const { virtualService, rule } = route.origin;
  return { virtualService, rule, matched, why };
}

/** What happens where no VirtualService has a say. */
export function aside(matched: boolean, why: string): ExplainedRule {
  return { virtualService: null, rule: null, matched, why };
}
