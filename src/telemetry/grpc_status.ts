/** The status of a gRPC call as counters have it: what `grpc-status` said, or why there is none. */
import { GRPC_STATUS_MAX } from "../model/report.ts";

/** Stands for a gRPC status where the request is not gRPC. */
export const NOT_GRPC = -2;
/** Stands for a gRPC status that was never heard: the call broke off before its trailers. */
export const GRPC_STATUS_NONE = -1;
/** What gRPC makes of a status that it does not define. */
const GRPC_STATUS_UNKNOWN = 2;

/** The number in a `grpc-status` field. */
export function parseGrpcStatus(value: string): number {
  const status = /^[0-9]{1,2}$/.test(value) ? Number(value) : GRPC_STATUS_UNKNOWN;
  return status <= GRPC_STATUS_MAX ? status : GRPC_STATUS_UNKNOWN;
}
