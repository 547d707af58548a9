/**
 * What a request has to say about itself where it enters the mesh from outside: nothing that a client can make up, and of
 * what proxies before the gateway say as much as the mesh's operator believes.
 */
import type { Random } from "../../lib/prng.ts";
import { formatIp } from "../../lib/ip.ts";
import type { GatewayTopology } from "../../model/gateway_topology.ts";
import { isTraceparent, newRequestId, newTraceparent } from "../../telemetry/trace_context.ts";
import type { RequestHead } from "../exchange.ts";
import { forwardedAddress } from "../forwarded_for.ts";
import { appended, CLIENT_CERT_HEADER, EXTERNAL_ADDRESS_HEADER } from "../mesh_headers.ts";

/** The client, as its connection shows it. */
export interface EdgeClient {
  /** An IP address; null: it came to a socket of the file system, and has none. */
  readonly address: string | null;
  readonly scheme: "http" | "https";
  /** For `x-forwarded-client-cert`; null without a certificate. */
  readonly certificate: string | null;
}

/** What is done about a client's request, and what it said about certificates. */
export interface EdgeRules {
  readonly topology: GatewayTopology;
  /** Its `x-forwarded-client-cert`, which is taken off already. */
  readonly clientCert: string | undefined;
}

/**
 * As Envoy at an edge (`use_remote_address`): the client's address goes to the end of `x-forwarded-for`, `x-request-id` and
 * `x-forwarded-proto` are set anew, whatever the client says, and a trace goes on. Headers of proxies are gone already.
 * Returns the client's address: that of the connection, or where proxies stand before the gateway (`xff_num_trusted_hops`)
 * what the last of them, or the one before, say; null: nobody knows it.
 */
export function setEdgeHeaders(
  head: RequestHead,
  client: EdgeClient,
  { topology: { trustedProxies, clientCert }, clientCert: said }: EdgeRules,
  random: Random,
): string | null {
  const { headers } = head;
  let end = 0;
  let forwardedFor = "";
  let forwardedProto: string | undefined;
  let trace: string | null = null;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    const value = headers[i + 1] as string;
    if (name === "x-request-id") continue;
    if (name === "x-forwarded-proto") {
      forwardedProto = appended(forwardedProto, value);
      continue;
    }
    if (name === "x-forwarded-for") {
      forwardedFor += `${value},`;
      continue;
    }
    if (name === "traceparent") {
      trace ??= isTraceparent(value) ? value : null;
      continue;
    }
    headers[end++] = name;
    headers[end++] = value;
  }
  headers.length = end;
  forwardedFor += client.address ?? NO_ADDRESS;
  const scheme = trustedProxies === 0 ? client.scheme : schemeOf(forwardedProto) ?? client.scheme;
  headers.push("x-forwarded-for", forwardedFor);
  headers.push("x-forwarded-proto", scheme);
  headers.push("x-request-id", newRequestId(random));
  headers.push("traceparent", trace ?? newTraceparent(random));
  const certificates = forwardedCertificates(clientCert, said, client.certificate);
  if (certificates !== undefined) headers.push(CLIENT_CERT_HEADER, certificates);
  head.scheme = scheme;
  if (trustedProxies === 0) return client.address;
  const believed = forwardedAddress([forwardedFor], trustedProxies);
  const address = believed === null ? client.address : formatIp(believed);
  if (address !== null) headers.push(EXTERNAL_ADDRESS_HEADER, address);
  return address;
}

/** In the place of a client's own entry: without one, what the client says of itself would be the last. */
const NO_ADDRESS = "unknown";

/** Undefined: nobody said it, or it is none. */
function schemeOf(said: string | undefined): "http" | "https" | undefined {
  const scheme = said?.toLowerCase();
  return scheme === "http" || scheme === "https" ? scheme : undefined;
}

/** `said` by the client of itself, `own` as its connection shows; undefined: nothing goes on. */
function forwardedCertificates(
  rule: GatewayTopology["clientCert"],
  said: string | undefined,
  own: string | null,
): string | undefined {
  if (rule === "ALWAYS_FORWARD_ONLY") return said;
  if (own === null || rule === "SANITIZE") return undefined;
  if (rule === "SANITIZE_SET") return own;
  return rule === "FORWARD_ONLY" ? said : appended(said, own);
}
