/**
 * MeshConfig (mesh.istio.io): what holds for the whole mesh. Istio keeps it in a ConfigMap, without kind and name; here
 * it is a document like all others, `apiVersion: mesh.istio.io/v1alpha1`, with Istio's fields in its spec.
 */
import * as v from "valibot";
import { CLIENT_CERT_FORWARDING } from "../../model/gateway_topology.ts";
import { tcpKeepalive } from "./connection_pool.ts";
import { extensionProvider } from "./extension_provider.ts";
import { fields, list, optional, type Schema } from "./fields.ts";
import { httpRetry } from "./http_retry.ts";
import type { Immutable } from "./immutable.ts";
import { localityLbSetting } from "./locality.ts";
import { duration, durationOrZero, UINT32_MAX, wholeNumber } from "./numbers.ts";
import { outboundTrafficPolicy } from "./outbound_traffic_policy.ts";
import { wrong } from "./problem.ts";
import { concurrency } from "./proxy_config.ts";
import { dnsLabel, exportTo, oneOf } from "./scalars.ts";

const NORMALIZATIONS = ["DEFAULT", "NONE", "BASE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES"] as const;

/** Names of a trust domain, as SPIFFE has them. */
const TRUST_DOMAIN = /^[a-z0-9._-]{1,255}$/;

const trustDomain: Schema<string> = v.pipe(
  v.string(),
  v.check((name) => TRUST_DOMAIN.test(name), wrong("{} is not the name of a trust domain")),
);

const gatewayTopology = fields({
  numTrustedProxies: v.nullish(wholeNumber("a number of proxies", 0, UINT32_MAX), 0),
  forwardClientCertDetails: v.nullish(
    oneOf(["UNDEFINED", ...CLIENT_CERT_FORWARDING], "what becomes of x-forwarded-client-cert"),
    "UNDEFINED",
  ),
}, ["proxyProtocol"]);

/** Istio's other fields of a proxy's configuration. */
const PROXY_FIELDS: readonly string[] = [
  "binaryPath",
  "configPath",
  "controlPlaneAuthPolicy",
  "discoveryAddress",
  "drainDuration",
  "envoyAccessLogService",
  "envoyMetricsService",
  "extraStatTags",
  "holdApplicationUntilProxyStarts",
  "image",
  "interceptionMode",
  "meshId",
  "privateKeyProvider",
  "proxyAdminPort",
  "proxyBootstrapTemplatePath",
  "proxyHeaders",
  "proxyMetadata",
  "proxyStatsMatcher",
  "readinessProbe",
  "runtimeValues",
  "sds",
  "serviceCluster",
  "statNameLength",
  "statsdUdpAddress",
  "statusPort",
  "terminationDrainDuration",
  "tracing",
  "zipkinAddress",
];

export const meshConfigSpec = fields({
  outboundTrafficPolicy: v.nullish(outboundTrafficPolicy("ALLOW_ANY"), {}),
  /** Null: Istio's two tries. */
  defaultHttpRetryPolicy: optional(httpRetry as Schema<v.InferOutput<typeof httpRetry>>),
  localityLbSetting: optional(localityLbSetting),
  pathNormalization: v.nullish(
    fields({ normalization: v.nullish(oneOf(NORMALIZATIONS, "a normalization"), "DEFAULT") }),
    {},
  ),
  /** 0 waits for ever; null: as long as each proxy's limit says. */
  protocolDetectionTimeout: optional(durationOrZero),
  connectTimeout: v.nullish(duration, "10s"),
  tcpKeepalive: optional(tcpKeepalive),
  enableAutoMtls: v.nullish(v.boolean(), true),
  trustDomain: optional(trustDomain),
  trustDomainAliases: list(trustDomain),
  rootNamespace: v.nullish(dnsLabel, "istio-system"),
  defaultServiceExportTo: exportTo,
  defaultVirtualServiceExportTo: exportTo,
  defaultDestinationRuleExportTo: exportTo,
  extensionProviders: list(extensionProvider),
  defaultConfig: v.nullish(
    fields(
      { concurrency: optional(concurrency), gatewayTopology: v.nullish(gatewayTopology, {}) },
      PROXY_FIELDS,
    ),
    {},
  ),
}, [
  "accessLogEncoding",
  "accessLogFile",
  "accessLogFormat",
  "ca",
  "caCertificates",
  "certificates",
  "configSources",
  "defaultProviders",
  "disableEnvoyListenerLog",
  "discoverySelectors",
  "dnsRefreshRate",
  "enableEnvoyAccessLogService",
  "enablePrometheusMerge",
  "enableTracing",
  "h2UpgradePolicy",
  "inboundClusterStatName",
  "inboundTrafficPolicy",
  "ingressClass",
  "ingressControllerMode",
  "ingressSelector",
  "ingressService",
  "meshMTLS",
  "outboundClusterStatName",
  "proxyHttpPort",
  "proxyInboundListenPort",
  "proxyListenPort",
  "serviceScopeConfigs",
  "serviceSettings",
  "tlsDefaults",
  "verifyCertificateAtClient",
]);

/** In what comes out, empty `default…ExportTo` is everybody. */
export type MeshConfigSpec = Immutable<v.InferOutput<typeof meshConfigSpec>>;

/** What holds where nobody wrote a MeshConfig: its defaults. */
export const MESH_CONFIG_DEFAULT: MeshConfigSpec = v.parse(meshConfigSpec, {});
