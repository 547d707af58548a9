/** What holds for the calls to a destination, in words: which DestinationRules say so, and what is not the default. */
import type { OutlierDetection } from "../model/outlier_detection.ts";
import type {
  Cluster,
  ClusterLimits,
  HashKey,
  HashSettings,
  LocalitySettings,
  Warmup,
} from "../model/cluster.ts";
import { RING_SIZE_MIN } from "../proxy/cluster/balancer/ring_table.ts";
import { MAGLEV_TABLE_SIZE } from "../proxy/cluster/balancer/maglev_table.ts";
import type { Credential, UpstreamTls } from "../model/upstream_tls.ts";

/** What holds where nobody says anything else. */
const CONNECT_TIMEOUT_MS = 10_000;
const OUTLIER_INTERVAL_MS = 10_000;

/** Nothing where all is as it is without rules. `from` is the locality of the caller. */
export function policyLines(cluster: Cluster | null, from: string | null): string[] {
  if (cluster === null) return [];
  const { rules = [], balancer, hash, warmup, locality, limits, outlier, tls } = cluster;
  const { protocol, followsClient, tunnel, proxyProtocol, toOriginalDestination, connectTimeoutMs } = cluster;
  const hashed = hash === undefined ? "" : ` by ${hash.keys.map(hashText).join(" and ")}${tableText(hash)}`;
  const others = [
    ...toOriginalDestination ? ["calls go on to the address that they dialled, or ask for"] : [],
    ...balancer === "LEAST_REQUEST" ? [] : [`balanced by ${balancer}${hashed}`],
    ...warmup === undefined ? [] : [warmupText(warmup)],
    ...rules.length > 0 && protocol === "http2" && !followsClient
      ? ["without a sidecar, spoken to in HTTP/2"]
      : [],
    ...followsClient ? ["spoken to in the client's HTTP"] : [],
    ...proxyProtocol === undefined ? [] : [`without a sidecar, after PROXY protocol ${proxyProtocol}`],
    ...tls === undefined ? [] : [tlsText(tls)],
    ...tunnel === undefined
      ? []
      : [`without a sidecar, bytes go on to ${tunnel.authority} by ${tunnel.method}`],
    ...locality ? [localityText(locality, from, outlier !== undefined)] : [],
    ...connectTimeoutMs === CONNECT_TIMEOUT_MS ? [] : [`connected within ${connectTimeoutMs} ms`],
    ...limits === undefined ? [] : [limitsText(limits)],
    ...outlier === undefined ? [] : [outlierText(outlier)],
  ].filter((text) => text !== "");
  const names = rules.map(({ name, file, line }) => `DestinationRule ${name} (${file}:${line})`);
  return [...names.length === 0 ? [] : [`by ${names.join(" and ")}`], ...others];
}

function hashText(key: HashKey): string {
  switch (key.type) {
    case "sourceIp":
      return "the client's address";
    case "query":
      return `parameter ${key.name}`;
    case "header":
      return `header ${key.name}`;
    case "cookie":
      return `cookie ${key.name}${cookieText(key)}`;
  }
}

/** What goes with the cookie that the proxy hands out to those who have none. */
function cookieText({ ttlMs, path, attributes }: Extract<HashKey, { type: "cookie" }>): string {
  if (ttlMs === null) return "";
  const life = ttlMs === 0 ? "the session" : `${ttlMs} ms`;
  const more = attributes.map(([name, value]) => value === "" ? name : `${name}=${value}`);
  const said = [...path === null ? [] : [`Path=${path}`], ...more].join("; ");
  return ` (handed out for ${life}${said === "" ? "" : `, with ${said}`})`;
}

/** Sizes, where they are not Istio's own. */
function tableText({ minimumRingSize, tableSize }: HashSettings): string {
  if (tableSize !== undefined && tableSize !== MAGLEV_TABLE_SIZE) return `, in a table of ${tableSize}`;
  const isOwn = minimumRingSize !== undefined && minimumRingSize !== RING_SIZE_MIN;
  return isOwn ? `, on a ring of ${minimumRingSize} points at least` : "";
}

