/** A kind of call as a sidecar records it. */
import type { RecordedCall } from "../../../src/model/recorded_call.ts";

export function recordedCall(overrides: Partial<RecordedCall> = {}): RecordedCall {
  return {
    principal: "cluster.local/ns/shop/sa/front",
    caller: "shop/front",
    address: "10.0.0.3",
    port: 8080,
    protocol: "http",
    method: "GET",
    authority: "web:8080",
    path: "/a",
    allowed: 1,
    refused: 0,
    ...overrides,
  };
}
