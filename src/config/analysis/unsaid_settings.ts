/** BOW0051: what is said to endpoints without a sidecar alone, in a policy for a host whose endpoints have one. */
import { CODES } from "../codes.ts";
import type { TrafficPolicy } from "../schema/traffic_policy.ts";
import { type Analyzer, warning } from "./analyzer.ts";
import { hostEndpoints } from "./host_endpoints.ts";
import { wholePolicies } from "./policies.ts";

/** Connections to a sidecar of the mesh begin with its own handshake, and end behind it. */
export const unsaidSettings: Analyzer = function* (resources) {
  const hosts = hostEndpoints(resources);
  for (const { resource, host, labels, path, policy } of wholePolicies(resources)) {
    const rule: TrafficPolicy | null = resource.spec.trafficPolicy;
    const mode = (policy.tls ?? rule?.tls ?? null)?.mode ?? "ISTIO_MUTUAL";
    if (mode !== "ISTIO_MUTUAL") continue;
    const endpoints = hosts.of(host, labels);
    const behind = endpoints.filter(({ hasSidecar }) => hasSidecar).length;
    if (behind === 0) continue;
    const whom = behind === endpoints.length ? "the endpoints" : `${behind} of ${endpoints.length} endpoints`;
    for (const field of ["tunnel", "proxyProtocol"] as const) {
      if (policy[field] === null) continue;
      yield warning(
        CODES.unsaidToSidecars,
        resource,
        [...path, field],
        `${whom} of ${host} have a sidecar, and calls to them go over the mesh, without ${field}`,
        "name a host outside the mesh, or add tls: {mode: DISABLE}",
      );
    }
  }
};
