/** The one table of kinds: what bowline reads, in which API versions, and what it refuses by name. */
import * as v from "valibot";
import type { ResourceSet } from "../resource.ts";
import { across } from "./across.ts";
import { authorizationPolicySpec, dryRunFaults } from "./authorization_policy.ts";
import { destinationRuleSpec } from "./destination_rule.ts";
import type { Schema } from "./fields.ts";
import { gatewaySpec } from "./gateway.ts";
import { meshConfigSpec } from "./mesh_config.ts";
import { type Envelope, envelope } from "./metadata.ts";
import { peerAuthenticationSpec } from "./peer_authentication.ts";
import { proxyConfigSpec } from "./proxy_config.ts";
import { requestAuthenticationSpec } from "./request_authentication.ts";
import { serviceEntrySpec } from "./service_entry.ts";
import { serviceSpec } from "./service.ts";
import { sidecarSpec } from "./sidecar.ts";
import { UNIMPLEMENTED_KINDS } from "./unimplemented.ts";
import { virtualServiceSpec } from "./virtual_service.ts";
import { workloadEntrySpec } from "./workload_entry.ts";
import { workloadGroupSpec } from "./workload_group.ts";

export interface Kind {
  /** Any of them means the same. */
  readonly apiVersions: readonly string[];
  /** Of the whole document. */
  readonly schema: Schema<Envelope>;
  /** Where its resources stand in a ResourceSet. */
  readonly set: keyof ResourceSet;
}

const NETWORKING = ["networking.istio.io/v1", "networking.istio.io/v1beta1", "networking.istio.io/v1alpha3"];
const SECURITY = ["security.istio.io/v1", "security.istio.io/v1beta1"];

export const KINDS: ReadonlyMap<string, Kind> = new Map([
  ["AuthorizationPolicy", policyKind()],
  ["DestinationRule", kind(NETWORKING, destinationRuleSpec, "destinationRules")],
  ["Gateway", kind(NETWORKING, gatewaySpec, "gateways")],
  ["MeshConfig", kind(["mesh.istio.io/v1alpha1"], meshConfigSpec, "meshConfigs")],
  ["PeerAuthentication", kind(SECURITY, peerAuthenticationSpec, "peerAuthentications")],
  ["ProxyConfig", kind(NETWORKING.slice(0, 2), proxyConfigSpec, "proxyConfigs")],
  ["RequestAuthentication", kind(SECURITY, requestAuthenticationSpec, "requestAuthentications")],
  ["Service", kind(["v1"], serviceSpec, "services")],
  ["ServiceEntry", kind(NETWORKING, serviceEntrySpec, "serviceEntries")],
  ["Sidecar", kind(NETWORKING, sidecarSpec, "sidecars")],
  ["VirtualService", kind(NETWORKING, virtualServiceSpec, "virtualServices")],
  ["WorkloadEntry", kind(NETWORKING, workloadEntrySpec, "workloadEntries")],
  ["WorkloadGroup", kind(NETWORKING, workloadGroupSpec, "workloadGroups")],
]);

/** The kinds that are read, in alphabetical order. */
export const IMPLEMENTED_KINDS: readonly string[] = [...KINDS.keys()].filter((name) =>
  !UNIMPLEMENTED_KINDS.has(name)
);

/** Kubernetes' wrapper around many resources, as `kubectl get -o yaml` prints it. */
export const LIST_KIND = "List";
export const LIST_API_VERSION = "v1";

/** Its metadata has a say, too. */
function policyKind(): Kind {
  const document = envelope(authorizationPolicySpec);
  const schema = v.pipe(document, across((policy: v.InferOutput<typeof document>) => dryRunFaults(policy)));
  return {
    apiVersions: SECURITY,
    schema: schema as unknown as Schema<Envelope>,
    set: "authorizationPolicies",
  };
}

function kind<Spec>(apiVersions: readonly string[], spec: Schema<Spec>, set: keyof ResourceSet): Kind {
  return { apiVersions, schema: envelope(spec) as unknown as Schema<Envelope>, set };
}
