import { describe, expect, test } from "bun:test";
import type { Cluster, EndpointSet } from "../../../src/model/cluster.ts";
import type { ProxySettings } from "../../../src/model/snapshot.ts";
import {
  caller,
  cluster,
  FQDN,
  load,
  meshConfig,
  resource,
  service,
  snapshotFor,
  virtualHost,
  workloadEntry,
} from "./fixture.ts";

const PORTS = "{name: http, port: 8080}, {name: tcp, port: 9000}";

function rule(spec: string): string {
  return resource("DestinationRule shop/web", `{host: ${FQDN}, ${spec}}`);
}

function snapshotOf(...documents: string[]) {
  return snapshotFor(load(service("web", "shop", PORTS), ...documents), caller("shop"));
}

/** The cluster of a policy, of a subset when it has a name. */
function clusterOf(documents: string | string[], subset = "", port = 8080): Cluster {
  const list = typeof documents === "string" ? [documents] : documents;
  return cluster(snapshotOf(...list), `outbound|${port}|${subset}|${FQDN}`) as Cluster;
}

const policy = (text: string) => rule(`trafficPolicy: {${text}}`);

test("protocolDetectionTimeout is told to each proxy, where it is written", () => {
  const said = (...documents: string[]) =>
    (snapshotOf(...documents).get("proxy/self")?.body as ProxySettings).detectionTimeoutMs;
  expect(said()).toBeUndefined();
  expect(said(meshConfig("{protocolDetectionTimeout: 100ms}"))).toBe(100);
  expect(said(meshConfig("{protocolDetectionTimeout: 0s}"))).toBe(0);
});

