/** What rules do with requests besides choosing where they go: each action, with real traffic over HTTP/1 and gRPC. */
import { beforeAll, describe, expect } from "bun:test";
import { status } from "@grpc/grpc-js";
import { type Echo, sha256, startEcho } from "./apps.ts";
import { bowline, endEverythingAfterwards, scenario, until } from "./bowline.ts";
import { runCurl, viaSidecar } from "./clients.ts";
import { bundleServer, GrpcClient, GrpcServer, ORDERS } from "./grpc_peers.ts";
import { Mesh } from "./mesh.ts";
import { service, subsets, virtualService, workload } from "./resources.ts";

const GRPC_PORT = 50_051;
const SPLIT_REQUESTS = 1_000;

const mesh = new Mesh("127.0.37");
const CLIENT = mesh.address(10);
const V1 = mesh.address(11);
const V2 = mesh.address(12);
const COPY = mesh.address(13);
const GRPC = mesh.address(14);

/** How often a path of the first version was asked for. */
const asked = new Map<string, number>();
/** What reached the mirror: path, authority and length of the body. */
const copies: string[] = [];

endEverythingAfterwards();

beforeAll(async () => {
  mesh.write(
    "services.yaml",
    service("shop"),
    service("copy"),
    service("orders", GRPC_PORT).replace("name: http", "name: grpc-api"),
  );
  mesh.write(
    "workloads.yaml",
    workload("client", CLIENT),
    workload("shop-v1", V1, { app: "shop" }),
    workload("shop-v2", V2, { app: "shop", version: "v2" }),
    workload("copy", COPY, { serviceAccount: null }),
    workload("orders", GRPC),
  );
  mesh.write(
    "routes.yaml",
    subsets("shop"),
    virtualService("shop", SHOP),
    virtualService("orders", ORDERS_RULES),
  );
  mesh.write(
    "delegate.yaml",
    `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: team, namespace: shop }
spec:
  http:
  - match: [{ uri: { prefix: /team/two } }]
    route: [{ destination: { host: shop, subset: v2 } }]
  - route: [{ destination: { host: shop, subset: v1 } }]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: asked, namespace: shop }
spec:
  http:
  # Not within the match that delegates here, as Istio compares them.
  - match: [{ headers: { x-team: { exact: two } } }]
    directResponse: { status: 418 }
  - route: [{ destination: { host: shop, subset: v2 } }]
`,
  );
  await mesh.startControlPlane();
  await Promise.all([
    mesh.startSidecar("shop/client", { at: 10 }),
    mesh.startSidecar("shop/shop-v1", { at: 11 }),
    mesh.startSidecar("shop/shop-v2", { at: 12 }),
    mesh.startSidecar("shop/orders", { at: 14 }),
  ]);
  await startEcho("shop-v1", V1, (request, response) => {
    const path = request.url ?? "";
    const count = (asked.get(path) ?? 0) + 1;
    asked.set(path, count);
    if (path.startsWith("/slow")) return true;
    if (path.startsWith("/once") && count === 1) return true;
    const fails = path.startsWith("/flaky") ? count <= 2 : path.startsWith("/broken");
    if (!fails) return false;
    // An answer that overtakes a large body would find a part of it that can still be sent again.
    request.resume().on("end", () => response.writeHead(503).end("not now"));
    return true;
  });
  await startEcho("shop-v2", V2);
  await startEcho("copy", COPY, (request, response) => {
    let length = 0;
    request.on("data", (chunk: Buffer) => length += chunk.length);
    request.on("end", () => {
      copies.push(`${request.url} ${request.headers.host} ${length}`);
      response.writeHead(500).end();
    });
    return true;
  });
  const program = await bundleServer(mesh.directory);
  await GrpcServer.start(program, `${GRPC}:${GRPC_PORT}`);
  await mesh.untilSynced(4);
});

const V1_ROUTE = "route: [{ destination: { host: shop, subset: v1 } }]";

