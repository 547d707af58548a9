/** The traps of DestinationRule that show in its schema, whether or not the mesh does what the fields say yet. */
import { describe, expect, test } from "bun:test";
import { MAGLEV_TABLE_SIZE_LIMIT, RING_SIZE_MAX } from "../../../../src/config/schema/load_balancer.ts";
import { specFaults, specOf } from "../config_texts.ts";

const spec = (policy: string) => `host: a\ntrafficPolicy: ${policy}`;
const policyOf = (policy: string) => specOf("DestinationRule", spec(policy)).trafficPolicy;
const faultsOf = (policy: string) => specFaults("DestinationRule", spec(policy));
const AT = "IST0106 spec.trafficPolicy";

const hash = (fields: string) => `{loadBalancer: {consistentHash: {${fields}}}}`;
const hashOf = (fields: string) => policyOf(hash(fields))?.loadBalancer?.consistentHash;

describe("loadBalancer", () => {
  test("LEAST_REQUEST is the default, and simple excludes consistentHash", () => {
    expect(policyOf("{loadBalancer: {}}")?.loadBalancer).toEqual({
      simple: "LEAST_REQUEST",
      consistentHash: null,
      localityLbSetting: null,
      warmup: null,
    });
    expect(faultsOf("{loadBalancer: {simple: RANDOM, consistentHash: {useSourceIp: true}}}")).toHaveLength(1);
  });

  test("consistentHash hashes by exactly one key", () => {
    expect(hashOf("httpHeaderName: X-User")).toEqual({
      key: { type: "header", name: "x-user" },
      algorithm: { type: "ringHash", minimumRingSize: 1024 },
    });
    expect(hashOf("httpQueryParameterName: User")?.key).toEqual({ type: "queryParameter", name: "User" });
    expect(hashOf("useSourceIp: true")?.key).toEqual({ type: "sourceIp" });
    expect(faultsOf(hash("maglev: {}"))[0]).toContain("exactly one of httpHeaderName");
    expect(faultsOf(hash("useSourceIp: true, httpHeaderName: a"))).toHaveLength(1);
  });

  test("a cookie without ttl is not made, ttl 0 is a session's", () => {
    const ttl = (text: string) => {
      const key = hashOf(`httpCookie: {name: user${text}}`)?.key;
      return key?.type === "cookie" ? key.ttl : undefined;
    };
    expect([ttl(""), ttl(", ttl: 0s"), ttl(", ttl: 1m")]).toEqual([null, 0, 60_000]);
    expect(faultsOf(hash("httpCookie: {name: 'a b'}"))[0]).toContain("is not the name of a cookie");
    expect(faultsOf(hash('httpCookie: {name: ""}'))).toHaveLength(1);
  });

  test("a cookie's path and attributes end neither themselves nor the header", () => {
    const cookie = (more: string) => faultsOf(hash(`httpCookie: {name: a, ttl: 0s, ${more}}`));
    expect(cookie("path: '/a b', attributes: [{name: SameSite, value: Strict}, {name: Secure}]")).toEqual([]);
    for (const bad of ["/; Domain=b", "a\\r\\nb: c", "\\x7f", "é"]) {
      expect(cookie(`path: "${bad}"`)[0]).toContain("no cookie may have");
      expect(cookie(`attributes: [{name: b, value: "${bad}"}]`)[0]).toContain("no cookie may have");
    }
  });

  test("a Maglev table's size is a prime below Envoy's limit", () => {
    const size = (value: number) => faultsOf(hash(`useSourceIp: true, maglev: {tableSize: ${value}}`));
    for (const prime of [2, 3, 65_537, 4_999_999]) expect(size(prime)).toEqual([]);
    for (const other of [0, 1, 4, 65_536, MAGLEV_TABLE_SIZE_LIMIT, MAGLEV_TABLE_SIZE_LIMIT + 1]) {
      expect(size(other)).toHaveLength(1);
    }
    expect(hashOf("useSourceIp: true, maglev: {}")?.algorithm).toEqual({ type: "maglev", tableSize: 65_537 });
  });

  test("a ring's size has its limit, and the deprecated field for it excludes the new ones", () => {
    const size = (value: number) =>
      faultsOf(hash(`useSourceIp: true, ringHash: {minimumRingSize: ${value}}`));
    expect(size(RING_SIZE_MAX)).toEqual([]);
    expect(size(RING_SIZE_MAX + 1)).toHaveLength(1);
    expect(hashOf("useSourceIp: true, minimumRingSize: 7")?.algorithm).toEqual({
      type: "ringHash",
      minimumRingSize: 7,
    });
    expect(faultsOf(hash("useSourceIp: true, minimumRingSize: 7, maglev: {}"))).toHaveLength(1);
  });

  test("warmup has Istio's defaults, and the older field means the same", () => {
    const warmup = { duration: 30_000, minimumPercent: 10, aggression: 1 };
    expect(policyOf("{loadBalancer: {warmup: {duration: 30s}}}")?.loadBalancer?.warmup).toEqual(warmup);
    expect(policyOf("{loadBalancer: {warmupDurationSecs: 30s}}")?.loadBalancer?.warmup).toEqual(warmup);
    expect(faultsOf("{loadBalancer: {warmup: {}}}")[0]).toContain('"duration" is required');
    expect(faultsOf("{loadBalancer: {warmup: {duration: 1s, aggression: 0.9}}}")).toHaveLength(1);
    expect(faultsOf("{loadBalancer: {warmup: {duration: 1s}, warmupDurationSecs: 1s}}")).toHaveLength(1);
  });
});

