/** IST0130 and IST0131: rules, and alternatives of rules, for which earlier ones leave nothing. */
import { CODES } from "../codes.ts";
import type { Finding } from "../finding.ts";
import type { ConfigResource } from "../resource.ts";
import type { VirtualServiceSpec } from "../schema/virtual_service.ts";
import { type Analyzer, notice, warning } from "./analyzer.ts";
import { EVERY_CONNECTION, EVERY_REQUEST, httpCovers, l4Covers } from "./match_coverage.ts";

/** What HTTP, TLS and TCP have in common here. */
interface Rules<Match> {
  readonly field: "http" | "tls" | "tcp";
  readonly rules: readonly { readonly match: readonly Match[] }[];
  /** What a rule without `match` matches. */
  readonly every: Match;
  readonly covers: (wide: Match, narrow: Match, gateways: readonly string[]) => boolean;
}

export const unreachableRules: Analyzer = function* ({ virtualServices }) {
  for (const resource of virtualServices) {
    const { http, tls, tcp } = resource.spec;
    yield* check(resource, { field: "http", rules: http, every: EVERY_REQUEST, covers: httpCovers });
    yield* check(resource, { field: "tls", rules: tls, every: EVERY_CONNECTION, covers: l4Covers });
    yield* check(resource, { field: "tcp", rules: tcp, every: EVERY_CONNECTION, covers: l4Covers });
  }
};

function* check<Match>(
  resource: ConfigResource<VirtualServiceSpec>,
  { field, rules, every, covers }: Rules<Match>,
): Generator<Finding> {
  const { gateways } = resource.spec;
  const earlier: { readonly rule: number; readonly match: Match }[] = [];
  for (const [rule, { match }] of rules.entries()) {
    const taken = (match.length === 0 ? [every] : match).map((one) => {
      const by = earlier.find((other) => covers(other.match, one, gateways))?.rule;
      earlier.push({ rule, match: one });
      return by;
    });
    const [first] = taken;
    if (taken.every((by) => by !== undefined) && first !== undefined) {
      const message = `the rule is never reached: ${takenBy(field, [...new Set(taken)] as number[])}`;
      yield warning(
        CODES.unreachableRule,
        resource,
        ["spec", field, rule],
        message,
        "move it up, or remove it",
      );
      continue;
    }
    for (const [index, by] of taken.entries()) {
      if (by === undefined) continue;
      const message = `the match is without effect: ${takenBy(field, [by])}`;
      yield notice(CODES.ineffectiveMatch, resource, ["spec", field, rule, "match", index], message, null);
    }
  }
}

function takenBy(field: string, rules: readonly number[]): string {
  const names = rules.map((rule) => `${field}[${rule}]`).join(" and ");
  return `${names} ${rules.length === 1 ? "takes" : "take"} all that it would match`;
}
