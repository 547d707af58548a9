/**
 * BOW0051 to BOW0053: settings of a DestinationRule at odds with the sidecars of the endpoints: what is said to endpoints
 * without one alone, what leaves the mesh's own mutual TLS away, and what asks it of who has none.
 */
import { CODES } from "../codes.ts";
import type { Finding } from "../finding.ts";
import type { ResourceSet } from "../resource.ts";
import type { TrafficPolicy } from "../schema/traffic_policy.ts";
import { type Analyzer, notice, warning } from "./analyzer.ts";
import { type HostEndpoints, hostEndpoints } from "./host_endpoints.ts";
import { policies, wholePolicies } from "./policies.ts";

export const endpointSidecars: Analyzer = function* (resources) {
  const hosts = hostEndpoints(resources);
  yield* unsaid(resources, hosts);
  yield* tlsModes(resources, hosts);
};

/** Connections to a sidecar of the mesh begin with its own handshake, and end behind it. */
function* unsaid(resources: ResourceSet, hosts: HostEndpoints): Generator<Finding> {
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
}

function* tlsModes(resources: ResourceSet, hosts: HostEndpoints): Generator<Finding> {
  const outside = new Set(
    resources.serviceEntries.filter(({ spec }) => spec.workloadSelector === null)
      .flatMap(({ spec }) => spec.hosts),
  );
  for (const { resource, host, labels, path, policy } of policies(resources)) {
    const mode = policy.tls?.mode;
    if (mode === undefined) continue;
    const endpoints = hosts.of(host, labels);
    const isMesh = endpoints.some(({ hasSidecar }) => hasSidecar);
    if (mode === "ISTIO_MUTUAL") {
      // A workload of the mesh may yet join; what a ServiceEntry lists does not.
      if (isMesh || !outside.has(host)) continue;
      yield warning(
        CODES.mutualWithoutSidecar,
        resource,
        [...path, "tls"],
        `no endpoint of ${host} has a sidecar, which ISTIO_MUTUAL needs: calls to them fail`,
        "use SIMPLE or MUTUAL, or give the endpoints a serviceAccount if they have a sidecar",
      );
    } else if (isMesh) {
      yield notice(
        CODES.pastSidecars,
        resource,
        [...path, "tls"],
        `endpoints of ${host} have a sidecar, and with ${mode} calls leave it out: they bring no identity, and no ` +
          "policy sees who calls",
        "use ISTIO_MUTUAL, or leave tls out",
      );
    }
  }
}
