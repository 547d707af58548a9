/** What a fault that is injected looks like to the caller, in words. */
import type { Abort } from "../model/route.ts";

export function abortStatus(abort: Abort): string {
  return "httpStatus" in abort ? `${abort.httpStatus}` : `gRPC status ${abort.grpcStatus}`;
}
