/** IST0101 for hosts: a route to a host that no Service and no ServiceEntry defines. */
import { CODES } from "../codes.ts";
import { type Analyzer, warning } from "./analyzer.ts";
import { destinations } from "./destinations.ts";

export const destinationHost: Analyzer = function* (resources, hosts) {
  for (const { resource, path, written, host } of destinations(resources)) {
    if (hosts.portsOf(host) !== undefined) continue;
    yield warning(
      CODES.referenceNotFound,
      resource,
      [...path, "host"],
      `no Service or ServiceEntry defines the host ${host}; requests routed there are answered 503`,
      hosts.suggestion(written, resource.namespace),
    );
  }
};
