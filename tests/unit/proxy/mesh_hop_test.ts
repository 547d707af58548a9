/** Heads between two proxies may be larger than those of clients and workloads, by what is added on the way. */
import { describe, expect, test } from "bun:test";
import { DEFAULT_LIMITS } from "../../../src/model/limits.ts";
import { TERMS_DEFAULT } from "../../../src/proxy/connection_terms.ts";
import {
  ADDED_BYTES_MAX,
  ADDED_FIELDS_MAX,
  headBytes,
  meshHopLimits,
  meshHopTerms,
} from "../../../src/proxy/mesh_hop.ts";

describe("meshHopLimits()", () => {
  test("leaves room for what a proxy adds, and for what HTTP/2 counts for each field", () => {
    const limits = meshHopLimits({ ...DEFAULT_LIMITS, requestHeaderBytes: 2_000, requestHeaderCount: 10 });
    expect(limits.requestHeaderCount).toBe(10 + ADDED_FIELDS_MAX);
    expect(limits.requestHeaderBytes).toBe(2_000 + ADDED_BYTES_MAX + 32 * (10 + ADDED_FIELDS_MAX));
    expect(limits.responseHeaderCount).toBe(DEFAULT_LIMITS.responseHeaderCount + ADDED_FIELDS_MAX);
  });

  test("changes nothing else", () => {
    const heads = [
      ...["requestHeaderBytes", "requestHeaderCount", "responseHeaderBytes", "responseHeaderCount"],
      "headerBlockBytes",
    ];
    const rest = (limits: object) => Object.entries(limits).filter(([key]) => !heads.includes(key));
    expect(rest(meshHopLimits(DEFAULT_LIMITS))).toEqual(rest(DEFAULT_LIMITS));
    const keepalive = { ...TERMS_DEFAULT.keepalive, intervalMs: DEFAULT_LIMITS.keepaliveIntervalMs };
    expect(meshHopTerms(TERMS_DEFAULT)).toEqual({
      ...TERMS_DEFAULT,
      limits: meshHopLimits(DEFAULT_LIMITS),
      keepalive,
    });
  });
});

test("headBytes() counts a head as the other end does", () => {
  const head = {
    method: "GET",
    scheme: "http",
    authority: "web",
    path: "/x",
    headers: ["a", "1", "bc", ""],
    bodyLength: 0,
  };
  const fields = [":methodGET", ":schemehttp", ":authorityweb", ":path/x", "a1", "bc"];
  expect(headBytes(head)).toBe(fields.join("").length + 6 * 32);
});
