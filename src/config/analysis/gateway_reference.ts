/** IST0101 for gateways: a VirtualService for a gateway that nothing defines. */
import { nearest } from "../../lib/edit_distance.ts";
import { CODES } from "../codes.ts";
import { type Analyzer, warning } from "./analyzer.ts";
import { gatewayReferences, gatewaysByKey } from "./gateways.ts";

export const gatewayReference: Analyzer = function* (resources) {
  const known = gatewaysByKey(resources);
  for (const { resource, path, key } of gatewayReferences(resources)) {
    if (known.has(key)) continue;
    const meant = nearest(key, [...known.keys()]);
    yield warning(
      CODES.referenceNotFound,
      resource,
      path,
      `no Gateway is ${key}, so nothing is routed for it`,
      meant === undefined ? 'write "mesh" for sidecars' : `did you mean "${meant}"?`,
    );
  }
};
