/** The list of analyzers: each looks for one kind of mistake across resources that are each valid by themselves. */
import type { Finding } from "../finding.ts";
import type { ResourceSet } from "../resource.ts";
import type { Analyzer } from "./analyzer.ts";
import { answeredRules } from "./answered_rules.ts";
import { authorizationProviders } from "./authorization_providers.ts";
import { conflictingGateways } from "./conflicting_gateways.ts";
import { conflictingHosts } from "./conflicting_hosts.ts";
import { delegateDrops } from "./delegate_drops.ts";
import { delegates } from "./delegates.ts";
import { destinationHost } from "./destination_host.ts";
import { destinationPort } from "./destination_port.ts";
import { destinationRuleHost } from "./destination_rule_host.ts";
import { destinationRuleOrder } from "./destination_rule_order.ts";
import { destinationSubset } from "./destination_subset.ts";
import { destinationVisibility } from "./destination_visibility.ts";
import { ejectionShare } from "./ejection_share.ts";
import { entryAddresses } from "./entry_addresses.ts";
import { foreignHosts } from "./foreign_hosts.ts";
import { gatewayCalledHosts } from "./gateway_called_hosts.ts";
import { gatewayHosts } from "./gateway_hosts.ts";
import { gatewayPorts } from "./gateway_ports.ts";
import { gatewayReference } from "./gateway_reference.ts";
import { gatewayWorkloads } from "./gateway_workloads.ts";
import { HostRegistry } from "./host_registry.ts";
import { idleRedirects } from "./idle_redirects.ts";
import { impossibleMatches } from "./impossible_matches.ts";
import { ineffectivePolicies } from "./ineffective_policies.ts";
import { ineffectiveSelectors } from "./ineffective_selectors.ts";
import { ingressSubsets } from "./ingress_subsets.ts";
import { localityFailover } from "./locality_failover.ts";
import { localityImplied } from "./locality_implied.ts";
import { matchGateways } from "./match_gateways.ts";
import { matchPorts } from "./match_ports.ts";
import { matchSources } from "./match_sources.ts";
import { matchTraps } from "./match_traps.ts";
import { meshLeftOut } from "./mesh_left_out.ts";
import { mirrorShare } from "./mirror_share.ts";
import { outdoneSettings } from "./outdone_settings.ts";
import { outlierCounts } from "./outlier_counts.ts";
import { ownPorts } from "./own_ports.ts";
import { policiesForRequests } from "./policies_for_requests.ts";
import { policyPorts } from "./policy_ports.ts";
import { policyProtocols } from "./policy_protocols.ts";
import { portNames } from "./port_names.ts";
import { portPolicies } from "./port_policies.ts";
import { protocolConflict } from "./protocol_conflict.ts";
import { regexWords } from "./regex_words.ts";
import { resilience } from "./resilience.ts";
import { retryConditions } from "./retry_conditions.ts";
import { rulesForBytes } from "./rules_for_bytes.ts";
import { serverHosts } from "./server_hosts.ts";
import { serverRules } from "./server_rules.ts";
import { serverVerification } from "./server_verification.ts";
import { sharedCertificates } from "./shared_certificates.ts";
import { sidecarEgress } from "./sidecar_egress.ts";
import { sidecarIngress } from "./sidecar_ingress.ts";
import { sidecarPorts } from "./sidecar_ports.ts";
import { sidecarTls } from "./sidecar_tls.ts";
import { silentCors } from "./silent_cors.ts";
import { singleResources } from "./single_resources.ts";
import { subsetEndpoints } from "./subset_endpoints.ts";
import { subsetPolicies } from "./subset_policies.ts";
import { tlsModes } from "./tls_modes.ts";
import { claimRoutes, policyTokens } from "./token_rules.ts";
import { unreachableRules } from "./unreachable_rules.ts";
import { unsaidSettings } from "./unsaid_settings.ts";
import { virtualServiceHosts } from "./virtual_service_hosts.ts";
import { warmupBalancer } from "./warmup_balancer.ts";
import { weights } from "./weights.ts";
import { workloadPorts } from "./workload_ports.ts";

const ANALYZERS: readonly Analyzer[] = [
  answeredRules,
  authorizationProviders,
  claimRoutes,
  conflictingGateways,
  conflictingHosts,
  delegateDrops,
  delegates,
  destinationHost,
  destinationPort,
  destinationRuleHost,
  destinationRuleOrder,
  destinationSubset,
  destinationVisibility,
  ejectionShare,
  entryAddresses,
  foreignHosts,
  gatewayCalledHosts,
  gatewayHosts,
  gatewayPorts,
  gatewayReference,
  gatewayWorkloads,
  idleRedirects,
  ineffectivePolicies,
  ineffectiveSelectors,
  ingressSubsets,
  localityFailover,
  localityImplied,
  matchGateways,
  matchPorts,
  matchSources,
  matchTraps,
  impossibleMatches,
  meshLeftOut,
  mirrorShare,
  silentCors,
  outdoneSettings,
  outlierCounts,
  ownPorts,
  policiesForRequests,
  policyPorts,
  policyProtocols,
  policyTokens,
  portNames,
  portPolicies,
  protocolConflict,
  regexWords,
  resilience,
  retryConditions,
  rulesForBytes,
  serverHosts,
  serverRules,
  serverVerification,
  sharedCertificates,
  sidecarEgress,
  sidecarIngress,
  sidecarPorts,
  sidecarTls,
  singleResources,
  subsetEndpoints,
  subsetPolicies,
  tlsModes,
  unreachableRules,
  unsaidSettings,
  virtualServiceHosts,
  warmupBalancer,
  weights,
  workloadPorts,
];

/** What all analyzers find. Nothing of it is an error: such resources load, and fail only the requests that meet them. */
export function analyze(resources: ResourceSet): Finding[] {
  const hosts = new HostRegistry(resources);
  return ANALYZERS.flatMap((analyzer) => [...analyzer(resources, hosts)]);
}
