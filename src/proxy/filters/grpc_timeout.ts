/** How long a request may take: its route's timeout, and for gRPC what the client itself asks for. */
import { type HeaderList, headerValue, type RequestHead } from "../exchange.ts";

const GRPC_TIMEOUT = "grpc-timeout";

/** gRPC over HTTP/2, "Timeout": at most eight digits and a unit. */
const FORM = /^([0-9]{1,8})([HMSmun])$/;

const UNIT_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 0.001,
  n: 0.000_001,
};

/** Milliseconds, at least 1; 0: the client sets no limit. */
export function grpcTimeoutMs(headers: HeaderList): number {
  const [, digits, unit] = FORM.exec(headerValue(headers, GRPC_TIMEOUT) ?? "") ?? [];
  if (digits === undefined || unit === undefined) return 0;
  return Math.max(1, Number(digits) * (UNIT_MS[unit] as number));
}

/**
 * Istio's `timeout` with Envoy's max_grpc_timeout: a gRPC client may ask for less than the route allows, not for more, and
 * the upstream is told what holds. 0: no limit.
 */
export function requestTimeoutMs(routeTimeoutMs: number, { headers }: RequestHead, grpc: boolean): number {
  if (!grpc) return routeTimeoutMs;
  const askedMs = grpcTimeoutMs(headers);
  if (routeTimeoutMs === 0) return askedMs;
  if (askedMs > 0 && askedMs <= routeTimeoutMs) return askedMs;
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] === GRPC_TIMEOUT) headers[i + 1] = `${Math.ceil(routeTimeoutMs)}m`;
  }
  return routeTimeoutMs;
}
