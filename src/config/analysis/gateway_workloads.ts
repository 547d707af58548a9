/** IST0101 for the selector of a Gateway: nobody has the labels, so nobody serves it. */
import { CODES } from "../codes.ts";
import { type Analyzer, warning } from "./analyzer.ts";
import { formatLabels, knownWorkloads } from "./known_workloads.ts";

export const gatewayWorkloads: Analyzer = function* (resources) {
  const workloads = knownWorkloads(resources);
  for (const resource of resources.gateways) {
    const { selector } = resource.spec;
    if (workloads.couldSelectAnywhere(selector)) continue;
    yield warning(
      CODES.referenceNotFound,
      resource,
      ["spec", "selector"],
      `no WorkloadEntry and no WorkloadGroup has the labels ${
        formatLabels(selector)
      }, so nobody serves this Gateway`,
      "write a WorkloadEntry with these labels for each gateway",
    );
  }
};
