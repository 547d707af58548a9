/** What a proxy answers itself, in words, as its caller hears it: to gRPC it is another status. */
import type { Abort } from "../model/route.ts";
import type { Explained } from "../proxy/explain/explanation.ts";
import { faultAbort, grpcStatusOf } from "../proxy/local_reply.ts";

/** Of a request, and of the ports that it goes to. */
export type Spoken = Pick<Explained, "isGrpc" | "clusters">;

/** `403`, or `gRPC status 7`; both where nobody can tell. */
export function statusWords(status: number, { isGrpc, clusters }: Spoken): string {
  const grpc = grpcStatusOf(status);
  if (isGrpc) return `gRPC status ${grpc}`;
  const takesGrpc = clusters.some((cluster) => cluster?.protocol === "http2");
  return takesGrpc ? `${status} (gRPC calls: status ${grpc})` : `${status}`;
}

export function abortWords(abort: Abort, spoken: Spoken): string {
  if ("httpStatus" in abort) return statusWords(abort.httpStatus, spoken);
  if (spoken.isGrpc) return abortStatus(abort);
  return `${faultAbort(abort).status} (gRPC calls: status ${abort.grpcStatus})`;
}

/** As it is written. */
export function abortStatus(abort: Abort): string {
  return "httpStatus" in abort ? `${abort.httpStatus}` : `gRPC status ${abort.grpcStatus}`;
}