const SHOP = `
- match: [{ uri: { prefix: /old/ } }]
  rewrite: { uri: /new/, authority: renamed }
  ${V1_ROUTE}
- match: [{ uri: { regex: "/item/[0-9]+" } }]
  rewrite: { uriRegexRewrite: { match: "/item/([0-9]+)", rewrite: '/items?id=\\1' } }
  ${V1_ROUTE}
- match: [{ uri: { exact: /moved } }]
  redirect: { uri: /here, authority: shop.example.com, scheme: https, redirectCode: 308 }
- match: [{ uri: { exact: /teapot } }]
  directResponse: { status: 418, body: { string: short and stout } }
  headers: { response: { set: { x-made-by: the proxy } } }
- match: [{ uri: { prefix: /formats } }]
  headers:
    request:
      set: { x-set: "%REQ(x-team?x-user):3%", x-kept: "%REQ(x-none)%", x-whole: "100%%" }
      add: { x-add: "%PROTOCOL% %REQ(:method)% %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%" }
    response: { set: { x-code: "%RESPONSE_CODE% for %REQ(:path)%" } }
  route: [{ destination: { host: shop, subset: v1 } }]
- match: [{ uri: { prefix: /headers } }]
  headers:
    request: { set: { x-set: rule }, add: { x-add: rule }, remove: [x-gone] }
    response: { set: { x-answer: rule }, remove: [content-type] }
  ${V1_ROUTE}
- match: [{ uri: { prefix: /aborted } }]
  fault: { abort: { percentage: { value: 100 }, httpStatus: 555 } }
  ${V1_ROUTE}
- match: [{ uri: { prefix: /half } }]
  fault: { abort: { percentage: { value: 50 }, httpStatus: 503 } }
  ${V1_ROUTE}
- match: [{ uri: { prefix: /delayed } }]
  fault: { delay: { percentage: { value: 100 }, fixedDelay: 500ms } }
  ${V1_ROUTE}
- match: [{ uri: { prefix: /slow } }]
  timeout: 400ms
  ${V1_ROUTE}
- match: [{ uri: { prefix: /once } }]
  retries: { attempts: 2, perTryTimeout: 400ms, retryOn: "5xx" }
  ${V1_ROUTE}
- match: [{ uri: { prefix: /flaky } }, { uri: { prefix: /broken } }]
  retries: { attempts: 2, retryOn: "503" }
  ${V1_ROUTE}
- match: [{ uri: { prefix: /mirrored } }]
  mirrors: [{ destination: { host: copy } }]
  ${V1_ROUTE}
- match: [{ uri: { prefix: /cors } }]
  corsPolicy: { allowOrigins: [{ regex: "https://.*\\\\.example\\\\.com" }], allowMethods: [GET], maxAge: 1h }
  ${V1_ROUTE}
- match: [{ uri: { prefix: /split } }]
  route:
  - { destination: { host: shop, subset: v1 }, weight: 80 }
  - { destination: { host: shop, subset: v2 }, weight: 20, headers: { response: { set: { x-half: second } } } }
- match: [{ uri: { prefix: /team } }]
  delegate: { name: team }
- match: [{ uri: { prefix: /asked }, headers: { x-team: {} } }]
  delegate: { name: asked }
- ${V1_ROUTE}
`;

const ORDERS_RULES = `
- match: [{ uri: { exact: /mesh.Orders/Fail } }]
  fault: { abort: { percentage: { value: 100 }, grpcStatus: RESOURCE_EXHAUSTED } }
  route: [{ destination: { host: orders } }]
- match: [{ uri: { exact: /mesh.Orders/Hang } }]
  timeout: 300ms
  route: [{ destination: { host: orders } }]
- headers: { request: { set: { x-sent: by the rule } } }
  route: [{ destination: { host: orders } }]
`;

async function echo(path: string, ...args: string[]): Promise<Echo> {
  return JSON.parse((await viaSidecar(CLIENT, "shop", path, ...args)).body) as Echo;
}

async function answer(path: string, ...args: string[]) {
  const { status, headers, body } = await viaSidecar(CLIENT, "shop", path, ...args);
  return { status, body, header: (name: string) => headers[name]?.join() };
}

