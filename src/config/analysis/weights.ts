/** BOW0011: weights that do not say what they seem to. */
import { CODES } from "../codes.ts";
import type { Finding } from "../finding.ts";
import type { ConfigResource } from "../resource.ts";
import type { VirtualServiceSpec } from "../schema/virtual_service.ts";
import { type Analyzer, isWritten, notice } from "./analyzer.ts";
import { remembered } from "./remembered.ts";

/** What people write for a destination that stands alone, and what it means. */
const WHOLE = 100;

export const weights: Analyzer = ({ virtualServices }) => inEach(virtualServices);

const inEach = remembered(function* (resource: ConfigResource<VirtualServiceSpec>): Generator<Finding> {
  const { http, tls, tcp } = resource.spec;
  for (const [field, rules] of Object.entries({ http, tls, tcp })) {
    for (const [rule, { route }] of rules.entries()) {
      for (const [index, { weight }] of route.entries()) {
        const path = ["spec", field, rule, "route", index];
        const at = [...path, "weight"];
        if (route.length === 1) {
          if (weight === WHOLE || !isWritten(resource, at)) continue;
          const message = "a destination that stands alone gets everything, whatever its weight";
          yield notice(CODES.weightWithoutEffect, resource, at, message, "remove the weight");
        } else if (weight === 0) {
          const written = isWritten(resource, at);
          const message = `a weight of 0${written ? "" : ", as without one,"} takes the destination out`;
          yield notice(CODES.weightWithoutEffect, resource, written ? at : path, message, null);
        }
      }
    }
  }
});
