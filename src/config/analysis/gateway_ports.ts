/** IST0101 for ports of gateways: a rule leads to a service whose workloads are gateways, and no Gateway serves its port. */
import { CODES } from "../codes.ts";
import { type Analyzer, warning } from "./analyzer.ts";
import { destinations } from "./destinations.ts";
import { gatewayServices, portMeant } from "./gateway_services.ts";

export const gatewayPorts: Analyzer = function* (resources, hosts) {
  const services = gatewayServices(resources);
  if (services.size === 0) return;
  for (const { resource, path, host, port } of destinations(resources)) {
    const found = portMeant(services.get(host) ?? [], hosts.portsOf(host), port);
    if (found === undefined || found.servers.length > 0) continue;
    const message = `${host} is gateways, and no Gateway that selects them has a server at their port ` +
      `${found.targetPort}; requests routed there are answered 503`;
    const hint = "add a server for it, or lead to another port";
    yield warning(CODES.referenceNotFound, resource, path, message, hint);
  }
};
