/** IST0101 for hosts: a route to a host that no Service and no ServiceEntry defines, or a wildcard alone covers. */
import { CODES } from "../codes.ts";
import { type Analyzer, warning } from "./analyzer.ts";
import { destinations } from "./destinations.ts";

export const destinationHost: Analyzer = function* (resources, hosts) {
  for (const { resource, path, written, host } of destinations(resources)) {
    if (hosts.defines(host)) continue;
    const wildcard = hosts.wildcardFor(host);
    yield warning(
      CODES.referenceNotFound,
      resource,
      [...path, "host"],
      `no Service or ServiceEntry defines the host ${host}; requests routed there are answered 503`,
      wildcard === undefined
        ? hosts.suggestion(written, resource.namespace)
        : `"${wildcard}" is a host of its own: write that, or a ServiceEntry for ${host}`,
    );
  }
};