describe("what goes upstream", () => {
  scenario("another path and authority; the old path beside it, which no client can lie about", async () => {
    const { path, headers } = await echo("/old/a?b=c", "-H", "x-envoy-original-path: /lie");
    expect([path, headers["host"], headers["x-envoy-original-path"]]).toEqual([
      "/new/a?b=c",
      "renamed",
      "/old/a?b=c",
    ]);
    expect((await echo("/item/42")).path).toBe("/items?id=42");
    expect((await echo("/", "-H", "x-envoy-original-path: /lie")).headers).not.toHaveProperty(
      "x-envoy-original-path",
    );
  });

  scenario("headers, set, added and removed, both ways", async () => {
    const fields = ["-H", "x-set: client", "-H", "x-add: client", "-H", "x-gone: client"];
    const { headers } = await echo("/headers", ...fields);
    expect([headers["x-set"], headers["x-add"], headers["x-gone"]]).toEqual([
      "rule",
      "client, rule",
      undefined,
    ]);
    const { header } = await answer("/headers");
    expect([header("x-answer"), header("content-type")]).toEqual(["rule", undefined]);
  });

  scenario("to a delegate's destination, by the match of both", async () => {
    expect((await echo("/team/one")).app).toBe("shop-v1");
    expect((await echo("/team/two")).app).toBe("shop-v2");
    expect((await echo("/asked", "-H", "x-team: two")).app).toBe("shop-v2");
    expect((await echo("/asked")).app).toBe("shop-v1");
  });

  scenario("divided by weight, within three standard deviations", async () => {
    const urls = `http://${CLIENT}:15001/split?[1-${SPLIT_REQUESTS}]`;
    const { stdout } = await runCurl(["--silent", "--include", "-H", "Host: shop", urls]);
    const count = (text: string) => stdout.split(text).length - 1;
    const second = count('"app":"shop-v2"');
    expect(second + count('"app":"shop-v1"')).toBe(SPLIT_REQUESTS);
    expect(count("x-half: second")).toBe(second);
    const deviation = Math.sqrt(SPLIT_REQUESTS * 0.2 * 0.8);
    expect(Math.abs(second - SPLIT_REQUESTS * 0.2)).toBeLessThanOrEqual(3 * deviation);
  });
});

describe("what the proxy answers itself", () => {
  scenario("a redirect", async () => {
    const { status, header } = await answer("/moved?a=b");
    expect([status, header("location")]).toEqual([308, "https://shop.example.com/here?a=b"]);
  });

  scenario("headers with values that are made for each request", async () => {
    const fields = ["x-user: alice", "x-kept: mine"].flatMap((field) => ["-H", field]);
    for (
      const [version, spoken] of [["--http1.1", "HTTP/1.1"], ["--http2-prior-knowledge", "HTTP/2"]] as const
    ) {
      const { headers } = await echo("/formats?x=1", version, ...fields);
      expect([headers["x-set"], headers["x-kept"], headers["x-whole"], headers["x-add"]]).toEqual([
        "ali",
        "mine",
        "100%",
        `${spoken} GET ${CLIENT}`,
      ]);
    }
    expect((await answer("/formats?x=1")).header("x-code")).toBe("200 for /formats?x=1");
  });

  scenario("a direct response with its headers", async () => {
    const { status, body, header } = await answer("/teapot");
    expect([status, body, header("x-made-by")]).toEqual([418, "short and stout", "the proxy"]);
    expect((await answer("/teapot", "-I")).header("content-length")).toBe("15");
  });

  scenario("a fault, always or for its share of the requests", async () => {
    const { status, body, header } = await answer("/aborted", "-d", "x".repeat(100_000));
    expect([status, body]).toEqual([555, "fault filter abort"]);
    expect(header("x-bowline-reply")).toStartWith("FI fault_filter_abort; outbound shop/client");
    const answers = await Promise.all(Array.from({ length: 60 }, () => answer("/half")));
    const aborted = answers.filter((one) => one.status === 503).length;
    expect(aborted).toBeGreaterThan(10);
    expect(aborted).toBeLessThan(50);
  });

  scenario("a preflight, and what the answer permits", async () => {
    const origin = ["-H", "Origin: https://shop.example.com"];
    const preflight = ["-X", "OPTIONS", "-H", "Access-Control-Request-Method: GET"];
    const before = asked.get("/cors");
    const { status, header } = await answer("/cors", ...origin, ...preflight);
    expect([status, header("access-control-allow-origin"), header("access-control-max-age")]).toEqual([
      200,
      "https://shop.example.com",
      "3600",
    ]);
    expect(asked.get("/cors")).toBe(before);
    expect((await answer("/cors", ...origin)).header("access-control-allow-origin")).toBe(
      "https://shop.example.com",
    );
    const evil = await answer("/cors", "-H", "Origin: https://evil.example.org");
    expect([evil.status, evil.header("access-control-allow-origin")]).toEqual([200, undefined]);
  });
});

