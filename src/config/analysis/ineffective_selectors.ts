/** IST0127: a resource for workloads of which there are none. */
import type { Labels } from "../../model/labels.ts";
import { CODES } from "../codes.ts";
import type { ConfigResource, ResourceSet } from "../resource.ts";
import { MESH_CONFIG_DEFAULT } from "../schema/mesh_config.ts";
import { type Analyzer, type FieldPath, warning } from "./analyzer.ts";
import { formatLabels, knownWorkloads } from "./known_workloads.ts";

interface Selector {
  readonly resource: ConfigResource<unknown>;
  readonly path: FieldPath;
  readonly labels: Labels;
  /** Whether it looks at the workloads of all namespaces. */
  readonly isMeshWide?: boolean;
}

export const ineffectiveSelectors: Analyzer = function* (resources) {
  const workloads = knownWorkloads(resources);
  for (const resource of resources.serviceEntries) {
    const { endpoints, resolution, workloadSelector } = resource.spec;
    const path = ["spec", ...workloadSelector === null ? [] : ["workloadSelector"]];
    // As in Istio, no labels are those of nobody here.
    const isForNobody = workloadSelector === null
      ? resolution === "STATIC" && endpoints.length === 0
      : Object.keys(workloadSelector.labels).length === 0;
    if (!isForNobody) continue;
    const why = workloadSelector === null ? "has no endpoints" : "has no labels, and selects nobody";
    yield warning(CODES.noWorkloads, resource, path, `${why}, so that calls are answered 503`, null);
  }
  for (const { resource, path, labels, isMeshWide = false } of selectors(resources)) {
    const isThere = isMeshWide
      ? workloads.couldSelectAnywhere(labels)
      : workloads.couldSelect(resource.namespace, labels);
    if (isThere) continue;
    const where = isMeshWide ? "any namespace" : resource.namespace;
    yield warning(
      CODES.noWorkloads,
      resource,
      path,
      `no WorkloadEntry and no WorkloadGroup of ${where} has the labels ${formatLabels(labels)}`,
      null,
    );
  }
};

/** All but those of Gateways. */
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
  const root = meshConfigs[0]?.spec.rootNamespace ?? MESH_CONFIG_DEFAULT.rootNamespace;
  const policies = [...authorizationPolicies, ...peerAuthentications, ...requestAuthentications];
  for (const resource of [...proxyConfigs, ...policies]) {
    const { selector } = resource.spec;
    if (selector === null) continue;
    const isMeshWide = resource.namespace === root;
    yield { resource, path: ["spec", "selector"], labels: selector.matchLabels, isMeshWide };
  }
}
