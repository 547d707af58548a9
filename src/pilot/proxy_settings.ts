/** The part of a snapshot that is the proxy's own: who it is, which ports it serves, whom it lets in, whom it trusts. */
import type { MeshConfigSpec } from "../config/schema/mesh_config.ts";
import { NO_PROXIES_BEFORE } from "../model/gateway_topology.ts";
import type { ProxySettings, RevokedIdentity, Trust } from "../model/snapshot.ts";
import type { CompiledConfig } from "./compiled_config.ts";
import { labelsOf, workloadInfo } from "./endpoint_of.ts";
import { extAuthzOf } from "./ext_authz.ts";
import type { MeshWorkload } from "./file_workloads.ts";
import { inboundPorts, type PoolOf } from "./inbound_ports.ts";
import type { PeerMode } from "./policies.ts";
import { doorsOf } from "./sidecar_doors.ts";

/** What is the same for all proxies, and stands in no file. */
export interface SettingsInput {
  readonly trustDomain: string;
  /** As in ProxySettings. @default none */
  readonly revoked?: readonly string[];
  readonly revokedIds?: readonly RevokedIdentity[];
  /** As in ProxySettings. @default none is said */
  readonly trust?: Trust | undefined;
  /** For `explain`: snapshots also have the rules that were left out of them. @default false */
  readonly tellsSkipped?: boolean;
}

/** What has its default is left out, so that a snapshot says only what somebody wrote. */
export function proxySettings(
  workload: MeshWorkload,
  config: CompiledConfig,
  { trustDomain, revoked = [], revokedIds = [], trust, tellsSkipped = false }: SettingsInput,
): ProxySettings {
  const { mesh, policies: catalogue } = config;
  const { trustDomainAliases: aliases, protocolDetectionTimeout: detectionTimeoutMs } = mesh;
  const sidecar = config.sidecarOf(workload);
  const provider = catalogue.providerFor(workload);
  const extAuthz = provider === null ? null : extAuthzOf(mesh, provider);
  const policies = catalogue.policiesFor(workload, [trustDomain, ...aliases], extAuthz?.provider ?? null);
  const jwtRules = catalogue.jwtRulesFor(workload);
  const peers = catalogue.peerMode(workload);
  const mtls = plainTextRule(peers);
  const labels = labelsOf(workload, config.comparedLabels);
  const doors = doorsOf(workload, sidecar);
  const hidden = tellsSkipped ? config.hiddenFrom(workload) : [];
  const unbound = tellsSkipped ? config.unboundAt(workload) : [];
  const services = config.services.ofNamespace(workload.namespace);
  const poolOf: PoolOf = (service, port) => config.inboundPool(workload, service, port);
  return {
    kind: "proxy",
    name: "self",
    trustDomain,
    ...(aliases.length === 0 ? {} : { trustDomainAliases: aliases }),
    // Whoever asks has a sidecar, whatever the files let others believe.
    workload: workloadInfo({ ...workload, hasSidecar: true }, trustDomain),
    address: workload.address,
    outboundPolicy: (sidecar?.outboundTrafficPolicy ?? mesh.outboundTrafficPolicy).mode,
    inbound: workload.role === "gateway" ? [] : inboundPorts({ workload, services, sidecar, poolOf, peers }),
    ...(detectionTimeoutMs === null ? {} : { detectionTimeoutMs }),
    ...(policies.length === 0 ? {} : { policies }),
    ...(jwtRules.length === 0 ? {} : { jwtRules }),
    ...pathForm(mesh),
    ...topology(mesh),
    ...(extAuthz === null ? {} : { extAuthz }),
    ...(mtls === null ? {} : { mtls }),
    ...(workload.probe === undefined ? {} : { probe: workload.probe }),
    ...(revoked.length === 0 ? {} : { revoked }),
    ...(revokedIds.length === 0 ? {} : { revokedIds }),
    ...(trust === undefined ? {} : { trust }),
    ...(workload.locality === undefined ? {} : { locality: workload.locality }),
    ...(Object.keys(labels).length === 0 ? {} : { labels }),
    ...(doors.length === 0 ? {} : { doors }),
    ...(hidden.length === 0 ? {} : { hidden }),
    ...(unbound.length === 0 ? {} : { unbound }),
  };
}

/** Istio's default is BASE; ours is the one with which nobody gets past a policy by a second slash. */
function pathForm({ pathNormalization }: MeshConfigSpec): Pick<ProxySettings, "pathNormalization"> {
  const { normalization } = pathNormalization;
  return normalization === "DEFAULT" || normalization === "MERGE_SLASHES"
    ? {}
    : { pathNormalization: normalization };
}

/** Workloads hear of it, too: what gateways bring them has the same entries. */
function topology({ defaultConfig }: MeshConfigSpec): Pick<ProxySettings, "gatewayTopology"> {
  const { numTrustedProxies: trustedProxies, forwardClientCertDetails: said } = defaultConfig.gatewayTopology;
  const clientCert = said === "UNDEFINED" ? NO_PROXIES_BEFORE.clientCert : said;
  if (trustedProxies === 0 && clientCert === NO_PROXIES_BEFORE.clientCert) return {};
  return { gatewayTopology: { trustedProxies, clientCert } };
}

/** What is said of ports that no service declares; null: nothing is refused. */
function plainTextRule({ mode, ports }: PeerMode): ProxySettings["mtls"] | null {
  const strict = mode === "STRICT";
  const others = [...ports].filter(([, own]) => (own === "STRICT") !== strict).map(([port]) => port);
  if (!strict && others.length === 0) return null;
  return { mode: strict ? "strict" : "permissive", exceptPorts: others };
}
