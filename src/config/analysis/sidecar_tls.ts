/** BOW0069: TLS of a Sidecar's ingress, which counts only where the port's mutual TLS is off. */
import { hasLabels, type Labels } from "../../model/labels.ts";
import { CODES } from "../codes.ts";
import type { ResourceSet } from "../resource.ts";
import { MESH_CONFIG_DEFAULT } from "../schema/mesh_config.ts";
import { wantedBy } from "../selector.ts";
import { type Analyzer, warning } from "./analyzer.ts";
import { knownWorkloads } from "./known_workloads.ts";

export const sidecarTls: Analyzer = function* (resources) {
  const workloads = knownWorkloads(resources);
  for (const resource of resources.sidecars) {
    const { namespace, spec } = resource;
    const labels = spec.workloadSelector?.labels ?? {};
    const meets = (asked: Labels) =>
      hasLabels(labels, asked) || workloads.withLabels(namespace, { ...labels, ...asked }).length > 0;
    for (const [index, { port: { number }, tls }] of spec.ingress.entries()) {
      if (tls === null || mayBeOff(resources, namespace, meets, number)) continue;
      yield warning(
        CODES.ingressTlsIgnored,
        resource,
        ["spec", "ingress", index, "tls"],
        `no PeerAuthentication has the mutual TLS of the port ${number} off, and where it is not this says nothing`,
        `write a PeerAuthentication with portLevelMtls: {${number}: {mode: DISABLE}}`,
      );
    }
  }
};

/** Whether a PeerAuthentication that may speak of the same workloads says DISABLE, for the port or for all. */
function mayBeOff(
  { meshConfigs, peerAuthentications }: ResourceSet,
  namespace: string,
  meets: (labels: Labels) => boolean,
  port: number,
): boolean {
  const root = meshConfigs[0]?.spec.rootNamespace ?? MESH_CONFIG_DEFAULT.rootNamespace;
  return peerAuthentications.some((one) =>
    (one.namespace === namespace || one.namespace === root) && meets(wantedBy(one)) &&
    (one.spec.portLevelMtls[port] ?? one.spec.mtls)?.mode === "DISABLE"
  );
}