describe("clusterSettings()", () => {
  test("useClientProtocol follows the client where requests are read, and nowhere else", () => {
    const follows = policy("connectionPool: {http: {useClientProtocol: true}}");
    expect(clusterOf(follows).followsClient).toBe(true);
    expect(clusterOf(follows, "", 9000)).not.toHaveProperty("followsClient");
    expect(clusterOf([])).not.toHaveProperty("followsClient");
  });

  test("tunnel and proxyProtocol hold at every port, and in subsets that have none of their own", () => {
    const [tunnel, other] = ["a.test", "b.test"].map((host) =>
      `tunnel: {targetHost: ${host}, targetPort: 1}`
    );
    const port = "portLevelSettings: [{port: {number: 9000}, loadBalancer: {simple: RANDOM}}]";
    const written = rule(
      `trafficPolicy: {${tunnel}, proxyProtocol: {version: V2}, ${port}}, subsets: ` +
        `[{name: a, labels: {v: a}}, {name: b, labels: {v: b}, trafficPolicy: {${other}}}]`,
    );
    const said = (subset: string, at: number) => {
      const { tunnel, proxyProtocol } = clusterOf(written, subset, at);
      return [tunnel?.authority, proxyProtocol];
    };
    expect(said("", 8080)).toEqual(["a.test:1", "V2"]);
    expect(said("", 9000)).toEqual(["a.test:1", "V2"]);
    expect(said("a", 9000)).toEqual(["a.test:1", "V2"]);
    expect(said("b", 8080)).toEqual(["b.test:1", "V2"]);
    const v6 = clusterOf(policy('tunnel: {protocol: POST, targetHost: "2001:db8::1", targetPort: 1}'));
    expect(v6.tunnel).toEqual({ method: "POST", authority: "[2001:db8::1]:1" });
    expect(clusterOf([])).not.toHaveProperty("tunnel");
  });

  test("http2KeepAlive says what it says, even if that is nothing", () => {
    const limits = (text: string) =>
      clusterOf(policy(`connectionPool: {http: {http2KeepAlive: ${text}}}`)).limits;
    expect(limits("{interval: 30s, timeout: 5s}"))
      .toEqual({ http2KeepAlive: { intervalMs: 30_000, timeoutMs: 5_000 } });
    expect(limits("{}")).toEqual({ http2KeepAlive: {} });
  });

  test("a policy of defaults leaves a cluster as it is without one", () => {
    const plain = clusterOf([]);
    expect(clusterOf(policy("connectionPool: {tcp: {}, http: {}}"))).toEqual(plain);
    expect(clusterOf(policy("loadBalancer: {simple: UNSPECIFIED}"))).toEqual(plain);
    expect(plain).not.toHaveProperty("limits");
    expect(plain).not.toHaveProperty("locality");
  });

  test.each([
    ["httpHeaderName: X-User", { type: "header", name: "x-user" }],
    ["useSourceIp: true", { type: "sourceIp" }],
    ["httpQueryParameterName: Q", { type: "query", name: "Q" }],
    ["httpCookie: {name: c}", { type: "cookie", name: "c", path: null, ttlMs: null, attributes: [] }],
    [
      "httpCookie: {name: c, path: /a, ttl: 0s, attributes: [{name: SameSite, value: Lax}]}",
      { type: "cookie", name: "c", path: "/a", ttlMs: 0, attributes: [["SameSite", "Lax"]] },
    ],
  ])("consistentHash by %s", (written, key) => {
    const hashed = clusterOf(policy(`loadBalancer: {consistentHash: {${written}}}`));
    expect(hashed.balancer).toBe("RING_HASH");
    expect(hashed.hash as unknown).toEqual({ keys: [key], minimumRingSize: 1_024 });
  });

  test("consistentHash with maglev has a table", () => {
    const hashed = clusterOf(policy("loadBalancer: {consistentHash: {useSourceIp: true, maglev: {}}}"));
    expect(hashed).toMatchObject({ balancer: "MAGLEV", hash: { tableSize: 65_537 } });
  });

  test("warmup and the field that it replaced", () => {
    const slow = { durationMs: 60_000, minimumPercent: 10, aggression: 1 };
    expect(clusterOf(policy("loadBalancer: {warmup: {duration: 60s}}")).warmup).toEqual(slow);
    expect(clusterOf(policy("loadBalancer: {warmupDurationSecs: 60s}")).warmup).toEqual(slow);
  });

  test("limits are only those that limit; http2MaxRequests is for HTTP/1.1 too", () => {
    const pool = "connectionPool: {tcp: {maxConnections: 5, maxConnectionDuration: 1h}, " +
      "http: {http1MaxPendingRequests: 1, http2MaxRequests: 2, maxRequestsPerConnection: 3, maxRetries: 4}}";
    expect(clusterOf(policy(pool)).limits).toEqual({
      maxConnections: 5,
      maxPendingRequests: 1,
      maxRequests: 2,
      maxRequestsPerConnection: 3,
      maxRetries: 4,
      maxConnectionDurationMs: 3_600_000,
    });
    expect(clusterOf(policy("connectionPool: {http: {http1MaxPendingRequests: 0}}"))).not.toHaveProperty(
      "limits",
    );
  });

  test("the idle timeout is that of HTTP on a port with HTTP, and that of TCP on others", () => {
    const both = policy("connectionPool: {tcp: {idleTimeout: 7s}, http: {idleTimeout: 5s}}");
    expect(clusterOf(both).limits).toEqual({ idleTimeoutMs: 5_000 });
    expect(clusterOf(both, "", 9000).limits).toEqual({ idleTimeoutMs: 7_000 });
  });

  test("the connect timeout is the rule's, else the mesh's", () => {
    const slow = meshConfig("{connectTimeout: 3s}");
    expect(clusterOf([slow]).connectTimeoutMs).toBe(3_000);
    expect(clusterOf([slow, policy("connectionPool: {tcp: {connectTimeout: 250ms}}")]).connectTimeoutMs).toBe(
      250,
    );
  });

  test("the mesh's TCP keep-alive holds where a rule has none", () => {
    const quick = meshConfig("{tcpKeepalive: {time: 10s}}");
    expect(clusterOf([quick]).limits).toEqual({ tcpKeepalive: { timeMs: 10_000 } });
    const own = policy("connectionPool: {tcp: {tcpKeepalive: {probes: 3, interval: 1s}}}");
    expect(clusterOf([quick, own]).limits).toEqual({ tcpKeepalive: { probes: 3, intervalMs: 1_000 } });
  });

  test("a retry budget", () => {
    expect(clusterOf(policy("retryBudget: {percent: 30}")).limits).toEqual({
      retryBudget: { percent: 30, minConcurrency: 3 },
    });
  });

  test("UPGRADE speaks HTTP/2 to endpoints of a port with HTTP, and leaves TCP alone", () => {
    const upgrade = policy("connectionPool: {http: {h2UpgradePolicy: UPGRADE}}");
    expect(clusterOf(upgrade).protocol).toBe("http2");
    expect(clusterOf(upgrade, "", 9000).protocol).toBe("http1");
  });

  test("outlier detection has Istio's defaults, and switches failing over on", () => {
    const codes = clusterOf(policy("outlierDetection: {outlierDetectionHttpErrorCodes: [429]}"));
    expect(codes.outlier?.httpErrorCodes).toEqual([429]);
    const found = clusterOf(policy("outlierDetection: {}"));
    expect(found.outlier).toEqual({
      consecutive5xx: 5,
      consecutiveGatewayErrors: 0,
      intervalMs: 10_000,
      baseEjectionMs: 30_000,
      maxEjectionPercent: 10,
      minHealthPercent: 0,
      splitLocalOrigin: false,
      consecutiveLocalOriginFailures: 5,
      httpErrorCodes: [],
    });
    expect(found.locality).toEqual({ distribute: [], failover: [], failoverPriority: [] });
  });
});

