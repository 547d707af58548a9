/** What is asked of an authorization server, and what its answers mean. */
import { describe, expect, test } from "bun:test";
import type { ExtAuthz } from "../../../src/model/ext_authz.ts";
import type { HeaderList, RequestHead, ResponseHead } from "../../../src/proxy/exchange.ts";
import {
  Authorizer,
  type CheckedBody,
  PASSED_FIELDS_BYTES_MAX,
} from "../../../src/proxy/ext_authz/authorizer.ts";
import { requestHead } from "./request_head.ts";

const SETTINGS: ExtAuthz = {
  provider: "test",
  cluster: "outbound|80||authz",
  timeoutMs: 1_000,
  pathPrefix: "/check",
  statusOnError: 403,
  requestHeaders: ["cookie", "x-a*", "*-b", "host", "x-bowline-port"],
  addedHeaders: { "x-added": "ours" },
  upstreamHeaders: ["x-user", "host"],
  allowHeaders: ["x-told"],
  denyHeaders: [],
};

function authorizer(more: Partial<ExtAuthz> = {}): Authorizer {
  return new Authorizer({ ...SETTINGS, ...more }, null, "");
}

function question(headers: HeaderList, body: CheckedBody | null = null): RequestHead {
  const head = requestHead({ method: "PUT", authority: "web:80", path: "/a?b", headers, bodyLength: 7 });
  return authorizer().question(head, body);
}

function answer(status: number, ...headers: string[]): ResponseHead {
  return { status, headers, bodyLength: 0 };
}

describe("Authorizer", () => {
  test("asks with the method and path of the request, and with the fields that are named", () => {
    const headers = ["cookie", "1", "x-ab", "2", "c-b", "3", "x-bowline-port", "4", "x-added", "5", "z", "6"];
    expect(question(headers)).toEqual({
      ...{ method: "PUT", scheme: "http", authority: "web:80", path: "/check/a?b", bodyLength: 0 },
      headers: ["cookie", "1", "x-ab", "2", "c-b", "3", "x-added", "ours"],
    });
    const body = { chunks: [new Uint8Array(3)], bytes: 3, partial: true };
    expect(question([], body)).toMatchObject({
      headers: ["x-added", "ours", "x-envoy-auth-partial-body", "true"],
      bodyLength: 3,
    });
  });

  test("takes 200 for a permission, 5xx for an error, and all else for a denial", () => {
    const { judge } = { judge: (status: number) => authorizer().judge(answer(status))?.type ?? null };
    expect([200, 500, 503, 204, 201, 302, 403].map(judge))
      .toEqual(["allowed", "failed", "failed", null, null, null, null]);
  });

  test("passes on what is named, and never a field of proxies or another authority", () => {
    const given = ["x-user", "ann", "x-told", "yes", "host", "evil", "x-bowline-peer", "p", "x-other", "o"];
    expect(authorizer().judge(answer(200, ...given)))
      .toEqual({ type: "allowed", request: ["x-user", "ann"], answer: ["x-told", "yes"] });
    const denied = (more: Partial<ExtAuthz>) => {
      const permission = authorizer(more).denial(answer(401, ...given, "location", "/login"), null);
      return permission.type === "denied" ? permission.reply.headers : null;
    };
    expect(denied({})).toEqual(["x-user", "ann", "x-told", "yes", "x-other", "o", "location", "/login"]);
    expect(denied({ denyHeaders: ["x-other"] })).toEqual(["x-other", "o", "location", "/login"]);
  });

  test("an answer whose fields are too many allows nothing, and of a denial they are left out", () => {
    const most = "a".repeat(PASSED_FIELDS_BYTES_MAX - "x-user".length);
    expect(authorizer().judge(answer(200, "x-user", most))?.type).toBe("allowed");
    expect(authorizer().judge(answer(200, "x-user", `${most}a`))?.type).toBe("failed");
    const denial = authorizer().denial(answer(403, "x-user", `${most}a`), null);
    expect(denial).toMatchObject({ type: "denied", reply: { status: 403, headers: [] } });
  });
});
