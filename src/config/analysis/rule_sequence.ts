/** The HTTP rules of a VirtualService in the order in which they are tried, those of its delegates in their place. */
import { mergeMatches, type WrittenMatch } from "../delegated_match.ts";
import type { Delegates } from "../delegation.ts";
import type { ConfigResource } from "../resource.ts";
import { resolveGateway } from "../schema/gateway_name.ts";
import type { HttpMatch } from "../schema/http_match.ts";
import type { VirtualServiceSpec } from "../schema/virtual_service.ts";
import { EVERY_REQUEST } from "./match_coverage.ts";

type VirtualService = ConfigResource<VirtualServiceSpec>;

export interface SequencedRule {
  /** Where it is written. */
  readonly resource: VirtualService;
  /** In `http[]` of that resource. */
  readonly index: number;
  /** What each of its match blocks comes to; without any, the one that it stands for. Gateways are `NAMESPACE/NAME`. */
  readonly blocks: readonly (readonly HttpMatch[])[];
  /** The rule takes nothing itself: the rules of its delegate follow, unless they are dropped. */
  readonly delegates: boolean;
}

export function ruleSequence(resource: VirtualService, delegates: Delegates): SequencedRule[] {
  const placed = Map.groupBy(delegates.rulesOf(resource).rules, ({ from }) => from);
  return resource.spec.http.flatMap(({ match, delegate }, index): SequencedRule[] => {
    const rule = (from: VirtualService, at: number, within: readonly HttpMatch[]): SequencedRule => ({
      resource: from,
      index: at,
      blocks: blocksOf({ blocks: within, namespace: resource.namespace }, from, at),
      delegates: false,
    });
    if (delegate === null) return [rule(resource, index, [])];
    const leaves = (placed.get(index) ?? []).map((leaf) => rule(leaf.resource, leaf.index, match));
    return [{ ...rule(resource, index, []), delegates: true }, ...leaves];
  });
}

/** Of the rule at an index, within the match of the one that delegates to it. None of them is dropped. */
function blocksOf(within: WrittenMatch, { spec, namespace }: VirtualService, index: number) {
  const written = spec.http[index]?.match ?? [];
  const merged = (blocks: readonly HttpMatch[]) => {
    const match = mergeMatches(within, { blocks, namespace });
    return "kind" in match || match.length === 0 ? [EVERY_REQUEST] : match;
  };
  return written.length === 0 ? [merged([])] : written.map((block) => merged([block]));
}

/** The gateways of a VirtualService, `NAMESPACE/NAME`. */
export function gatewaysOf({ spec, namespace }: VirtualService): readonly string[] {
  return spec.gateways.map((name) => resolveGateway(name, namespace));
}
