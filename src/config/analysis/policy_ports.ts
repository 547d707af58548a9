/** BOW0055: settings for a port that the host has not. */
import { CODES } from "../codes.ts";
import { type Analyzer, warning } from "./analyzer.ts";
import { policies } from "./policies.ts";

export const policyPorts: Analyzer = function* (resources, registry) {
  for (const { resource, host, path, port } of policies(resources)) {
    // A wildcard stands for several hosts, and one that nothing defines is a finding of its own.
    const ports = host.startsWith("*") ? undefined : registry.portsOf(host);
    if (port === null || ports === undefined || ports.includes(port)) continue;
    yield warning(
      CODES.policyPortUnknown,
      resource,
      [...path, "port"],
      `${host} has no port ${port}, so this holds nowhere; it has ${ports.join(", ")}`,
      "write the port of the service, not of its workloads",
    );
  }
};
