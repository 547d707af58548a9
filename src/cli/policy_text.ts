/** What holds for the calls to a destination, in words: which DestinationRules say so, and what is not the default. */
import type { OutlierDetection } from "../model/outlier_detection.ts";
import type { Cluster, ClusterLimits, HashKey, LocalitySettings } from "../model/snapshot.ts";
import type { Credential, UpstreamTls } from "../model/upstream_tls.ts";

/** Nothing where all is as it is without rules. `from` is the locality of the caller. */
export function policyLines(cluster: Cluster | null, from: string | null): string[] {
  if (cluster === null) return [];
  const { rules = [], balancer, hash, warmup, locality, limits, outlier, tls } = cluster;
  const { followsClient, tunnel, proxyProtocol, toOriginalDestination } = cluster;
  const hashed = hash === undefined ? "" : ` by ${hash.keys.map(hashText).join(" and ")}`;
  const others = [
    ...toOriginalDestination ? ["captured calls go on to the address that they dialled"] : [],
    ...balancer === "LEAST_REQUEST" ? [] : [`balanced by ${balancer}${hashed}`],
    ...warmup === undefined ? [] : [`new endpoints warm up for ${warmup.durationMs} ms`],
    ...followsClient ? ["spoken to in the client's HTTP"] : [],
    ...proxyProtocol === undefined ? [] : [`without a sidecar, after PROXY protocol ${proxyProtocol}`],
    ...tls === undefined ? [] : [tlsText(tls)],
    ...tunnel === undefined
      ? []
      : [`without a sidecar, bytes go on to ${tunnel.authority} by ${tunnel.method}`],
    ...locality ? [localityText(locality, from, outlier !== undefined)] : [],
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
    default:
      return `${key.type} ${key.name}`;
  }
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
  const { minHealthPercent } = outlier;
  const panic = minHealthPercent === 0 ? "" : `, unless fewer than ${minHealthPercent}% are healthy`;
  return `taken out for ${baseEjectionMs} ms and longer after ${
    causes.join(" or ")
  }, ${maxEjectionPercent}% of the endpoints at most${panic}`;
}
