import { describe, expect, test } from "bun:test";
import { headerValue, type RequestHead } from "../../../src/proxy/exchange.ts";
import {
  faultAbort,
  isGrpc,
  LOCAL_REPLY,
  type LocalReply,
  renderLocalReply,
} from "../../../src/proxy/local_reply.ts";
import { requestHead } from "./request_head.ts";

function withType(...headers: string[]): RequestHead {
  return requestHead({ method: "POST", headers });
}

describe("isGrpc()", () => {
  test.each([
    ["application/grpc", true],
    ["application/grpc+proto", true],
    ["application/grpc;charset=x", true],
    ["application/grpc-web", false],
    ["application/json", false],
    ["x-application/grpc", false],
  ])("isGrpc() of %p is %p", (type, expected) => {
    expect(isGrpc(withType("content-type", type))).toBe(expected);
  });

  test("isGrpc() is false without a type", () => expect(isGrpc(withType())).toBe(false));
});

describe("LOCAL_REPLY", () => {
  // Envoy's flags and codes (response flags of the access log): an API, never changed.
  test.each(
    [
      ["noRoute", 404, "NR", "route_not_found"],
      ["pathEscape", 400, "-", "path_normalization_failed{invalid_escape}"],
      ["pathEscapedSlash", 400, "-", "path_normalization_failed{escaped_slash}"],
      ["pathControl", 400, "-", "path_normalization_failed{control_character}"],
      ["pathDotParameters", 400, "-", "path_normalization_failed{dot_parameters}"],
      ["tooManyRequests", 503, "OM", "overload"],
      ["tooManyVerifications", 503, "OM", "jwt_authn_overload"],
      ["plainTextRefused", 403, "-", "plain_text_refused"],
      ["rbacDenied", 403, "-", "rbac_access_denied_matched_policy[none]"],
      ["httpsInPlainText", 400, "-", "https_in_plain_text"],
      ["dnsFailure", 503, "DF", "dns_resolution_failure"],
      ["noCluster", 503, "NC", "cluster_not_found"],
      ["blocked", 502, "-", "direct_response"],
      ["noHealthyUpstream", 503, "UH", "no_healthy_upstream"],
      ["overflow", 503, "UO", "overflow"],
      ["connectFailure", 503, "UF", "upstream_reset_before_response_started{connection_failure}"],
      ["upstreamClosed", 503, "UC", "upstream_reset_before_response_started{connection_termination}"],
      ["upstreamRefused", 503, "UR", "upstream_reset_before_response_started{remote_refused_stream_reset}"],
      ["upstreamProtocolError", 502, "UPE", "upstream_reset_before_response_started{protocol_error}"],
      ["requestTimeout", 504, "UT", "response_timeout"],
      ["attemptTimeout", 504, "UT", "upstream_per_try_timeout"],
      ["upstreamTimeout", 504, "UT", "upstream_response_timeout"],
    ] as const,
  )("LOCAL_REPLY.%s is %d %s", (name, status, flags, details) => {
    expect(LOCAL_REPLY[name]).toMatchObject({ status, flags, details });
  });

  test("faultAbort() is FI with the status that the fault names, in either protocol", () => {
    expect(faultAbort({ httpStatus: 418 })).toMatchObject({
      status: 418,
      flags: "FI",
      details: "fault_filter_abort",
    });
    expect(faultAbort({ grpcStatus: 14 })).toMatchObject({ status: 503, flags: "FI", grpcStatus: 14 });
  });
});

describe("renderLocalReply()", () => {
  test("renderLocalReply() says that the cluster is overloaded when one of its limits was hit, gRPC or not", () => {
    const overloaded = (reply: LocalReply, grpc: boolean) =>
      headerValue(renderLocalReply(reply, grpc, "x").head.headers, "x-envoy-overloaded");
    for (const grpc of [false, true]) {
      expect(overloaded(LOCAL_REPLY.overflow, grpc)).toBe("true");
      expect(overloaded(LOCAL_REPLY.tooManyRequests, grpc)).toBeUndefined();
    }
  });

  test("renderLocalReply() gives text, flags, details and the proxy's name", () => {
    const { head, body } = renderLocalReply(LOCAL_REPLY.noHealthyUpstream, false, "outbound shop/cart");
    expect(head).toEqual({
      status: 503,
      headers: [
        "content-type",
        "text/plain",
        "x-bowline-reply",
        "UH no_healthy_upstream; outbound shop/cart",
      ],
      bodyLength: 19,
    });
    expect(new TextDecoder().decode(body ?? undefined)).toBe("no healthy upstream");
  });

  test("renderLocalReply() gives no body and no type without a text", () => {
    const { head, body } = renderLocalReply(LOCAL_REPLY.noRoute, false, "x");
    expect(head).toMatchObject({ status: 404, bodyLength: 0 });
    expect(head.headers).not.toContain("content-type");
    expect(body).toBeNull();
  });

  // gRPC over HTTP/2, "HTTP to gRPC status code mapping".
  test.each([
    [400, 13],
    [401, 16],
    [403, 7],
    [404, 12],
    [429, 14],
    [502, 14],
    [503, 14],
    [504, 14],
    [501, 2],
    [418, 2],
  ])(
    "renderLocalReply() gives gRPC %d as status %d, trailers-only",
    (status, grpc) => {
      const { head, body } = renderLocalReply({ status, flags: "-", details: "a b", text: "" }, true, "x");
      expect(head).toEqual({
        status: 200,
        headers: [
          ...["content-type", "application/grpc", "grpc-status", String(grpc), "grpc-message", "a%20b"],
          ...["x-bowline-reply", "- a b; x"],
        ],
        bodyLength: 0,
      });
      expect(body).toBeNull();
    },
  );
});
