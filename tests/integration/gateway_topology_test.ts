/** Who the client is where proxies stand before a gateway, and that nobody else can say so. */
import { beforeAll, expect } from "bun:test";
import { type Echo, startEcho } from "./apps.ts";
import { bowline, endEverythingAfterwards, scenario, until } from "./bowline.ts";
import { curl } from "./clients.ts";
import { gateway, ingress, routes, TO_WEB } from "./gateways.ts";
import { Mesh } from "./mesh.ts";
import { meshConfig, service, workload } from "./resources.ts";

const mesh = new Mesh("127.0.83");
const WEB = mesh.address(11);
const GATEWAY = mesh.address(20);
/** The proxy before the gateway, as the gateway's connections show it. */
const PROXY = mesh.address(30);
const PORT = 8080;
const CLIENT = "203.0.113.7";
const OTHER = "198.51.100.1";

endEverythingAfterwards();

const SERVERS = `
- { port: { number: ${PORT}, name: http, protocol: HTTP }, hosts: [web.test] }
- { port: { number: ${PORT}, name: http-safe, protocol: HTTP }, hosts: [safe.test], tls: { httpsRedirect: true } }
`;

const POLICIES = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: edge, namespace: edge }
spec:
  rules:
  - from: [{ source: { remoteIpBlocks: [203.0.113.0/24] } }]
    to: [{ operation: { paths: [/gate] } }]
  - from: [{ source: { ipBlocks: [${PROXY}] } }]
    to: [{ operation: { paths: [/peer] } }]
  - to: [{ operation: { paths: [/work, /free] } }]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: web, namespace: shop }
spec:
  selector: { matchLabels: { app: web } }
  rules:
  - from: [{ source: { remoteIpBlocks: [203.0.113.0/24] } }]
    to: [{ operation: { paths: [/work] } }]
  - to: [{ operation: { notPaths: [/work] } }]
`;

function topology(text: string): void {
  mesh.write(
    "mesh.yaml",
    meshConfig(`{ defaultConfig: { gatewayTopology: { ${text} } } }`),
  );
}

beforeAll(async () => {
  mesh.write(
    "resources.yaml",
    service("web"),
    workload("web", WEB),
    ingress(GATEWAY),
    gateway("main", SERVERS),
    routes("web", "web.test", TO_WEB),
    routes("safe", "safe.test", TO_WEB),
    POLICIES,
  );
  await startEcho("web", WEB);
  await mesh.startControlPlane();
  await mesh.startSidecar("shop/web", { at: 11 });
  await mesh.startSidecar("edge/ingress", { at: 20, role: "gateway" });
  await mesh.untilSynced(2);
});

/** What the proxy before the gateway gets, with each of these as a field of `x-forwarded-for`. */
function ask(path: string, forwardedFor: readonly string[], ...args: readonly string[]) {
  const fields = forwardedFor.flatMap((value) => ["-H", `x-forwarded-for: ${value}`]);
  return curl(
    ...["--interface", PROXY, "-H", "Host: web.test", ...fields, ...args],
    `http://${GATEWAY}:${PORT}${path}`,
  );
}

/** Statuses of the gateway's and the workload's policy about the client, and of the gateway's about its peer. */
async function statuses(...forwardedFor: readonly string[]): Promise<number[]> {
  const answers = ["/gate", "/work", "/peer"].map((path) => ask(path, forwardedFor));
  return (await Promise.all(answers)).map(({ status }) => status);
}

async function headers(...args: readonly string[]): Promise<Echo["headers"]> {
  return (JSON.parse((await ask("/free", [CLIENT], ...args)).body) as Echo).headers;
}

/** The status at a host that redirects to HTTPS, where the proxy says what its client spoke. */
async function secured(scheme: string): Promise<number> {
  const fields = ["-H", "Host: safe.test", "-H", `x-forwarded-proto: ${scheme}`];
  return (await curl("--interface", PROXY, ...fields, `http://${GATEWAY}:${PORT}/free`)).status;
}

