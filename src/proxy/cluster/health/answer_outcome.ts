/** What an answer says about the endpoint: for gRPC the status of the call, not HTTP's 200. */
import { type HeaderList, headerValue } from "../../exchange.ts";

/** gRPC's status codes 0 to 16 as HTTP statuses (Envoy's `grpcToHttpStatus`). */
const HTTP_STATUS = [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401];

/** The status to report for an answer: that of `grpc-status` among its fields or trailers, if it is there, else HTTP's. */
export function answerOutcome(status: number, fields: HeaderList): number {
  const grpcStatus = headerValue(fields, "grpc-status");
  return grpcStatus === undefined ? status : HTTP_STATUS[Number(grpcStatus)] ?? 500;
}

/** Whether the outcome of a gRPC call is still to come, in the trailers. */
export function outcomeFollows(status: number, fields: HeaderList): boolean {
  return status === 200 && headerValue(fields, "grpc-status") === undefined;
}
