/** Cross-origin requests (corsPolicy): what a browser is told, as Envoy's filter tells it. */
import type { CompiledCors } from "../route/compiled_route.ts";
import { type HeaderList, headerValue, type RequestHead } from "../exchange.ts";
import type { LocalReply } from "../local_reply.ts";

/** As an exact origin it stands for all of them. */
const ANY = "*";

/** The origin of a request, where the policy allows it; null for any other, and for what no browser sent. */
export function allowedOrigin({ origins }: CompiledCors, head: RequestHead): string | null {
  const origin = headerValue(head.headers, "origin") ?? "";
  return origin !== "" && origins.some((one) => one.holds(ANY) || one.holds(origin)) ? origin : null;
}

/** The answer to a preflight; null: the request goes on. `origin` as allowedOrigin() gives it. */
export function preflightReply(
  cors: CompiledCors,
  head: RequestHead,
  origin: string | null,
): LocalReply | null {
  const { policy } = cors;
  if (!isPreflight(head)) return null;
  if (origin === null) return policy.unmatchedPreflights === "IGNORE" ? permitting([]) : null;
  const headers = permissionHeaders(cors, origin);
  if (policy.allowMethods !== "") headers.push("access-control-allow-methods", policy.allowMethods);
  if (policy.allowHeaders !== "") headers.push("access-control-allow-headers", policy.allowHeaders);
  if (policy.maxAgeSeconds !== null) headers.push("access-control-max-age", String(policy.maxAgeSeconds));
  return permitting(headers);
}

/** Gives the answer to an allowed origin what the browser asks for, whatever the upstream said of it. */
export function permitAnswer(cors: CompiledCors, origin: string, headers: HeaderList): void {
  const permissions = permissionHeaders(cors, origin);
  const { exposeHeaders } = cors.policy;
  if (exposeHeaders !== "") permissions.push("access-control-expose-headers", exposeHeaders);
  for (let i = 0; i < permissions.length; i += 2) removeHeader(headers, permissions[i] as string);
  headers.push(...permissions);
}

/** Fetch Standard: an OPTIONS request that names the method that it is about. */
function isPreflight({ method, headers }: RequestHead): boolean {
  if (method !== "OPTIONS") return false;
  return (headerValue(headers, "origin") ?? "") !== "" &&
    (headerValue(headers, "access-control-request-method") ?? "") !== "";
}

function permissionHeaders({ policy }: CompiledCors, origin: string): HeaderList {
  const headers = ["access-control-allow-origin", origin];
  if (policy.allowCredentials === true) headers.push("access-control-allow-credentials", "true");
  return headers;
}

function permitting(headers: HeaderList): LocalReply {
  return { status: 200, flags: "-", details: "cors_response", text: "", headers };
}

function removeHeader(headers: HeaderList, name: string): void {
  for (let i = headers.length - 2; i >= 0; i -= 2) if (headers[i] === name) headers.splice(i, 2);
}
