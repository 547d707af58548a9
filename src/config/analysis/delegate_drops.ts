/** BOW0030: rules that delegation drops in silence, since the delegate is not exported or no request can meet both matches. */
import { CODES } from "../codes.ts";
import { Delegates } from "../delegation.ts";
import { type Analyzer, warning } from "./analyzer.ts";

export const delegateDrops: Analyzer = function* ({ virtualServices }) {
  const known = new Delegates(virtualServices);
  for (const virtualService of virtualServices) {
    for (const { resource, index, reason, other } of known.rulesOf(virtualService).dropped) {
      if (reason === "not exported") {
        const message =
          `VirtualService ${other} is not exported to this namespace, so the rule routes nothing`;
        yield warning(
          CODES.delegateDropped,
          resource,
          ["spec", "http", index, "delegate"],
          message,
          "add the namespace to its exportTo",
        );
      } else if (reason === "conflict") {
        const message =
          `no request can meet both this match and that of the rule in VirtualService ${other} that ` +
          "delegates here, so the rule has no effect there";
        const hint = "narrow what the other rule matches: a longer prefix, or an exact value inside of it";
        yield warning(CODES.delegateDropped, resource, ["spec", "http", index, "match"], message, hint);
      }
    }
  }
};
