/** What a route does with a request besides choosing its cluster: rewrites, redirects, answers, headers, CORS. */
import { describe, expect, test } from "bun:test";
import { type CorsPolicy, type HeaderEdits, NO_CONDITIONS, type Route } from "../../../../src/model/route.ts";
import { DEFAULT_LIMITS } from "../../../../src/model/limits.ts";
import type { RequestHead } from "../../../../src/proxy/exchange.ts";
import { headBytes, meshHopLimits } from "../../../../src/proxy/mesh_hop.ts";
import { cluster } from "../data_plane.ts";
import { accepted, forward, OTHER_CLUSTER, routedPlane } from "../routed_plane.ts";
import { OK } from "../http1/upstream.ts";

/** The request that reached the upstream, and the answer that the client got to `OK`. */
async function through(route: Partial<Route>, path = "/", ...fields: string[]): Promise<[string, string]> {
  const plane = routedPlane(route);
  const client = plane.caller();
  client.get(path, ...fields);
  const upstream = accepted(plane);
  const request = await upstream.read();
  upstream.say(OK);
  return [request, await client.read()];
}

/** The answer of a route that asks nobody. */
async function answered(route: Partial<Route>, path = "/", ...fields: string[]): Promise<string> {
  const plane = routedPlane(route);
  const client = plane.caller();
  client.get(path, ...fields);
  expect(plane.network.attempts).toEqual([]);
  return await client.read();
}

/** The head of a request as it went out. */
function headOf(request: string): RequestHead {
  const [first, ...lines] = request.trimEnd().split("\r\n");
  const [method = "", path = ""] = (first ?? "").split(" ");
  const headers = lines.flatMap((line) => line.split(/: ?/, 2));
  const [host] = headers.splice(headers.indexOf("host"), 2).slice(1);
  return { method, scheme: "http", authority: host ?? "", path, headers, bodyLength: 0 };
}

function edits(more: Partial<HeaderEdits>): HeaderEdits {
  return { set: [], add: [], remove: [], ...more };
}

describe("rewrite", () => {
  const prefixed = [{ ...NO_CONDITIONS, path: { type: "prefix", value: "/api" } as const }];
  const rewrite = { authority: null, path: { type: "matched", value: "/v2" } as const };

  test("replaces the path, and says what it was; nobody outside can say that", async () => {
    const action = forward({ rewrite });
    const [request] = await through({ matches: prefixed, action }, "/api/x?q", "X-Envoy-Original-Path: /lie");
    expect(request).toStartWith("GET /v2/x?q HTTP/1.1\r\nhost: shop\r\n");
    expect(request.match(/x-envoy-original-path: .*/g)).toEqual(["x-envoy-original-path: /api/x?q"]);
  });

  test("replaces by the block that matched, of several", async () => {
    const matches = [...prefixed, { ...NO_CONDITIONS, path: { type: "exact", value: "/whole" } as const }];
    const [request] = await through({ matches, action: forward({ rewrite }) }, "/whole");
    expect(request).toStartWith("GET /v2 HTTP/1.1\r\n");
  });

  test("is decided by the request as it came, before headers are edited", async () => {
    const [request] = await through(
      {
        matches: [{
          ...prefixed[0] as typeof NO_CONDITIONS,
          headers: [{ name: "a", match: { type: "present" } }],
        }],
        action: forward({ rewrite }),
        requestHeaders: edits({ remove: ["a"] }),
      },
      "/api/x",
      "A: 1",
    );
    expect(request).toStartWith("GET /v2/x HTTP/1.1\r\n");
  });

  test("brings the new path into its one form, or refuses what has none", async () => {
    const path = { type: "matched", value: "/" } as const;
    const action = forward({ rewrite: { authority: null, path } });
    const [request] = await through({ matches: prefixed, action }, "/api/x");
    expect(request).toStartWith("GET /x HTTP/1.1\r\n");
    const slash = forward({ rewrite: { authority: null, path: { type: "matched", value: "/%2F" } } });
    expect(await answered({ matches: prefixed, action: slash }, "/api/x")).toStartWith("HTTP/1.1 400 ");
  });

  test("by a regex that has too much to replace is refused", async () => {
    const path = { type: "regex", match: "a", substitution: "b" } as const;
    const action = forward({ rewrite: { authority: null, path } });
    const [request] = await through({ action }, `/${"a".repeat(723)}`);
    expect(request).toStartWith("GET /bbb");
    const answer = await answered({ action }, `/${"a".repeat(724)}`);
    expect(answer).toStartWith("HTTP/1.1 400 ");
    expect(answer).toContain("path_rewrite_failed{too_many_matches}");
  });

  test("replaces the authority, before that of a destination", async () => {
    const destinations = [{ cluster: cluster().name, weight: 1, authority: "theirs" }];
    expect((await through({ action: forward({ destinations }) }))[0]).toContain("host: theirs\r\n");
    const action = forward({ destinations, rewrite: { authority: "ours", path: null } });
    const [request] = await through({ action });
    expect(request).toContain("host: ours\r\n");
    expect(request).not.toContain("x-envoy-original-path");
  });
});

