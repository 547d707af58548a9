/** A validated resource with its way back to the file, and the set of all of them: one generation of the configuration. */
import type { Labels } from "../model/labels.ts";
import type { AuthorizationPolicySpec } from "./schema/authorization_policy.ts";
import type { DestinationRuleSpec } from "./schema/destination_rule.ts";
import type { GatewaySpec } from "./schema/gateway.ts";
import type { MeshConfigSpec } from "./schema/mesh_config.ts";
import type { PeerAuthenticationSpec } from "./schema/peer_authentication.ts";
import type { ProxyConfigSpec } from "./schema/proxy_config.ts";
import type { RequestAuthenticationSpec } from "./schema/request_authentication.ts";
import type { ServiceSpec } from "./schema/service.ts";
import type { ServiceEntrySpec } from "./schema/service_entry.ts";
import type { SidecarSpec } from "./schema/sidecar.ts";
import type { VirtualServiceSpec } from "./schema/virtual_service.ts";
import type { WorkloadEntrySpec } from "./schema/workload_entry.ts";
import type { WorkloadGroupSpec } from "./schema/workload_group.ts";

export interface Position {
  /** Relative to the directory that was loaded. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
}

export interface ConfigResource<Spec> {
  readonly kind: string;
  readonly apiVersion: string;
  readonly namespace: string;
  readonly name: string;
  readonly labels: Labels;
  readonly annotations: Readonly<Record<string, string>>;
  readonly spec: Spec;
  /** Where the document's first key stands. */
  readonly position: Position;
  /** Where a field stands, by its path from the root: `["spec", "http", 0]`; the nearest ancestor when it is absent. */
  positionOf(path: readonly (string | number)[]): Position;
}

/** Everything that one directory says; sorted by namespace and name within a kind, so that equal files give equal sets. */
export interface ResourceSet {
  readonly services: readonly ConfigResource<ServiceSpec>[];
  readonly serviceEntries: readonly ConfigResource<ServiceEntrySpec>[];
  readonly workloadEntries: readonly ConfigResource<WorkloadEntrySpec>[];
  readonly virtualServices: readonly ConfigResource<VirtualServiceSpec>[];
  readonly destinationRules: readonly ConfigResource<DestinationRuleSpec>[];
  readonly gateways: readonly ConfigResource<GatewaySpec>[];
  readonly sidecars: readonly ConfigResource<SidecarSpec>[];
  readonly workloadGroups: readonly ConfigResource<WorkloadGroupSpec>[];
  readonly authorizationPolicies: readonly ConfigResource<AuthorizationPolicySpec>[];
  readonly peerAuthentications: readonly ConfigResource<PeerAuthenticationSpec>[];
  readonly requestAuthentications: readonly ConfigResource<RequestAuthenticationSpec>[];
  readonly proxyConfigs: readonly ConfigResource<ProxyConfigSpec>[];
  /** Only one can hold; the first where there are more. */
  readonly meshConfigs: readonly ConfigResource<MeshConfigSpec>[];
}