describe("time and attempts", () => {
  scenario("a delay, then the request as it was", async () => {
    const body = "x".repeat(50_000);
    const startedMs = performance.now();
    const { bodyHash } = await echo("/delayed", "-d", body);
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(500);
    expect(bodyHash).toBe(sha256(Buffer.from(body)));
  });

  scenario("a timeout: 504 UT, and the next request is served", async () => {
    const { status, body, header } = await answer("/slow");
    expect([status, body]).toEqual([504, "upstream request timeout"]);
    expect(header("x-bowline-reply")).toStartWith("UT response_timeout; outbound shop/client");
    expect((await answer("/")).status).toBe(200);
  });

  scenario("a status that is retried, with the body, until it is another one", async () => {
    const body = "x".repeat(200_000);
    const { bodyHash, bodyBytes, headers } = await echo(
      "/flaky",
      "--data-binary",
      `@${mesh.file("body", body)}`,
    );
    expect([bodyBytes, bodyHash]).toEqual([200_000, sha256(Buffer.from(body))]);
    expect(headers["x-envoy-attempt-count"]).toBe("3");
    expect(asked.get("/flaky")).toBe(3);
  });

  scenario("the last answer when no attempt is left", async () => {
    const { status, body } = await answer("/broken");
    expect([status, body]).toEqual([503, "not now"]);
    expect(asked.get("/broken")).toBe(3);
  });

  scenario("a request that is too large to be kept is tried once", async () => {
    const { status } = await answer(
      "/broken/large",
      "--data-binary",
      `@${mesh.file("large", "x".repeat(300_000))}`,
    );
    expect(status).toBe(503);
    expect(asked.get("/broken/large")).toBe(1);
  });

  scenario("an attempt that takes too long, and another one", async () => {
    expect((await answer("/once")).status).toBe(200);
    expect(asked.get("/once")).toBe(2);
  });
});

describe("mirrors", () => {
  scenario("get a copy that nobody waits for", async () => {
    const { status, body } = await answer("/mirrored?a", "-d", "x".repeat(1_000));
    expect([status, (JSON.parse(body) as Echo).app]).toEqual([200, "shop-v1"]);
    await until("the copy arrived", () => copies.length > 0);
    expect(copies).toEqual(["/mirrored?a shop-shadow 1000"]);
  });
});

describe("gRPC", () => {
  scenario("faults, timeouts and headers in its own terms", async () => {
    const client = new GrpcClient(CLIENT, `orders:${GRPC_PORT}`);
    const echoed = await client.call(ORDERS.echo, "hello");
    expect([echoed.code, echoed.initial?.get("x-back")]).toEqual([status.OK, ["by the rule"]]);
    const aborted = await client.call(ORDERS.fail, "5 no");
    expect([aborted.code, aborted.details]).toEqual([status.RESOURCE_EXHAUSTED, "fault filter abort"]);
    const hung = await client.call(ORDERS.hang, "forever");
    expect([hung.code, hung.details]).toEqual([status.UNAVAILABLE, "upstream request timeout"]);
    client.close();
  });
});

describe("explain", () => {
  scenario("says what the proxy did", async () => {
    const explain = async (path: string) => {
      const args = ["explain", "--config", mesh.config, "--from", "shop/client", `http://shop:8080${path}`];
      const { code, stdout } = await bowline([...args, "-o", "json"]);
      expect(code).toBe(0);
      return JSON.parse(stdout) as Record<string, unknown>;
    };
    expect(await explain("/old/a?b=c")).toMatchObject({
      action: "forward",
      rewrite: { authority: "renamed", path: "/new/a?b=c" },
    });
    const { header } = await answer("/moved?a=b");
    expect(await explain("/moved?a=b")).toMatchObject({
      action: "redirect",
      redirect: { code: 308, location: header("location") },
    });
    expect(await explain("/teapot")).toMatchObject({
      directResponse: { status: 418, body: "short and stout" },
    });
    expect(await explain("/aborted")).toMatchObject({ action: "abort", destinations: [] });
    expect(await explain("/slow")).toMatchObject({ timeoutMs: 400 });
    expect(await explain("/flaky")).toMatchObject({ retries: { attempts: 2, retryOn: "503" } });
    expect(await explain("/mirrored")).toMatchObject({
      mirrors: [{ host: "copy.shop.svc.cluster.local", port: 8080, percentage: 100 }],
    });
    expect(await explain("/team/two")).toMatchObject({ route: { virtualService: "shop/team", rule: 0 } });
  });
});
