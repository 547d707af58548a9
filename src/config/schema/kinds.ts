/** The one table of kinds: what bowline reads, in which API versions, and what it refuses by name. */
import type { ResourceSet } from "../resource.ts";
import { destinationRuleSpec } from "./destination_rule.ts";
import type { Schema } from "./fields.ts";
import { type Envelope, envelope } from "./metadata.ts";
import { serviceEntrySpec } from "./service_entry.ts";
import { serviceSpec } from "./service.ts";
import { virtualServiceSpec } from "./virtual_service.ts";
import { workloadEntrySpec } from "./workload_entry.ts";

export interface Kind {
  /** Any of them means the same. */
  readonly apiVersions: readonly string[];
  /** Of the whole document. */
  readonly schema: Schema<Envelope>;
  /** Where its resources stand in a ResourceSet. */
  readonly set: keyof ResourceSet;
}

const NETWORKING = ["networking.istio.io/v1", "networking.istio.io/v1beta1", "networking.istio.io/v1alpha3"];

export const KINDS: ReadonlyMap<string, Kind> = new Map([
  ["DestinationRule", kind(NETWORKING, destinationRuleSpec, "destinationRules")],
  ["Service", kind(["v1"], serviceSpec, "services")],
  ["ServiceEntry", kind(NETWORKING, serviceEntrySpec, "serviceEntries")],
  ["VirtualService", kind(NETWORKING, virtualServiceSpec, "virtualServices")],
  ["WorkloadEntry", kind(NETWORKING, workloadEntrySpec, "workloadEntries")],
]);

/** Kubernetes' wrapper around many resources, as `kubectl get -o yaml` prints it. */
export const LIST_KIND = "List";
export const LIST_API_VERSION = "v1";

/** Kinds of Istio's that this version does not implement. */
export const UNIMPLEMENTED_KINDS: ReadonlySet<string> = new Set([
  "AuthorizationPolicy",
  "EnvoyFilter",
  "Gateway",
  "MeshConfig",
  "PeerAuthentication",
  "ProxyConfig",
  "RequestAuthentication",
  "Sidecar",
  "Telemetry",
  "WorkloadGroup",
  // The classic Mixer kinds (config.istio.io/v1alpha2).
  "QuotaSpec",
  "QuotaSpecBinding",
  "checknothing",
  "denier",
  "handler",
  "instance",
  "listchecker",
  "listentry",
  "logentry",
  "memquota",
  "metric",
  "prometheus",
  "quota",
  "redisquota",
  "rule",
  "stdio",
]);

function kind<Spec>(apiVersions: readonly string[], spec: Schema<Spec>, set: keyof ResourceSet): Kind {
  return { apiVersions, schema: envelope(spec) as unknown as Schema<Envelope>, set };
}
