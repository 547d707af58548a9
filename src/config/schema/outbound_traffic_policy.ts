/** OutboundTrafficPolicy: what becomes of calls to hosts that nothing defines. */
import * as v from "valibot";
import { fields } from "./fields.ts";
import { oneOf } from "./scalars.ts";

const OUTBOUND_MODES = ["ALLOW_ANY", "REGISTRY_ONLY"] as const;

/** `byDefault` is what a policy without a mode means: Sidecar and MeshConfig differ in Istio's API. */
export function outboundTrafficPolicy(byDefault: (typeof OUTBOUND_MODES)[number]) {
  return fields({ mode: v.nullish(oneOf(OUTBOUND_MODES, "a mode"), byDefault) }, ["egressProxy"]);
}
