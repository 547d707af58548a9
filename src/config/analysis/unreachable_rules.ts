/** IST0130 and IST0131: rules, and alternatives of rules, for which earlier ones leave nothing. */
import { CODES } from "../codes.ts";
import { Delegates } from "../delegation.ts";
import type { Finding } from "../finding.ts";
import type { ConfigResource } from "../resource.ts";
import type { VirtualServiceSpec } from "../schema/virtual_service.ts";
import { type Analyzer, notice, warning } from "./analyzer.ts";
import { EVERY_CONNECTION, httpCovers, l4Covers } from "./match_coverage.ts";
import { mergedRules } from "./merged_rules.ts";
import { remembered } from "./remembered.ts";
import { gatewaysOf, ruleSequence } from "./rule_sequence.ts";

type VirtualService = ConfigResource<VirtualServiceSpec>;
type Field = "http" | "tls" | "tcp";

/** A rule as it is tried. */
interface TriedRule<Match> {
  readonly resource: VirtualService;
  readonly index: number;
  /** What each of its match blocks, or the rule without any, comes to. */
  readonly blocks: readonly (readonly Match[])[];
  /** The rule takes nothing itself. */
  readonly delegates: boolean;
}

/** Which rules take all that a block would; null: something is left. */
type Takers = readonly Rule[] | null;

interface Rule {
  readonly resource: VirtualService;
  readonly index: number;
}

export const unreachableRules: Analyzer = function* (resources) {
  const { virtualServices } = resources;
  const delegates = new Delegates(virtualServices);
  const http = new Verdicts("http");
  const delegatedTo = new Set(virtualServices.flatMap((one) => delegates.of(one)));
  const { places, merged, only } = mergedRules(resources, delegates);
  const byThemselves: VirtualService[] = [];
  for (const resource of virtualServices) {
    if (delegatedTo.has(resource) || only.has(resource)) continue;
    const isAlone = !merged.has(resource) && resource.spec.http.every(({ delegate }) => delegate === null);
    if (isAlone) byThemselves.push(resource);
    else http.add(taken(ruleSequence(resource, delegates), httpCovers, gatewaysOf(resource)));
  }
  for (const { rules, gateway } of places) http.add(taken(rules, httpCovers, [gateway]));
  yield* http.findings();
  yield* httpInEach(byThemselves);
  yield* bytesInEach(virtualServices);
};

const httpInEach = remembered(function* (resource: VirtualService): Generator<Finding> {
  const http = new Verdicts("http");
  http.add(taken(ruleSequence(resource, new Delegates([resource])), httpCovers, gatewaysOf(resource)));
  yield* http.findings();
});

const bytesInEach = remembered(function* (resource: VirtualService): Generator<Finding> {
  for (const field of ["tls", "tcp"] as const) {
    const bytes = new Verdicts(field);
    const rules = resource.spec[field].map(({ match }, index) => ({
      ...{ resource, index, delegates: false },
      blocks: match.length === 0 ? [[EVERY_CONNECTION]] : match.map((one) => [one]),
    }));
    bytes.add(taken(rules, l4Covers, resource.spec.gateways));
    yield* bytes.findings();
  }
});

/** What earlier rules leave of each, in the order in which they are tried. */
function* taken<Match>(
  rules: readonly TriedRule<Match>[],
  covers: (wide: Match, narrow: Match, gateways: readonly string[]) => boolean,
  gateways: readonly string[],
): Generator<[Rule, readonly Takers[]]> {
  const earlier: { readonly rule: Rule; readonly match: Match }[] = [];
  for (const rule of rules) {
    const takers = rule.blocks.map((block): Takers => {
      const by = block.map((match) => earlier.find((other) => covers(other.match, match, gateways))?.rule);
      if (!rule.delegates) earlier.push(...block.map((match) => ({ rule, match })));
      return by.includes(undefined) ? null : by as Rule[];
    });
    yield [rule, takers];
  }
}

/** Of rules that may stand in several places, as those of a delegate. */
class Verdicts {
  readonly #field: Field;
  readonly #places = new Map<VirtualService, Map<number, (readonly Takers[])[]>>();

  constructor(field: Field) {
    this.#field = field;
  }

  add(rules: Iterable<[Rule, readonly Takers[]]>): void {
    for (const [{ resource, index }, takers] of rules) {
      const ofResource = this.#places.get(resource) ?? new Map<number, (readonly Takers[])[]>();
      this.#places.set(resource, ofResource);
      ofResource.set(index, [...ofResource.get(index) ?? [], takers]);
    }
  }

  *findings(): Generator<Finding> {
    for (const [resource, rules] of this.#places) {
      for (const [index, places] of rules) yield* this.#ofRule(resource, index, places);
    }
  }

  /** Nothing is said of what is of use in one of the places. */
  *#ofRule(
    resource: VirtualService,
    index: number,
    places: readonly (readonly Takers[])[],
  ): Generator<Finding> {
    const blocks = places[0]?.map((_, block) => {
      const takers = places.map((place) => place[block] ?? null);
      return takers.includes(null) ? null : takers.flatMap((one) => one ?? []);
    }) ?? [];
    const path = ["spec", this.#field, index];
    if (!blocks.includes(null)) {
      const takers = blocks.flatMap((by) => by ?? []);
      const message = `the rule is never reached: ${this.#takenBy(resource, takers)}`;
      const hint = takers.every((taker) => taker.resource === resource)
        ? "move it up, or remove it"
        : "write both into one VirtualService in the order that is meant, or remove it";
      yield warning(CODES.unreachableRule, resource, path, message, hint);
      return;
    }
    for (const [block, by] of blocks.entries()) {
      if (by === null) continue;
      const message = `the match is without effect: ${this.#takenBy(resource, by)}`;
      yield notice(CODES.ineffectiveMatch, resource, [...path, "match", block], message, null);
    }
  }

  #takenBy(of: VirtualService, rules: readonly Rule[]): string {
    const names = new Set(rules.map(({ resource, index }) => {
      const own = `${this.#field}[${index}]`;
      return resource === of ? own : `${own} of VirtualService ${resource.namespace}/${resource.name}`;
    }));
    return `${[...names].join(" and ")} ${names.size === 1 ? "takes" : "take"} all that it would match`;
  }
}
