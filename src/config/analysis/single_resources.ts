/** IST0110, IST0111 and BOW0020: several resources where only one can hold. */
import { hasLabels } from "../../model/labels.ts";
import { CODES } from "../codes.ts";
import type { ConfigResource } from "../resource.ts";
import { type Analyzer, located, warning } from "./analyzer.ts";
import { formatLabels, knownWorkloads } from "./known_workloads.ts";

export const singleResources: Analyzer = function* (resources) {
  yield* second(resources.meshConfigs, () => "mesh", CODES.onlyOneHolds, "holds for the mesh");
  const general = resources.sidecars.filter(({ spec }) => spec.workloadSelector === null);
  const namespaceOf = ({ namespace }: ConfigResource<unknown>) => namespace;
  yield* second(general, namespaceOf, CODES.severalDefaultSidecars, "is for all workloads of the namespace");
  const workloads = knownWorkloads(resources);
  for (const [index, resource] of resources.sidecars.entries()) {
    const labels = resource.spec.workloadSelector?.labels;
    if (labels === undefined) continue;
    const selected = workloads.selected(resource.namespace, labels);
    const other = resources.sidecars.slice(0, index).find(({ namespace, spec }) =>
      namespace === resource.namespace && spec.workloadSelector !== null &&
      selected.some((one) => hasLabels(one, spec.workloadSelector?.labels ?? {}))
    );
    if (other === undefined) continue;
    const message = `${located(other)} selects workloads with ${
      formatLabels(labels)
    } too, and only one can hold`;
    yield warning(CODES.conflictingSidecars, resource, ["spec", "workloadSelector"], message, null);
  }
};

function* second(
  all: readonly ConfigResource<unknown>[],
  scopeOf: (resource: ConfigResource<unknown>) => string,
  code: string,
  what: string,
) {
  const first = new Map<string, ConfigResource<unknown>>();
  for (const resource of all) {
    const other = first.get(scopeOf(resource));
    if (other === undefined) {
      first.set(scopeOf(resource), resource);
    } else {
      const message = `${located(other)} already ${what}, and only one can`;
      yield warning(code, resource, ["spec"], message, "merge them into one");
    }
  }
}