describe("a head that grows by its rules", () => {
  const { requestHeaderBytes } = meshHopLimits(DEFAULT_LIMITS);

  test.each<[string, Partial<Route>]>([
    ["by a field", { requestHeaders: edits({ set: [["x", "y".repeat(40_000)]] }) }],
    ["by the path that was", {
      action: forward({
        rewrite: { authority: null, path: { type: "matched", value: `/${"y".repeat(40_000)}` } },
      }),
    }],
  ])("%s goes on as long as the next proxy would take it", async (_, route) => {
    const field = (bytes: number) => `A: ${"z".repeat(bytes)}`;
    const [request] = await through(route, "/", field(0));
    const room = requestHeaderBytes - headBytes(headOf(request));
    expect((await through(route, "/", field(room)))[0]).toStartWith("GET ");
    const answer = await answered(route, "/", field(room + 1));
    expect(answer).toStartWith("HTTP/1.1 431 ");
    expect(answer).toContain("request_headers_too_large; outbound ");
  });
});

describe("redirect and direct response", () => {
  test("a redirect is answered without asking anybody, and counted", async () => {
    const action = {
      type: "redirect",
      code: 308,
      path: { type: "full", value: "/new" },
      authority: null,
      scheme: "https",
      port: null,
    } as const;
    const plane = routedPlane({ action });
    const client = plane.caller();
    client.get("/old?q=1");
    const answer = await client.read();
    expect(answer).toStartWith("HTTP/1.1 308 Permanent Redirect\r\n");
    expect(answer).toContain("location: https://shop/new?q=1\r\n");
    expect(answer).toEndWith("content-length: 0\r\n\r\n");
    expect(plane.counted()).toEqual(["308 - unknown"]);
  });

  test("a direct response has its status and body, as text or as bytes", async () => {
    const respond = (body: { text: string } | { base64: string } | null) =>
      answered({ action: { type: "directResponse", status: 418, body } });
    expect(await respond({ text: "närrisch" })).toMatch(
      /^HTTP\/1\.1 418 [^]*content-type: text\/plain\r\n[^]*content-length: 9\r\n\r\nn\u00c3\u00a4rrisch$/,
    );
    expect(await respond({ base64: "/wA=" })).toEndWith("content-length: 2\r\n\r\n\u00ff\u0000");
    expect(await respond(null)).toEndWith("content-length: 0\r\n\r\n");
  });

  test("a direct response can have headers, and speaks gRPC to gRPC", async () => {
    const action = { type: "directResponse", status: 404, body: { text: "no" } } as const;
    const responseHeaders = edits({ set: [["content-type", "application/json"]] });
    expect(await answered({ action, responseHeaders })).toContain("content-type: application/json\r\n");
    const grpc = await answered({ action }, "/", "Content-Type: application/grpc");
    expect(grpc).toStartWith("HTTP/1.1 200 OK\r\n");
    expect(grpc).toContain("grpc-status: 12\r\ngrpc-message: no\r\n");
  });
});

