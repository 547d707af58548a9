import { describe, expect, test } from "bun:test";
import { trailersToForward } from "../../../src/proxy/trailer_fields.ts";

describe("trailersToForward()", () => {
  test("leaves what a program may want to hear behind a body", () => {
    const trailers = ["content-digest", "sha-256=:x:", "server-timing", "a", "x-sum", "1", "x-sum", "2"];
    expect(trailersToForward([...trailers])).toEqual(trailers);
  });

  test.each([
    ...[
      "authorization",
      "cookie",
      "content-type",
      "content-encoding",
      "expect",
      "range",
      "if-match",
      "trailer",
    ],
    ...["forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-client-cert"],
    ...["x-envoy-original-path", "x-bowline-port", "x-bowline-reply"],
    // CGI takes both for one.
    ...["x_forwarded_for", "content_type", "x_forwarded_client_cert", "x_bowline_port"],
  ])("takes away %s, which is for a head", (name) => {
    expect(trailersToForward(["a", "1", name, "forged", "b", "2"])).toEqual(["a", "1", "b", "2"]);
    expect(trailersToForward([name, "forged"])).toBeNull();
  });
});