describe("localityLbSetting", () => {
  const locality = (setting: string) => faultsOf(`{loadBalancer: {localityLbSetting: ${setting}}}`);

  test("only one of distribute, failover and failoverPriority holds", () => {
    const distribute = "distribute: [{from: a, to: {a: 100}}]";
    expect(locality(`{${distribute}}`)).toEqual([]);
    expect(locality(`{${distribute}, failover: [{from: a, to: b}]}`)[0]).toContain("distribute and failover");
    expect(locality("{failover: [{from: a, to: b}], failoverPriority: [x]}")).toHaveLength(1);
  });

  test("weights add up to 100, and localities do not overlap", () => {
    expect(locality("{distribute: [{from: a, to: {a: 80, b: 10}}]}")[0]).toContain("add up to 90");
    expect(locality('{distribute: [{from: a, to: {a/b: 50, "a/*": 50}}]}')[0]).toContain("overlap");
    expect(locality("{distribute: [{from: a, to: {b: 100}}, {from: a/b, to: {b: 100}}]}")[0]).toContain(
      "overlaps",
    );
    expect(locality("{distribute: [{from: a, to: {b: 0, c: 100}}]}")).toHaveLength(1);
    expect(locality("{distribute: [{from: a/*/c, to: {b: 100}}]}")[0]).toContain("is not a locality");
    expect(locality("{failover: [{from: a, to: a}]}")[0]).toContain("fails over to itself");
  });
});

describe("connectionPool", () => {
  test("comes out with Istio's defaults, connectTimeout and tcpKeepalive with the mesh's", () => {
    expect(policyOf("{connectionPool: {tcp: {}}}")?.connectionPool).toEqual({
      tcp: {
        maxConnections: 4_294_967_295,
        connectTimeout: null,
        tcpKeepalive: null,
        maxConnectionDuration: null,
        idleTimeout: 3_600_000,
      },
      http: {
        http1MaxPendingRequests: 4_294_967_295,
        http2MaxRequests: 4_294_967_295,
        maxRequestsPerConnection: 0,
        maxRetries: 4_294_967_295,
        idleTimeout: 3_600_000,
        h2UpgradePolicy: "DEFAULT",
        useClientProtocol: false,
        maxConcurrentStreams: 4_294_967_295,
        http2KeepAlive: null,
      },
    });
  });

  test("http2KeepAlive has times of at least a millisecond, and each may be left out", () => {
    const pool = (text: string) => policyOf(`{connectionPool: {http: {http2KeepAlive: ${text}}}}`);
    expect(pool("{interval: 30s}")?.connectionPool?.http.http2KeepAlive)
      .toEqual({ interval: 30_000, timeout: null });
    expect(faultsOf("{connectionPool: {http: {http2KeepAlive: {interval: 0s}}}}")).toHaveLength(1);
  });

  test("0 is no limit, and a pool says something", () => {
    const pool = policyOf("{connectionPool: {tcp: {maxConnections: 0, idleTimeout: 0s}}}")?.connectionPool;
    expect(pool?.tcp).toMatchObject({ maxConnections: 4_294_967_295, idleTimeout: 0 });
    expect(faultsOf("{connectionPool: {}}")[0]).toContain("neither tcp nor http");
    expect(faultsOf("{connectionPool: {http: {h2UpgradePolicy: UPGRADE, useClientProtocol: true}}}"))
      .toHaveLength(1);
  });
});

