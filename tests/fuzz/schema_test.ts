import { expect, test } from "bun:test";
import fc from "fast-check";
import { analyze } from "../../src/config/analysis/analyzers.ts";
import type { ResourceSet } from "../../src/config/resource.ts";
import { type Kind, KINDS } from "../../src/config/schema/kinds.ts";
import { validate } from "../../src/config/schema_findings.ts";
import { parseYaml } from "../../src/config/yaml_node.ts";

const SEED = 20_181_116;
const RUNS = 1_000;

const TO = { destination: { host: "a", subset: "v1", port: { number: 80 } }, weight: 1 };

/** A spec of each kind with much in it, to be broken in one place. */
const SPECS: Readonly<Record<string, Record<string, unknown>>> = {
  VirtualService: {
    hosts: ["a", "*.b.com"],
    gateways: ["mesh", "ns/front"],
    exportTo: ["."],
    http: [
      {
        name: "r",
        match: [{
          uri: { prefix: "/a" },
          headers: { x: { regex: "a+" } },
          sourceLabels: { app: "c" },
          port: 80,
        }],
        route: [TO, { ...TO, headers: { request: { set: { a: "b" }, remove: ["c"] } } }],
        rewrite: { uriRegexRewrite: { match: "/(a)", rewrite: "/\\1" } },
        timeout: "1s",
        retries: { attempts: 2, retryOn: "5xx,503", perTryTimeout: "1s", backoff: "25ms" },
        fault: {
          abort: { httpStatus: 500, percentage: { value: 1 } },
          delay: { fixedDelay: "1s", percent: 3 },
        },
        mirrors: [{ destination: { host: "m" }, percentage: { value: 1 } }],
        corsPolicy: { allowOrigins: [{ exact: "a" }], maxAge: "1m", allowMethods: ["GET"] },
      },
      { redirect: { uri: "/b", redirectCode: 302 } },
      { directResponse: { status: 200, body: { string: "x" } } },
    ],
    tcp: [{ match: [{ destinationSubnets: ["10.0.0.0/8"] }], route: [TO] }],
    tls: [{ match: [{ sniHosts: ["a"] }], route: [TO] }],
  },
  DestinationRule: {
    host: "a",
    trafficPolicy: {
      loadBalancer: {
        consistentHash: { httpCookie: { name: "c", ttl: "0s" }, maglev: { tableSize: 65537 } },
        localityLbSetting: { distribute: [{ from: "a/*", to: { "b/c": 100 } }] },
        warmup: { duration: "30s" },
      },
      connectionPool: {
        tcp: { maxConnections: 1, tcpKeepalive: { probes: 1 } },
        http: { idleTimeout: "1m" },
      },
      outlierDetection: { consecutive5xxErrors: 3 },
      tls: { mode: "MUTUAL", clientCertificate: "/c", privateKey: "/k" },
      portLevelSettings: [{ port: { number: 80 }, loadBalancer: { simple: "RANDOM" } }],
    },
    subsets: [{ name: "v1", labels: { version: "v1" }, trafficPolicy: { retryBudget: {}, tls: {} } }],
    workloadSelector: { matchLabels: { app: "c" } },
  },
  ServiceEntry: {
    hosts: ["x.com"],
    addresses: ["10.0.0.1"],
    ports: [{ number: 80, name: "http", protocol: "HTTP", targetPort: 8080 }],
    resolution: "DNS",
    endpoints: [{ address: "y.com", ports: { http: 1 }, weight: 2, locality: "a/b" }],
  },
  WorkloadGroup: {
    metadata: { labels: { app: "w" } },
    template: { serviceAccount: "w", ports: { http: 80 } },
    probe: { httpGet: { port: 80, httpHeaders: [{ name: "a", value: "b" }] }, periodSeconds: 5 },
  },
  Gateway: {
    selector: { istio: "ingress" },
    servers: [{
      port: { number: 443, name: "https", protocol: "HTTPS" },
      hosts: ["./a.com"],
      tls: { mode: "SIMPLE", serverCertificate: "/c", privateKey: "/k" },
    }],
  },
  Sidecar: {
    workloadSelector: { labels: { app: "a" } },
    ingress: [{ port: { number: 80, protocol: "HTTP" }, defaultEndpoint: "127.0.0.1:8080" }],
    egress: [{ hosts: ["./*", "~ns/*"] }],
    outboundTrafficPolicy: { mode: "REGISTRY_ONLY" },
  },
  MeshConfig: {
    outboundTrafficPolicy: { mode: "ALLOW_ANY" },
    defaultHttpRetryPolicy: { attempts: 1 },
    trustDomainAliases: ["a.b"],
    defaultConfig: { concurrency: 1, gatewayTopology: { numTrustedProxies: 1 } },
  },
};

/** Every path into a value, the value's own included. */
function pathsInto(value: unknown, path: (string | number)[] = []): (string | number)[][] {
  const entries = Array.isArray(value)
    ? [...value.entries()]
    : typeof value === "object" && value !== null
    ? Object.entries(value)
    : [];
  return [path, ...entries.flatMap(([key, item]) => pathsInto(item, [...path, key]))];
}

const CASES = Object.entries(SPECS).flatMap(([kind, spec]) =>
  pathsInto(spec).map((path) => ({ kind, path }))
);

function replaced(value: unknown, [step, ...rest]: readonly (string | number)[], by: unknown): unknown {
  if (step === undefined) return by;
  const copy = structuredClone(value) as Record<string | number, unknown>;
  copy[step] = replaced(copy[step], rest, by);
  return copy;
}

const odd = fc.oneof(
  fc.constantFrom(
    "",
    "*",
    "0s",
    "/",
    "%",
    "\u0000",
    "a/b/c",
    "\\9",
    "(",
    "mesh",
    -1,
    0,
    0.5,
    1e21,
    true,
    null,
  ),
  fc.string(),
  fc.integer(),
  fc.jsonValue({ maxDepth: 2 }),
);

test("a spec that is broken in one place is refused with a reason, or analyzed; nothing throws", () => {
  const kinds = KINDS as ReadonlyMap<string, Kind>;
  fc.assert(
    fc.property(fc.constantFrom(...CASES), odd, ({ kind, path }, by) => {
      const { schema, set } = kinds.get(kind) as Kind;
      const spec = replaced(SPECS[kind], path, by);
      const text = JSON.stringify({ apiVersion: "a", kind, metadata: { name: "a" }, spec });
      const [node] = parseYaml({ file: "a.yaml", text }).nodes;
      if (node === undefined) return;
      const { output, findings } = validate(schema, node, null, false);
      if (output === null) return expect(findings.length).toBeGreaterThan(0);
      const sets = Object.fromEntries([...kinds.values()].map((one) => [one.set, [] as unknown[]]));
      const positionOf = (at: readonly (string | number)[]) => node.positionOf(at);
      sets[set]?.push({ ...output, ...output.metadata, position: positionOf([]), positionOf });
      analyze(sets as unknown as ResourceSet);
    }),
    { seed: SEED, numRuns: RUNS },
  );
});

test("the specs themselves are valid", () => {
  for (const [kind, spec] of Object.entries(SPECS)) {
    const text = JSON.stringify({ apiVersion: "a", kind, metadata: { name: "a" }, spec });
    const [node] = parseYaml({ file: "a.yaml", text }).nodes;
    const { findings } = node === undefined
      ? { findings: [] }
      : validate(KINDS.get(kind)?.schema as Kind["schema"], node, null, false);
    expect([kind, findings.map(({ field, message }) => `${field}: ${message}`)]).toEqual([kind, []]);
  }
});
