/** Fields of VirtualServices, ServiceEntries and Sidecars at a sidecar: most rules here answer by themselves, and say who they are. */
import { beforeAll, describe, expect } from "bun:test";
import { type Echo, startEcho } from "./apps.ts";
import { endEverythingAfterwards, scenario, until } from "./bowline.ts";
import { viaSidecar } from "./clients.ts";
import { Mesh } from "./mesh.ts";
import { service, subsets, virtualService, workload } from "./resources.ts";

const mesh = new Mesh("127.0.78");
const CLIENT = mesh.address(10);
const POOLED = mesh.address(11);
const GOOD = mesh.address(21);
const BAD = mesh.address(22);
/** Of a program on 127.0.0.1, which DNS of every machine calls localhost. */
const LOCAL_PORT = 18478;

endEverythingAfterwards();

const says = (text: string, match: string) =>
  `- match: [${match}]\n  directResponse: { status: 200, body: { string: "${text}" } }`;

const MATCHES = virtualService(
  "matches",
  [
    says("any case", "{ uri: { prefix: /Any/Case }, ignoreUriCase: true }"),
    says("exact", "{ uri: { prefix: /query }, queryParams: { q: { exact: a%20b } } }"),
    says("regex", '{ uri: { prefix: /query }, queryParams: { q: { regex: "[0-9]+" } } }'),
    says("present", "{ uri: { prefix: /query }, queryParams: { flag: {} } }"),
    says("absent", "{ uri: { prefix: /query }, queryParams: { q: { exact: '' } } }"),
    says("not for this version", "{ uri: { prefix: /source }, sourceLabels: { version: v2 } }"),
    says("not for this namespace", "{ uri: { prefix: /source }, sourceNamespace: other }"),
    says(
      "for this caller",
      "{ uri: { prefix: /source }, sourceLabels: { version: v1 }, sourceNamespace: shop, statPrefix: s }",
    ),
    "- match: [{ uri: { prefix: /old/ } }]\n  redirect: { prefixRewrite: /new/, derivePort: FROM_REQUEST_PORT, redirectCode: 308 }",
    says("else", "{ uri: { prefix: / } }"),
  ].join("\n"),
);

/** Of another namespace, for itself alone, and for all. */
const FOREIGN = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: hidden, namespace: other }
spec:
  hosts: [hidden.test]
  exportTo: ["."]
  http: [{ directResponse: { status: 200, body: { string: "not to be seen" } } }]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: shown, namespace: other }
spec:
  hosts: [shown.test]
  exportTo: ["shop"]
  http: [{ directResponse: { status: 200, body: { string: "seen" } } }]
`;

const CORS = (name: string, unmatched: string) =>
  virtualService(
    name,
    `- route: [{ destination: { host: pooled } }]
  corsPolicy:
    allowOrigins: [{ exact: "https://good.test" }]
    allowMethods: [GET]
    allowHeaders: [x-asked]
    exposeHeaders: [x-seen]
    allowCredentials: true
    unmatchedPreflights: ${unmatched}`,
  );

/** An outside host: near the caller everything fails, far from it nothing does. */
function outside(
  name: string,
  policy: string,
  retries: string,
  places: readonly (readonly [string, string])[],
): string {
  const endpoints = places.map(([address, locality]) => `{ address: ${address}, locality: ${locality} }`)
    .join(", ");
  return `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${name}, namespace: shop }
spec:
  hosts: [${name}.test]
  ports: [{ number: 80, name: http, protocol: HTTP, targetPort: 8080 }]
  resolution: STATIC
  endpoints: [${endpoints}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: ${name}, namespace: shop }
spec: { host: ${name}.test, trafficPolicy: ${policy} }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: ${name}, namespace: shop }
spec:
  hosts: [${name}.test]
  http: [{ route: [{ destination: { host: ${name}.test } }], retries: { retryOn: "503", ${retries} } }]
