/** BOW0059 and BOW0060: conditions about the caller that are asked of gateways, or that no caller meets. */
import type { Labels } from "../../model/labels.ts";
import { CODES } from "../codes.ts";
import { MESH_GATEWAY } from "../schema/gateway_name.ts";
import { type Analyzer, warning } from "./analyzer.ts";
import { formatLabels, type KnownWorkloads, knownWorkloads } from "./known_workloads.ts";

export const matchSources: Analyzer = function* (resources) {
  const workloads = knownWorkloads(resources);
  for (const resource of resources.virtualServices) {
    const { http, tls, tcp, gateways } = resource.spec;
    for (const [field, rules] of Object.entries({ http, tls, tcp })) {
      for (const [rule, { match }] of rules.entries()) {
        for (const [index, one] of match.entries()) {
          const { sourceLabels, sourceNamespace } = one;
          const asked = Object.keys(sourceLabels).length > 0
            ? "sourceLabels"
            : sourceNamespace === null
            ? null
            : "sourceNamespace";
          if (asked === null) continue;
          const path = ["spec", field, rule, "match", index, asked];
          const named = one.gateways.length > 0 ? one.gateways : gateways;
          // A delegate's gateways are those of whoever delegates to it.
          if (named.length > 0 && !named.includes(MESH_GATEWAY)) {
            yield warning(
              CODES.sourceAtGateway,
              resource,
              path,
              "the rule is for gateways alone, where this is asked of the gateway itself, and not of who calls it",
              'add "mesh" to the gateways, or remove it',
            );
          } else if (!mayCall(workloads, sourceNamespace, sourceLabels)) {
            const where = sourceNamespace === null ? "" : ` of ${sourceNamespace}`;
            const labels = formatLabels(sourceLabels);
            const message =
              `no WorkloadEntry and no WorkloadGroup${where} has the labels ${labels}, so this never holds`;
            yield warning(CODES.sourceUnknown, resource, path, message, null);
          }
        }
      }
    }
  }
};

function mayCall(workloads: KnownWorkloads, namespace: string | null, labels: Labels): boolean {
  return namespace === null
    ? workloads.couldSelectAnywhere(labels)
    : workloads.couldSelect(namespace, labels);
}
