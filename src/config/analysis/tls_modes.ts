/**
 * BOW0052, BOW0053 and BOW0073: TLS of a DestinationRule at odds with the sidecars of the endpoints: what leaves the mesh's
 * own mutual TLS away, above all where that is refused, and what asks it of who has none.
 */
import { CODES } from "../codes.ts";
import { type Analyzer, located, notice, warning } from "./analyzer.ts";
import { hostEndpoints } from "./host_endpoints.ts";
import { strictRule } from "./peer_modes.ts";
import { policies } from "./policies.ts";

export const tlsModes: Analyzer = function* (resources) {
  const hosts = hostEndpoints(resources);
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
      continue;
    }
    const refusing = endpoints.filter(({ hasSidecar }) => hasSidecar)
      .map((endpoint) => strictRule(resources, endpoint)).find((rule) => rule !== undefined);
    if (refusing !== undefined) {
      yield warning(
        CODES.plainToStrict,
        resource,
        [...path, "tls"],
        `${
          located(refusing)
        } has endpoints of ${host} refuse what is not mutual TLS of the mesh, which ${mode} is not`,
        "use ISTIO_MUTUAL, or leave tls out",
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
};
