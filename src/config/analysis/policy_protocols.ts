/** BOW0031: rules about HTTP in a policy for workloads whose ports carry bytes, where they mean something else. */
import { hasLabels } from "../../model/labels.ts";
import { CODES } from "../codes.ts";
import type { ConfigResource } from "../resource.ts";
import {
  type AuthorizationPolicySpec,
  type AuthorizationRule,
  HTTP_OPERATION_FIELDS,
  HTTP_SOURCE_FIELDS,
  isHttpKey,
} from "../schema/authorization_policy.ts";
import type { ServiceSpec } from "../schema/service.ts";
import { wantedBy } from "../selector.ts";
import { type Analyzer, located, warning } from "./analyzer.ts";
import { type KnownWorkloads, knownWorkloads } from "./known_workloads.ts";
import { carriesBytes } from "./port_speech.ts";

export const policyProtocols: Analyzer = function* (resources) {
  const workloads = knownWorkloads(resources);
  for (const policy of resources.authorizationPolicies) {
    for (const [index, rule] of policy.spec.rules.entries()) {
      if (!asksForHttp(rule)) continue;
      const ports = rule.to.flatMap(({ operation }) => operation.ports);
      const service = resources.services.find((service) => hasPortOfBytes(service, ports, policy, workloads));
      if (service === undefined) continue;
      const effect = policy.spec.action === "ALLOW"
        ? "a rule that asks for what HTTP has allows none of them"
        : "of a rule only what TCP has counts, so that it matches more";
      yield warning(
        CODES.policyNeedsHttp,
        policy,
        ["spec", "rules", index],
        `it also selects workloads of ${located(service)} with a port of TCP connections: ${effect}`,
        ports.length > 0
          ? "give that port a rule of its own"
          : "add ports to the rule, or a policy for those workloads alone",
      );
      break;
    }
  }
};

/** `ports`: those that the rule names; it speaks of no others then. */
function hasPortOfBytes(
  { namespace, spec }: ConfigResource<ServiceSpec>,
  ports: readonly string[],
  policy: ConfigResource<AuthorizationPolicySpec>,
  workloads: KnownWorkloads,
): boolean {
  if (namespace !== policy.namespace) return false;
  const isMeant = (port: ServiceSpec["ports"][number]) =>
    carriesBytes(port) && (ports.length === 0 || ports.includes(String(port.targetPort)));
  if (!spec.ports.some(isMeant)) return false;
  const wanted = wantedBy(policy);
  return workloads.selected(namespace, spec.selector).some((labels) => hasLabels(labels, wanted));
}

function asksForHttp({ from, to, when }: AuthorizationRule): boolean {
  return from.some(({ source }) => HTTP_SOURCE_FIELDS.some((field) => source[field].length > 0)) ||
    to.some(({ operation }) => HTTP_OPERATION_FIELDS.some((field) => operation[field].length > 0)) ||
    when.some(({ key }) => isHttpKey(key));
}