describe("outlierDetection", () => {
  test("comes out with Istio's defaults: 5xx errors 5, panic off", () => {
    expect(policyOf("{outlierDetection: {}}")?.outlierDetection).toEqual({
      consecutive5xxErrors: 5,
      consecutiveGatewayErrors: null,
      splitExternalLocalOriginErrors: false,
      consecutiveLocalOriginFailures: 5,
      interval: 10_000,
      baseEjectionTime: 30_000,
      maxEjectionPercent: 10,
      minHealthPercent: 0,
      outlierDetectionHttpErrorCodes: [],
    });
    expect(policyOf("{outlierDetection: {consecutive5xxErrors: 0}}")?.outlierDetection?.consecutive5xxErrors)
      .toBe(0);
  });

  test("outlierDetectionHttpErrorCodes are statuses, from 100 to 599", () => {
    const codes = (list: string) => `{outlierDetection: {outlierDetectionHttpErrorCodes: ${list}}}`;
    expect(policyOf(codes("[100, 429, 599]"))?.outlierDetection?.outlierDetectionHttpErrorCodes)
      .toEqual([100, 429, 599]);
    for (const wrong of ["[99]", "[600]", "[429.5]", "429"]) expect(faultsOf(codes(wrong))).toHaveLength(1);
  });

  test("what Istio ignores is refused: consecutiveErrors, and local failures that are not split", () => {
    expect(faultsOf("{outlierDetection: {consecutiveErrors: 1}}")[0]).toStartWith(
      `${AT}.outlierDetection.consecutiveErrors: consecutiveErrors is deprecated, and Istio ignores it`,
    );
    expect(faultsOf("{outlierDetection: {consecutiveLocalOriginFailures: 2}}")).toHaveLength(1);
    expect(
      faultsOf(
        "{outlierDetection: {splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 2}}",
      ),
    ).toEqual([]);
  });
});

describe("exportTo", () => {
  const faults = (text: string) => specFaults("DestinationRule", `host: a\nexportTo: ${text}`);

  test("each namespace is there once, and all or none have nobody beside them", () => {
    for (const fine of ["[., shop]", "['*']", "['~']"]) expect(faults(fine)).toEqual([]);
    expect(faults("[shop, other, shop]")).toEqual(['IST0106 spec.exportTo[2]: "shop" is there twice']);
    expect(faults("['*', .]")).toEqual(['IST0106 spec.exportTo[0]: "*" means all, and has others beside it']);
    expect(faults("[., '~']")).toEqual([
      'IST0106 spec.exportTo[1]: "~" means none, and has others beside it',
    ]);
  });

  test("a rule for chosen callers is for its own namespace", () => {
    const selector = "\nworkloadSelector: {matchLabels: {app: a}}";
    expect(faults(`[.]${selector}`)).toEqual([]);
    expect(faults(`['*']${selector}`)[0]).toContain("its own namespace");
  });
});

