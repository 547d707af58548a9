/** IST0112 and IST0101 for ports: a route that does not say which of several ports, or says one that is not there. */
import { CODES } from "../codes.ts";
import { type Analyzer, warning } from "./analyzer.ts";
import { destinations } from "./destinations.ts";

export const destinationPort: Analyzer = function* (resources, hosts) {
  for (const { resource, path, host, port } of destinations(resources)) {
    const ports = hosts.portsOf(host);
    if (ports === undefined) continue;
    if (port === null) {
      if (ports.length < 2) continue;
      const message = `${host} has ${ports.length} ports, and the destination does not say which`;
      yield warning(
        CODES.portRequired,
        resource,
        path,
        message,
        `add port.number, one of ${ports.join(", ")}`,
      );
    } else if (!ports.includes(port)) {
      const message = `${host} has no port ${port}; requests routed there are answered 503`;
      yield warning(
        CODES.referenceNotFound,
        resource,
        [...path, "port", "number"],
        message,
        `use ${ports.join(" or ")}`,
      );
    }
  }
};
