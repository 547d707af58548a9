/** BOW0030: rules that delegation drops in silence: the delegate is not exported, or a match is not within the other. */
import { CODES } from "../codes.ts";
import { Delegates, type DroppedRule } from "../delegation.ts";
import type { Finding } from "../finding.ts";
import { type Analyzer, warning } from "./analyzer.ts";

export const delegateDrops: Analyzer = function* ({ virtualServices }) {
  const known = new Delegates(virtualServices);
  for (const virtualService of virtualServices) {
    for (const dropped of known.rulesOf(virtualService).dropped) {
      if (dropped.reason === "not exported") {
        const message = `VirtualService ${dropped.other} is not exported to this namespace, so the rule ` +
          "routes nothing";
        yield warning(
          CODES.delegateDropped,
          dropped.resource,
          ["spec", "http", dropped.index, "delegate"],
          message,
          "add the namespace to its exportTo",
        );
      } else if (dropped.reason === "conflict") yield conflicting(dropped);
    }
  }
};

const HINTS = {
  outside: "match less than the other rule does: a longer prefix, or an exact value inside of it",
  incomparable: "leave the condition out of one of the two: only exact values and prefixes are compared",
  unlike: "say the same in both",
} as const;

function conflicting({ resource, index, other, conflict }: DroppedRule & { reason: "conflict" }): Finding {
  const { block, path, kind } = conflict;
  const message =
    `the match is not within that of the rule in VirtualService ${other} that delegates here, ` +
    `by its ${path.join(".")}, so the rule has no effect there`;
  const at = ["spec", "http", index, "match", block, ...path];
  return warning(CODES.delegateDropped, resource, at, message, HINTS[kind]);
}