describe("tls", () => {
  test("ISTIO_MUTUAL and DISABLE have no certificates of their own, and only the former a name to ask for", () => {
    const hint = "remove it: the identity of each endpoint is verified";
    expect(faultsOf("{tls: {mode: ISTIO_MUTUAL, sni: a.com}}")).toEqual([]);
    expect(faultsOf("{tls: {mode: ISTIO_MUTUAL, sni: a.com, subjectAltNames: [x]}}")).toEqual([
      `${AT}.tls.subjectAltNames: are of no use in the mode ISTIO_MUTUAL; ${hint}`,
    ]);
    expect(faultsOf("{tls: {mode: ISTIO_MUTUAL, privateKey: /k}}")[0]).toContain(
      "of no use in the mode ISTIO_MUTUAL",
    );
    expect(faultsOf("{tls: {sni: a.com}}")[0]).toContain("of no use in the mode DISABLE");
  });

  test("a credential is the name of a directory, and says all that paths say", () => {
    expect(faultsOf("{tls: {mode: MUTUAL, credentialName: partner}}")).toEqual([]);
    expect(faultsOf("{tls: {mode: SIMPLE, credentialName: ../etc}}")).toHaveLength(1);
    for (const field of ["clientCertificate", "privateKey", "caCertificates", "caCrl"]) {
      expect(faultsOf(`{tls: {mode: SIMPLE, credentialName: partner, ${field}: /f}}`)).toEqual([
        `${AT}.tls.${field}: stands beside credentialName, which already says it`,
      ]);
    }
    expect(faultsOf("{tls: {mode: SIMPLE, caCrl: /l, insecureSkipVerify: true}}")).toHaveLength(1);
    // Of a server alone there is nothing else in it than what verifies; a client's own certificate is.
    const unverified = (mode: string) =>
      faultsOf(`{tls: {mode: ${mode}, credentialName: partner, insecureSkipVerify: true}}`);
    expect(unverified("SIMPLE")).toHaveLength(1);
    expect(unverified("MUTUAL")).toEqual([]);
  });

  test("MUTUAL needs a certificate and its key", () => {
    expect(faultsOf("{tls: {mode: MUTUAL}}")).toEqual([
      `${AT}.tls: the mode MUTUAL needs clientCertificate, a path`,
      `${AT}.tls: the mode MUTUAL needs privateKey, a path`,
    ]);
    expect(faultsOf("{tls: {mode: SIMPLE, caCertificates: /a, insecureSkipVerify: true}}")).toHaveLength(1);
  });
});

describe("tunnel and proxyProtocol", () => {
  test("a tunnel is CONNECT by default, and leads to a host or an address and a port", () => {
    expect(policyOf("{tunnel: {targetHost: far.test, targetPort: 443}}")?.tunnel)
      .toEqual({ protocol: "CONNECT", targetHost: "far.test", targetPort: 443 });
    expect(faultsOf('{tunnel: {protocol: POST, targetHost: "2001:db8::1", targetPort: 1}}')).toEqual([]);
    for (
      const odd of [
        "targetHost: a",
        "targetPort: 1",
        "targetHost: a b, targetPort: 1",
        "targetHost: a, targetPort: 0",
      ]
    ) {
      expect(faultsOf(`{tunnel: {${odd}}}`)).toHaveLength(1);
    }
  });

  test("PROXY protocol has version 1 by default", () => {
    expect(policyOf("{proxyProtocol: {}}")?.proxyProtocol).toEqual({ version: "V1" });
    expect(faultsOf("{proxyProtocol: {version: V3}}")).toHaveLength(1);
  });
});

describe("policies", () => {
  test("a subset's and a port's settings are whole, null inherits", () => {
    const rule = specOf(
      "DestinationRule",
      "host: a\nsubsets: [{name: b, trafficPolicy: {portLevelSettings: [{port: {number: 80}, tls: {mode: SIMPLE}}]}}]",
    );
    const [port] = rule.subsets[0]?.trafficPolicy?.portLevelSettings ?? [];
    expect(port).toMatchObject({
      port: 80,
      loadBalancer: null,
      connectionPool: null,
      outlierDetection: null,
    });
  });

  test("a policy says something, and a port once", () => {
    expect(faultsOf("{}")).toEqual([`${AT}: has no setting, so it does nothing`]);
    const port = "{port: {number: 80}, loadBalancer: {simple: RANDOM}}";
    expect(faultsOf(`{portLevelSettings: [${port}, ${port}]}`)).toEqual([
      `${AT}.portLevelSettings[1].port: the port 80 has settings twice`,
    ]);
    expect(faultsOf("{portLevelSettings: [{port: {number: 80}}]}")).toHaveLength(1);
  });

  test("a retry budget has Istio's defaults", () => {
    expect(policyOf("{retryBudget: {}}")?.retryBudget).toEqual({ percent: 20, minRetryConcurrency: 3 });
  });
});
