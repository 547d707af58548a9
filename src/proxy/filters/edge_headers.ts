/** What a request has to say about itself where it enters the mesh from outside: nothing that a client can make up. */
import type { Random } from "../../lib/prng.ts";
import { isTraceparent, newRequestId, newTraceparent } from "../../telemetry/trace_context.ts";
import type { RequestHead } from "../exchange.ts";
import { CLIENT_CERT_HEADER } from "../mesh_headers.ts";

/** The client, as its connection shows it. */
export interface EdgeClient {
  /** An IP address. */
  readonly address: string;
  readonly scheme: "http" | "https";
  /** For `x-forwarded-client-cert`; null without a certificate. */
  readonly certificate: string | null;
}

/**
 * As Envoy at an edge (`use_remote_address`): the client's address goes to the end of `x-forwarded-for`, `x-request-id` and
 * `x-forwarded-proto` are set anew, whatever the client says, and a trace goes on. Headers of proxies are gone already.
 */
export function setEdgeHeaders(head: RequestHead, client: EdgeClient, random: Random): void {
  const { headers } = head;
  let end = 0;
  let forwardedFor = "";
  let trace: string | null = null;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    const value = headers[i + 1] as string;
    if (name === "x-request-id" || name === "x-forwarded-proto") continue;
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
  headers.push("x-forwarded-for", forwardedFor + client.address);
  headers.push("x-forwarded-proto", client.scheme);
  headers.push("x-request-id", newRequestId(random));
  headers.push("traceparent", trace ?? newTraceparent(random));
  if (client.certificate !== null) headers.push(CLIENT_CERT_HEADER, client.certificate);
  head.scheme = client.scheme;
}
