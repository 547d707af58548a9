/** The service that the gRPC tests call: one method for each kind of call. Messages are bytes, so no schema is needed. */
import type { MethodDefinition } from "@grpc/grpc-js";

type Method = MethodDefinition<Buffer, Buffer>;

const bytes = (message: Buffer): Buffer => message;

function method(name: string, requestStream: boolean, responseStream: boolean): Method {
  return {
    path: `/mesh.Orders/${name}`,
    requestStream,
    responseStream,
    requestSerialize: bytes,
    requestDeserialize: bytes,
    responseSerialize: bytes,
    responseDeserialize: bytes,
  };
}

export const ORDERS = {
  /** Answers with what it was sent, and metadata with metadata. */
  echo: method("Echo", false, false),
  /** Answers how many messages and bytes there were. */
  collect: method("Collect", true, false),
  /** Answers with as many messages as the number that it was sent. */
  count: method("Count", false, true),
  /** Answers each message with itself. */
  chat: method("Chat", true, true),
  /** Ends with the status and the details that it was sent: `5 no such order`. */
  fail: method("Fail", false, false),
  /** The same, after a message. */
  failLate: method("FailLate", false, true),
  /** Never answers. */
  hang: method("Hang", false, false),
  /** Sends one message and then nothing. */
  watch: method("Watch", false, true),
} as const;

/** gRPC's own health service: the server as a whole is well, its service `down` is not, and no other is known. */
export const HEALTH = {
  check: { ...method("Check", false, false), path: "/grpc.health.v1.Health/Check" },
} as const;

/** What the server tells on its standard output, a line each. */
export type ServerEvent =
  | { readonly event: "listening" }
  /** A call of `hang` or `watch` has come; its deadline in milliseconds since 1970, null without one. */
  | { readonly event: "called"; readonly name: string; readonly deadlineMs: number | null }
  /** That call was cancelled, at this time since 1970. */
  | { readonly event: "cancelled"; readonly name: string; readonly atMs: number };