/** What `explain` says of both policies. */
async function explained(path: string, forwardedFor: string): Promise<readonly unknown[]> {
  const { code, stdout } = await bowline([
    ...["explain", "--config", mesh.config, "--from", "edge/ingress", "--client", PROXY, "-o", "json"],
    ...["-H", `x-forwarded-for: ${forwardedFor}`, `http://web.test:${PORT}${path}`],
  ]);
  expect(code).toBe(0);
  const { gatewayAuthorization, authorization } = JSON.parse(stdout);
  return [gatewayAuthorization.decision, authorization.decision];
}

const FORGED = [403, 403, 200];
const BELIEVED = [200, 200, 200];

scenario("without proxies before a gateway nobody is believed", async () => {
  expect(await statuses()).toEqual(FORGED);
  expect(await statuses(CLIENT)).toEqual(FORGED);
  expect(await statuses(`${CLIENT}, ${CLIENT}`, CLIENT)).toEqual(FORGED);
  const forwarded = await headers(
    "-H",
    "x-forwarded-proto: https",
    "-H",
    `x-envoy-external-address: ${CLIENT}`,
  );
  expect(forwarded["x-forwarded-for"]).toBe(`${CLIENT},${PROXY}`);
  expect(forwarded["x-forwarded-proto"]).toBe("http");
  expect(forwarded["x-envoy-external-address"]).toBeUndefined();
  expect(await secured("https")).toBe(301);
  expect(await explained("/gate", CLIENT)).toEqual(["deny", "allow"]);
});

scenario("with one, the last entry is the client, and what a client wrote before it is not", async () => {
  topology("numTrustedProxies: 1");
  await until(
    "the gateway and the workload believe",
    async () => (await statuses(CLIENT)).join() === "200,200,200",
  );
  expect(await statuses()).toEqual(FORGED);
  expect(await statuses(`${CLIENT}, ${OTHER}`)).toEqual(FORGED);
  expect(await statuses(CLIENT, OTHER)).toEqual(FORGED);
  expect(await statuses(OTHER, CLIENT)).toEqual(BELIEVED);
  expect(await statuses(`${CLIENT},`)).toEqual(FORGED);
  const forwarded = await headers("-H", "x-forwarded-proto: https");
  expect(forwarded["x-envoy-external-address"]).toBe(CLIENT);
  expect(forwarded["x-forwarded-proto"]).toBe("https");
  expect([await secured("http"), await secured("https")]).toEqual([301, 200]);
  expect(await explained("/gate", CLIENT)).toEqual(["allow", "allow"]);
  expect(await explained("/work", `${CLIENT},${OTHER}`)).toEqual(["allow", "deny"]);
});

scenario("with two, the one before the last, and of fewer the gateway's peer", async () => {
  topology("numTrustedProxies: 2, forwardClientCertDetails: ALWAYS_FORWARD_ONLY");
  const chain = `${CLIENT}, ${OTHER}`;
  await until(
    "the gateway and the workload believe",
    async () => (await statuses(chain)).join() === "200,200,200",
  );
  expect(await statuses(CLIENT)).toEqual(FORGED);
  expect(await statuses(`${chain}, ${OTHER}`)).toEqual(FORGED);
  expect(await statuses(OTHER, chain)).toEqual(BELIEVED);
  expect(await explained("/work", chain)).toEqual(["allow", "allow"]);
  // Read from its end, where the workload's sidecar says what it saw itself.
  const certificates = (await headers("-H", "x-forwarded-client-cert: Hash=said"))["x-forwarded-client-cert"];
  expect(certificates).toStartWith("Hash=said,By=spiffe://cluster.local/ns/shop/sa/web;");
  expect(certificates).toEndWith("URI=spiffe://cluster.local/ns/edge/sa/ingress");
});