describe("header operations", () => {
  test("requests and responses are edited, those of a destination first", async () => {
    const [request, response] = await through(
      {
        action: forward({
          destinations: [{
            cluster: cluster().name,
            weight: 1,
            requestHeaders: edits({ set: [["x-a", "destination"]], add: [["x-b", "destination"]] }),
            responseHeaders: edits({ set: [["x-c", "destination"]] }),
          }],
        }),
        requestHeaders: edits({ set: [["x-a", "rule"]], add: [["x-b", "rule"]], remove: ["x-gone"] }),
        responseHeaders: edits({ set: [["x-c", "rule"]] }),
      },
      "/",
      "X-A: client",
      "X-Gone: 1",
    );
    expect(request.match(/x-(a|b|gone): .*/g)).toEqual(["x-b: destination", "x-a: rule", "x-b: rule"]);
    expect(response.match(/x-c: .*/g)).toEqual(["x-c: rule"]);
  });

  test("every attempt has them once", async () => {
    const plane = routedPlane({ requestHeaders: edits({ add: [["x-a", "1"]] }) });
    const client = plane.caller();
    client.get();
    plane.network.last.refuse();
    plane.clock.advance(500);
    expect((await accepted(plane).read()).match(/x-a: 1/g)).toHaveLength(1);
  });

  test("answers that the proxy makes itself are edited too", async () => {
    const action = forward({ destinations: [{ cluster: "nowhere", weight: 1 }] });
    const answer = await answered({ action, responseHeaders: edits({ set: [["x-a", "1"]] }) });
    expect(answer).toStartWith("HTTP/1.1 503 ");
    expect(answer).toContain("x-a: 1\r\n");
  });
});

describe("corsPolicy", () => {
  const policy: CorsPolicy = {
    allowOrigins: [{ type: "exact", value: "https://shop.test" }, {
      type: "regex",
      value: "https://.*[.]test",
    }],
    allowMethods: "GET,PUT",
    allowHeaders: "x-a",
    exposeHeaders: "x-b",
    maxAgeSeconds: 60,
    allowCredentials: true,
    unmatchedPreflights: "FORWARD",
  };

  async function preflight(cors: CorsPolicy, origin: string): Promise<{ asked: number; answer: string }> {
    const plane = routedPlane({ cors });
    const client = plane.caller();
    client.send(
      `OPTIONS / HTTP/1.1\r\nHost: shop\r\nOrigin: ${origin}\r\nAccess-Control-Request-Method: PUT\r\n\r\n`,
    );
    return { asked: plane.network.attempts.length, answer: await client.read() };
  }

  test("a preflight of an allowed origin is answered with its permissions", async () => {
    const { asked, answer } = await preflight(policy, "https://a.test");
    expect(asked).toBe(0);
    expect(answer).toStartWith("HTTP/1.1 200 OK\r\n");
    expect(answer.match(/access-control-.*/g)).toEqual([
      "access-control-allow-origin: https://a.test",
      "access-control-allow-credentials: true",
      "access-control-allow-methods: GET,PUT",
      "access-control-allow-headers: x-a",
      "access-control-max-age: 60",
    ]);
  });

  test("a preflight of another origin is sent on, or answered without a permission", async () => {
    expect((await preflight(policy, "https://evil")).asked).toBe(1);
    const { asked, answer } = await preflight({ ...policy, unmatchedPreflights: "IGNORE" }, "https://evil");
    expect(asked).toBe(0);
    expect(answer).toStartWith("HTTP/1.1 200 OK\r\n");
    expect(answer).not.toContain("access-control-");
  });

  test("the origin * allows all, and each is told of itself", async () => {
    const { answer } = await preflight(
      { ...policy, allowOrigins: [{ type: "exact", value: "*" }] },
      "https://x",
    );
    expect(answer).toContain("access-control-allow-origin: https://x\r\n");
  });

  test("the answer to an allowed origin permits it, whatever the upstream says; to another it stays", async () => {
    const plane = routedPlane({ cors: policy });
    for (const origin of ["https://shop.test", "https://evil"]) {
      const client = plane.caller();
      client.get("/", `Origin: ${origin}`);
      const upstream = accepted(plane);
      upstream.say(
        "HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
      );
      const found = (await client.read()).match(/access-control-.*/g) as string[];
      expect(found).toEqual(
        origin === "https://evil" ? ["access-control-allow-origin: *"] : [
          "access-control-allow-origin: https://shop.test",
          "access-control-allow-credentials: true",
          "access-control-expose-headers: x-b",
        ],
      );
    }
  });

  test("OPTIONS that is no preflight is a request like others", async () => {
    const plane = routedPlane({ cors: policy });
    const client = plane.caller();
    client.send("OPTIONS / HTTP/1.1\r\nHost: shop\r\nOrigin: https://shop.test\r\n\r\n");
    expect(plane.network.attempts).toHaveLength(1);
  });
});

test("mirrors and destinations of unknown clusters do not fail the request", async () => {
  const action = forward({
    mirrors: [{ cluster: "nowhere", percentage: 100 }, { cluster: OTHER_CLUSTER, percentage: 0 }],
  });
  const [, response] = await through({ action });
  expect(response).toStartWith("HTTP/1.1 200 OK\r\n");
});