`;
}

const BESIDE = [[GOOD, "west"], [BAD, "west"]] as const;
const APART = [[GOOD, "east"], [BAD, "west"]] as const;
const NEVER_EJECTS = "{ outlierDetection: { consecutive5xxErrors: 1000000 } }";
const BY_CHANCE = "{ loadBalancer: { simple: RANDOM } }";

function named(name: string, host: string, resolution: string, endpoints: string): string {
  return `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${name}, namespace: shop }
spec:
  hosts: [${host}]
  ports: [{ number: ${LOCAL_PORT}, name: http, protocol: HTTP }]
  resolution: ${resolution}
${endpoints}`;
}

const POOL = `apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: pooled, namespace: shop }
spec:
  workloadSelector: { labels: { app: pooled } }
  inboundConnectionPool: { http: { http2MaxRequests: 1 } }
`;

/** Copies of requests, by their paths. */
const copies: string[] = [];

const MIRRORED = virtualService(
  "mirrored",
  [["all", 100], ["none", 0]].map(([name, share]) =>
    `- match: [{ uri: { exact: /mirror/${name} } }]
  route: [{ destination: { host: pooled } }]
  mirror: { host: avoids.test }
  mirrorPercentage: { value: ${share} }`
  ).join("\n"),
);

/** Requests to \`/wait\` that have no answer yet. */
const waiting: (() => void)[] = [];

beforeAll(async () => {
  await startEcho("pooled", POOLED, (request, response) => {
    if (request.url !== "/wait") return false;
    waiting.push(() => void response.end());
    return true;
  });
  const copied = ({ url = "" }: { readonly url?: string }) =>
    url.startsWith("/mirror/") && copies.push(url) > 0;
  await startEcho("good", GOOD, (request) => copied(request) && false);
  await startEcho("bad", BAD, (request, response) => {
    copied(request);
    response.statusCode = 503;
    response.end();
    return true;
  });
  await startEcho("local", "127.0.0.1", undefined, LOCAL_PORT);
  mesh.write(
    "mesh.yaml",
    ...[service("matches"), MATCHES, FOREIGN, service("pooled"), subsets("pooled"), POOL],
    ...[
      service("forwards", 8080),
      CORS("forwards", "FORWARD"),
      service("ignores", 8080),
      CORS("ignores", "IGNORE"),
    ],
    ...[service("mirrored"), MIRRORED],
    outside("avoids", BY_CHANCE, "attempts: 1, retryIgnorePreviousHosts: true", BESIDE),
    outside("repeats", BY_CHANCE, "attempts: 1, retryIgnorePreviousHosts: false", BESIDE),
    outside("near", NEVER_EJECTS, "attempts: 2, retryRemoteLocalities: false", APART),
    outside("remote", NEVER_EJECTS, "attempts: 2, retryRemoteLocalities: true", APART),
    named("none", "localhost", "NONE", ""),
    named(
      "logical",
      "logical.test",
      "DNS_ROUND_ROBIN",
      "  endpoints: [{ address: localhost, network: elsewhere }]\n",
    ),
    `${workload("client", CLIENT)}  locality: west\n`,
    workload("pooled", POOLED),
  );
  await mesh.startControlPlane();
  await Promise.all([
    mesh.startSidecar("shop/client", { at: 10 }),
    mesh.startSidecar("shop/pooled", { at: 11 }),
  ]);
  await mesh.untilSynced(2);
});

const call = (host: string, path = "/", ...args: readonly string[]) =>
  viaSidecar(CLIENT, host, path, ...args);

describe("a match", () => {
  for (
    const [path, expected] of [
      ["/aNY/cASE/x", "any case"],
      ["/query?q=a%20b", "exact"],
      ["/query?x=1&q=42", "regex"],
      ["/query?flag", "present"],
      ["/query?q=", "absent"],
      ["/query?q=ab", "else"],
      ["/source", "for this caller"],
    ] as const
  ) {
    scenario(`${path} is ${expected}`, async () => {
      expect((await call("matches:8080", path)).body).toBe(expected);
    });
  }

  scenario("rules of other namespaces hold where they are shown", async () => {
    expect((await call("shown.test")).body).toBe("seen");
    expect((await call("hidden.test")).status).toBe(503);
  });
});

scenario("a redirect has another prefix, and the port that was asked", async () => {
  const { status, headers } = await call("matches:8080", "/old/path?q");
  expect([status, headers["location"]?.[0]]).toEqual([308, "http://matches:8080/new/path?q"]);
});

scenario("CORS: what pages may see, and a preflight of another origin", async () => {
  const origin = ["-H", "Origin: https://good.test"];
  const allowed = await call("forwards:8080", "/", ...origin);
  expect(allowed.headers).toMatchObject({
    "access-control-allow-origin": ["https://good.test"],
    "access-control-allow-credentials": ["true"],
    "access-control-expose-headers": ["x-seen"],
  });
  const permitted = ["-X", "OPTIONS", ...origin, "-H", "Access-Control-Request-Method: GET"];
  expect((await call("forwards:8080", "/", ...permitted)).headers).toMatchObject({
    "access-control-allow-methods": ["GET"],
    "access-control-allow-headers": ["x-asked"],
  });
  const preflight = [
    "-X",
    "OPTIONS",
    "-H",
    "Origin: https://bad.test",
    "-H",
    "Access-Control-Request-Method: GET",
  ];
  const forwarded = await call("forwards:8080", "/", ...preflight);
  expect((JSON.parse(forwarded.body) as Echo).method).toBe("OPTIONS");
  const ignored = await call("ignores:8080", "/", ...preflight);
  expect([ignored.status, ignored.body]).toEqual([200, ""]);
});

scenario("a share of requests is copied", async () => {
  for (const path of ["/mirror/none", "/mirror/all"]) {
    for (let i = 0; i < 3; i++) expect((await call("mirrored:8080", path)).status).toBe(200);
  }
  await until("the copies are there", () => copies.length >= 3);
  expect(new Set(copies)).toEqual(new Set(["/mirror/all"]));
});

describe("a retry", () => {
  /** How many of so many calls failed. */
  async function failures(host: string, calls: number): Promise<number> {
    let count = 0;
    for (let i = 0; i < calls; i++) if ((await call(host)).status === 503) count++;
    return count;
  }

  scenario("goes to another endpoint, unless it is told not to care", async () => {
    // Chance decides, and looks for another one six times. Of 80 calls 0.6 fail, and else 20; one run of 10,000 differs.
    expect(await failures("avoids.test", 80)).toBeLessThanOrEqual(5);
    expect(await failures("repeats.test", 80)).toBeGreaterThan(5);
  });

  scenario("stays in the locality, unless it is told to leave: after two attempts, as in Istio", async () => {
    expect(await failures("near.test", 10)).toBe(10);
    expect(await failures("remote.test", 10)).toBe(0);
  });
});

describe("a ServiceEntry", () => {
  scenario("without resolution leads to where DNS says", async () => {
    const { body } = await call(`localhost:${LOCAL_PORT}`);
    expect((JSON.parse(body) as Echo).app).toBe("local");
  });

  scenario("with DNS_ROUND_ROBIN leads to the address of its endpoint's name", async () => {
    const { body } = await call(`logical.test:${LOCAL_PORT}`);
    expect((JSON.parse(body) as Echo).app).toBe("local");
  });
});

scenario("a Sidecar limits what its workload gets at once", async () => {
  const first = call("pooled", "/wait");
  await until("the first request is there", () => waiting.length === 1);
  const { status, headers } = await call("pooled");
  expect([status, headers["x-envoy-overloaded"]?.[0]]).toEqual([503, "true"]);
  waiting.shift()?.();
  expect((await first).status).toBe(200);
  await until("the next one is served", async () => (await call("pooled")).status === 200);
});