describe("locality", () => {
  const detects = "outlierDetection: {}";
  const setting = (text: string) => `loadBalancer: {localityLbSetting: {${text}}}`;
  const failover = [{ from: "eu", to: "us" }];

  test("failing over needs outlier detection, shares do not", () => {
    expect(clusterOf(policy(setting("failover: [{from: eu, to: us}]")))).not.toHaveProperty("locality");
    const shares = "distribute: [{from: eu/*, to: {eu/*: 80, us/*: 20}}]";
    expect(clusterOf(policy(setting(shares))).locality).toMatchObject({ distribute: [{ from: "eu/*" }] });
  });

  test("enabled: the rule's before the mesh's, which is on when nobody says so", () => {
    const off = meshConfig("{localityLbSetting: {enabled: false}}");
    expect(clusterOf([off, policy(detects)])).not.toHaveProperty("locality");
    expect(clusterOf([off, policy(`${detects}, ${setting("enabled: true")}`)])).toHaveProperty("locality");
    expect(clusterOf(policy(`${detects}, ${setting("enabled: false")}`))).not.toHaveProperty("locality");
  });

  test("the rule's setting replaces the mesh's as a whole", () => {
    const wide = meshConfig("{localityLbSetting: {failover: [{from: eu, to: us}]}}");
    expect(clusterOf([wide, policy(detects)]).locality).toMatchObject({ failover });
    const own = policy(`${detects}, ${setting("failoverPriority: [zone]")}`);
    expect(clusterOf([wide, own]).locality).toEqual({
      distribute: [],
      failover: [],
      failoverPriority: ["zone"],
    });
  });

  test("endpoints and the proxy say where they stand, and the labels that somebody compares", () => {
    const place = "locality: eu/z1/r2, labels: {app: web, rack: r7, secret: x}";
    const compared = policy(
      `${detects}, ${setting("failoverPriority: [rack, topology.kubernetes.io/zone]")}`,
    );
    const documents = [
      service("web", "shop"),
      workloadEntry("web", "shop", `{address: 10.0.0.1, ${place}}`),
      compared,
    ];
    const snapshot = snapshotFor(load(...documents), {
      ...caller("shop", { rack: "r1" }),
      locality: "eu/z9",
    });
    const labels = { rack: "r7", "topology.kubernetes.io/zone": "z1" };
    const set = snapshot.get(`endpoints/outbound|8080||${FQDN}`)?.body as EndpointSet;
    expect(set.endpoints[0]).toMatchObject({ locality: "eu/z1/r2", labels });
    const self = snapshot.get("proxy/self")?.body as ProxySettings;
    expect(self).toMatchObject({
      locality: "eu/z9",
      labels: { rack: "r1", "topology.kubernetes.io/zone": "z9" },
    });
    const silent = snapshotFor(load(...documents.slice(0, 2)), caller("shop", { rack: "r1" }));
    expect(silent.get("proxy/self")?.body).not.toHaveProperty("labels");
  });
});