function warmupText({ durationMs, minimumPercent, aggression }: Warmup): string {
  const how = aggression === 1 ? "" : `, with the aggression ${aggression}`;
  return `new endpoints warm up for ${durationMs} ms, from ${minimumPercent}% of their weight${how}`;
}

function tlsText({ sni, certificate, rootsFile, crlFile, credential, names, insecure }: UpstreamTls): string {
  const own = credential === undefined
    ? certificate?.chainFile
    : credential.withCertificate && credentialText(credential);
  const shown = own ? `, showing ${own}` : "";
  const asked = sni === null ? "" : `, asking for ${sni}`;
  if (insecure) return `TLS${asked}${shown}, and the server is not verified`;
  const roots = credential === undefined
    ? rootsFile ?? "the machine's authorities"
    : credentialText(credential);
  const who = names.length === 0 ? "" : ` to be ${names.join(" or ")}`;
  const revoked = crlFile === undefined ? "" : `, which ${crlFile} must not name`;
  return `TLS${asked}${shown}; ${roots} must vouch for the server${who}${revoked}`;
}

function credentialText({ name }: Credential): string {
  return `the credential ${name}`;
}

function localityText(
  { distribute, failover, failoverPriority }: LocalitySettings,
  from: string | null,
  ejects: boolean,
): string {
  if (from === null && failoverPriority.length === 0) return "";
  if (distribute.length > 0) {
    const shares = distribute.map(({ from: origin, to }) =>
      `from ${origin} ${Object.entries(to).map(([place, share]) => `${share}% to ${place}`).join(", ")}`
    );
    return `divided by locality: ${shares.join("; ")}`;
  }
  if (!ejects) return "";
  const order = failoverPriority.length > 0
    ? `endpoints alike in ${failoverPriority.join(", ")} first`
    : `endpoints nearest to ${from} first`;
  const regions = failover.map(({ from: origin, to }) => `from ${origin} to ${to}`);
  return `${order}, others as those fail${regions.length === 0 ? "" : ` (${regions.join(", ")})`}`;
}

function limitsText(limits: ClusterLimits): string {
  const said = Object.entries(limits).map(([name, value]) =>
    `${name} ${typeof value === "object" ? JSON.stringify(value) : value}`
  );
  return `limited to ${said.join(", ")}`;
}

function outlierText(outlier: OutlierDetection): string {
  const { consecutive5xx, consecutiveGatewayErrors, baseEjectionMs, maxEjectionPercent } = outlier;
  const { splitLocalOrigin, consecutiveLocalOriginFailures, httpErrorCodes } = outlier;
  const errors = httpErrorCodes.length === 0 ? "5xx" : httpErrorCodes.join(", ");
  const causes = [
    ...consecutive5xx === 0 ? [] : [`${consecutive5xx} answers of ${errors} in a row`],
    ...consecutiveGatewayErrors === 0 ? [] : [`${consecutiveGatewayErrors} of 502, 503, 504`],
    ...splitLocalOrigin && consecutiveLocalOriginFailures > 0
      ? [`${consecutiveLocalOriginFailures} failed connections`]
      : [],
  ];
  if (causes.length === 0) return "nobody is taken out";
  const { minHealthPercent, intervalMs } = outlier;
  const panic = minHealthPercent === 0 ? "" : `, unless fewer than ${minHealthPercent}% are healthy`;
  const looked = intervalMs === OUTLIER_INTERVAL_MS ? "" : `, looked at every ${intervalMs} ms`;
  return `taken out for ${baseEjectionMs} ms and longer after ${
    causes.join(" or ")
  }, ${maxEjectionPercent}% of the endpoints at most${panic}${looked}`;
}
