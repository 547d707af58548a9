/** IST0166: a resource for workloads of which there are none. */
import { CODES } from "../codes.ts";
import type { ConfigResource, ResourceSet } from "../resource.ts";
import { MESH_CONFIG_DEFAULT } from "../schema/mesh_config.ts";
import { type Analyzer, type FieldPath, warning } from "./analyzer.ts";
import { formatLabels, knownWorkloads, type Labels } from "./known_workloads.ts";

interface Selector {
  readonly resource: ConfigResource<unknown>;
  readonly path: FieldPath;
  readonly labels: Labels;
}

export const ineffectiveSelectors: Analyzer = function* (resources) {
  const workloads = knownWorkloads(resources);
  for (const { resource, path, labels } of selectors(resources)) {
    if (workloads.couldSelect(resource.namespace, labels)) continue;
    yield warning(
      CODES.ineffectiveSelector,
      resource,
      path,
      `no WorkloadEntry and no WorkloadGroup of ${resource.namespace} has the labels ${formatLabels(labels)}`,
      null,
    );
  }
};

/** Those that look at their own namespace; a Gateway's looks at all of them. */
function* selectors(
  {
    authorizationPolicies,
    destinationRules,
    meshConfigs,
    peerAuthentications,
    proxyConfigs,
    requestAuthentications,
    serviceEntries,
    sidecars,
  }: ResourceSet,
): Generator<Selector> {
  for (const resource of [...serviceEntries, ...sidecars]) {
    const { workloadSelector } = resource.spec;
    const path = ["spec", "workloadSelector"];
    if (workloadSelector !== null) yield { resource, path, labels: workloadSelector.labels };
  }
  for (const resource of destinationRules) {
    const { workloadSelector } = resource.spec;
    const path = ["spec", "workloadSelector"];
    if (workloadSelector !== null) yield { resource, path, labels: workloadSelector.matchLabels };
  }
  // One of the root namespace speaks of its workloads everywhere, and of many a namespace none is there yet.
  const root = meshConfigs[0]?.spec.rootNamespace ?? MESH_CONFIG_DEFAULT.rootNamespace;
  const policies = [...authorizationPolicies, ...peerAuthentications, ...requestAuthentications]
    .filter(({ namespace }) => namespace !== root);
  for (const resource of [...proxyConfigs, ...policies]) {
    const { selector } = resource.spec;
    if (selector !== null) yield { resource, path: ["spec", "selector"], labels: selector.matchLabels };
  }
}