describe("effectivePolicy()", () => {
  const pool = "connectionPool: {tcp: {maxConnections: 7}}";
  const random = "loadBalancer: {simple: RANDOM}";
  const robin = "loadBalancer: {simple: ROUND_ROBIN}";
  const subset = (text: string) => `subsets: [{name: a, labels: {v: a}, trafficPolicy: {${text}}}]`;

  test("a subset inherits setting by setting", () => {
    const written = rule(`trafficPolicy: {${pool}, ${random}}, ${subset(robin)}`);
    expect(clusterOf(written, "a")).toMatchObject({ balancer: "ROUND_ROBIN", limits: { maxConnections: 7 } });
  });

  test("a setting that a subset has is its own as a whole: what it leaves out is Istio's default, not the rule's", () => {
    const written = rule(`trafficPolicy: {${pool}}, ${subset("connectionPool: {http: {maxRetries: 1}}")}`);
    expect(clusterOf(written, "a").limits).toEqual({ maxRetries: 1 });
  });

  test("settings of a port inherit nothing", () => {
    const written = policy(`${pool}, portLevelSettings: [{port: {number: 9000}, ${random}}]`);
    expect(clusterOf(written, "", 9000)).toMatchObject({ balancer: "RANDOM" });
    expect(clusterOf(written, "", 9000)).not.toHaveProperty("limits");
    expect(clusterOf(written)).toMatchObject({ balancer: "LEAST_REQUEST", limits: { maxConnections: 7 } });
  });

  test("a subset inherits the rule's settings of the port, and its own port settings inherit nothing", () => {
    const ports = (text: string) => `portLevelSettings: [{port: {number: 8080}, ${text}}]`;
    const inherits = rule(`trafficPolicy: {${ports(random)}, ${pool}}, ${subset(detects)}`);
    expect(clusterOf(inherits, "a")).toMatchObject({ balancer: "RANDOM" });
    expect(clusterOf(inherits, "a")).toHaveProperty("outlier");
    expect(clusterOf(inherits, "a")).not.toHaveProperty("limits");
    const own = rule(`trafficPolicy: {${pool}}, ${subset(ports(robin))}`);
    expect(clusterOf(own, "a")).toMatchObject({ balancer: "ROUND_ROBIN" });
    expect(clusterOf(own, "a")).not.toHaveProperty("limits");
  });
  const detects = "outlierDetection: {}";
});

describe("MeshConfig", () => {
  test("the outbound policy is the mesh's", () => {
    const self = (...documents: string[]) =>
      snapshotOf(...documents).get("proxy/self")?.body as ProxySettings;
    expect(self().outboundPolicy).toBe("ALLOW_ANY");
    const strict = meshConfig("{outboundTrafficPolicy: {mode: REGISTRY_ONLY}}");
    expect(self(strict).outboundPolicy).toBe("REGISTRY_ONLY");
  });

  test("all proxies hear what stands before gateways, where anything does", () => {
    const topology = (...documents: string[]) =>
      (snapshotOf(...documents).get("proxy/self")?.body as ProxySettings).gatewayTopology;
    const said = (text: string) => topology(meshConfig(`{defaultConfig: {gatewayTopology: {${text}}}}`));
    expect(topology()).toBeUndefined();
    expect(said("numTrustedProxies: 0, forwardClientCertDetails: SANITIZE_SET")).toBeUndefined();
    expect(said("numTrustedProxies: 2")).toEqual({ trustedProxies: 2, clientCert: "SANITIZE_SET" });
    expect(said("forwardClientCertDetails: SANITIZE")).toEqual({ trustedProxies: 0, clientCert: "SANITIZE" });
  });

  test("routes that say nothing of retries have the mesh's, also where no VirtualService is", () => {
    const retrying = meshConfig("{defaultHttpRetryPolicy: {attempts: 7, retryOn: '503'}}");
    const rules = resource(
      "VirtualService shop/web",
      "{hosts: [web], http: [" +
        "{match: [{uri: {prefix: /own}}], retries: {attempts: 1}, route: [{destination: {host: web}}]}, " +
        "{route: [{destination: {host: web}}]}]}",
    );
    const attempts = (...documents: string[]) =>
      virtualHost(snapshotOf(...documents), `${FQDN}:8080`)?.routes.map(({ action }) =>
        action.type === "forward" ? action.retries?.attempts : null
      );
    expect(attempts()).toEqual([undefined]);
    expect(attempts(retrying)).toEqual([7]);
    expect(attempts(retrying, rules)).toEqual([1, 7]);
  });

  test("services that do not say who sees them are seen by whom the mesh says", () => {
    const seen = (namespace: string) =>
      cluster(
        snapshotFor(
          load(service("web", "shop"), meshConfig("{defaultServiceExportTo: ['.']}")),
          caller(namespace),
        ),
        `outbound|8080||${FQDN}`,
      ) !== undefined;
    expect([seen("shop"), seen("front")]).toEqual([true, false]);
  });
});
