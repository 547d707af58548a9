/** Whether workloads refuse what is not mutual TLS of the mesh, as PeerAuthentications say. */
import { hasLabels } from "../../model/labels.ts";
import type { ConfigResource, ResourceSet } from "../resource.ts";
import { MESH_CONFIG_DEFAULT } from "../schema/mesh_config.ts";
import type { PeerAuthenticationSpec } from "../schema/peer_authentication.ts";
import { wantedBy } from "../selector.ts";
import type { KnownWorkload } from "./known_workloads.ts";

type PeerAuthentication = ConfigResource<PeerAuthenticationSpec>;

/**
 * The one that makes a workload refuse plain text at all of its ports; undefined: none does. The workload's own goes before
 * the namespace's, and that before the mesh's; of several the first by name.
 */
export function strictRule(
  { meshConfigs, peerAuthentications }: ResourceSet,
  { namespace, labels }: Pick<KnownWorkload, "namespace" | "labels">,
): PeerAuthentication | undefined {
  const root = meshConfigs[0]?.spec.rootNamespace ?? MESH_CONFIG_DEFAULT.rootNamespace;
  const of = (scope: string, chosen: boolean) =>
    peerAuthentications.find((one) => {
      const wanted = wantedBy(one);
      const isChosen = Object.keys(wanted).length > 0;
      return one.namespace === scope && isChosen === chosen && (!chosen || hasLabels(labels, wanted));
    });
  const rules = [namespace === root ? undefined : of(namespace, true), of(namespace, false), of(root, false)];
  const saying = rules.find((one) => one !== undefined && (one.spec.mtls?.mode ?? "UNSET") !== "UNSET");
  const exceptions = Object.values(rules[0]?.spec.portLevelMtls ?? {}).some(({ mode }) => mode !== "STRICT");
  return saying?.spec.mtls?.mode === "STRICT" && !exceptions ? saying : undefined;
}
