import { describe, expect, test } from "bun:test";
import { NO_CONDITIONS, type Route, type WeightedCluster } from "../../../../src/model/route.ts";
import { clusterName, type Endpoint } from "../../../../src/model/cluster.ts";
import {
  type Listener,
  type ProxySettings,
  type Resource,
  resourceKey,
  type Snapshot,
} from "../../../../src/model/snapshot.ts";
import type { WorkloadInfo } from "../../../../src/model/call_info.ts";
import type { Explained } from "../../../../src/proxy/explain/explanation.ts";
import { explain } from "../../../../src/proxy/explain/explain.ts";
import { readExplainRequest } from "../../../../src/proxy/explain/request.ts";

const HOST = "reviews.shop.svc.cluster.local";
const SERVICE = { host: HOST, name: "reviews", namespace: "shop" };

function workload(name: string): WorkloadInfo {
  return { key: `shop/${name}`, namespace: "shop", name, principal: "", app: name, version: "v1" };
}

function settings(outboundPolicy: ProxySettings["outboundPolicy"] = "ALLOW_ANY"): ProxySettings {
  return {
    kind: "proxy",
    name: "self",
    trustDomain: "cluster.local",
    workload: workload("web"),
    address: "10.0.0.1",
    outboundPolicy,
    inbound: [],
  };
}

function rule(index: number, header: string | null, destinations: readonly WeightedCluster[]): Route {
  const match = {
    ...NO_CONDITIONS,
    headers: header === null ? [] : [{ name: header, match: { type: "present" } as const }],
  };
  return {
    name: `rule-${index}`,
    origin: { virtualService: "shop/reviews", rule: index, file: "a/vs.yaml", line: 10 + index },
    matches: header === null ? [] : [match],
    action: { type: "forward", destinations },
  };
}

function cluster(subset: string | null, endpoints: readonly Endpoint[]): Resource[] {
  const name = clusterName(9080, subset, HOST);
  const balancer = "LEAST_REQUEST";
  return [
    { kind: "cluster", name, service: SERVICE, subset, port: 9080, balancer, connectTimeoutMs: 10_000 },
    { kind: "endpoints", name, endpoints },
  ];
}

function endpoint(address: string, meshPort: number | null): Endpoint {
  return { address, port: 80, weight: 1, workload: workload("reviews-1"), meshPort };
}

function virtualHost(routes: readonly Route[]): Resource {
  const domains = ["reviews", "reviews:9080", HOST, `${HOST}:9080`];
  return { kind: "virtualHost", name: `${HOST}:9080`, service: SERVICE, port: 9080, domains, routes };
}

function snapshot(...bodies: Resource[]): Snapshot {
  return new Map(bodies.map((body) => [resourceKey(body), { version: "1", body }]));
}

function ask(mesh: Snapshot, url: string, ...headers: string[]) {
  return explain(mesh, readExplainRequest(null, url, headers), () => undefined);
}

const to = (subset: string | null, weight: number) => ({ cluster: clusterName(9080, subset, HOST), weight });

describe("explain()", () => {
  test("has the rule that matched, with its place, and every rule before it in the trace", () => {
    const mesh = snapshot(
      settings(),
      virtualHost([rule(0, "x-user", [to("v1", 100)]), rule(1, null, [to(null, 100)]), rule(2, null, [])]),
      ...cluster(null, [endpoint("10.0.0.2", 15008)]),
    );
    const { explanation, origins } = ask(mesh, "reviews");
    expect(explanation.route).toEqual({
      virtualService: "shop/reviews",
      rule: 1,
      name: "rule-1",
      file: "a/vs.yaml",
      line: 11,
    });
    expect(explanation.trace.map(({ rule, matched }) => [rule, matched])).toEqual([[0, false], [1, true]]);
    expect(explanation.trace[0]?.why).toBe("header x-user has to be present, and it is not there");
    expect(origins.map((origin) => origin?.line)).toEqual([10, 11]);
    expect(explanation.retries).toEqual({
      attempts: 2,
      retryOn: "connect-failure,refused-stream,unavailable,cancelled",
      perTryTimeoutMs: null,
    });
  });

  test("gives weights as shares of what they add up to, with two decimals", () => {
    const mesh = snapshot(
      settings(),
      virtualHost([rule(0, null, [to("v1", 1), to("v2", 2), to("v3", 3)])]),
    );
    expect(ask(mesh, "reviews").explanation.destinations.map(({ weight }) => weight)).toEqual([
      16.67,
      33.33,
      50,
    ]);
  });

  test("gives a single destination everything, whatever its weight", () => {
    for (const weight of [0, 1, 100]) {
      const mesh = snapshot(settings(), virtualHost([rule(0, null, [to("v1", weight)])]));
      expect(ask(mesh, "reviews").explanation.destinations[0]?.weight).toBe(100);
    }
  });

  test("shows endpoints with their own port, and which are reached over mTLS", () => {
    const mesh = snapshot(
      settings(),
      virtualHost([rule(0, null, [to(null, 100)])]),
      ...cluster(null, [endpoint("10.0.0.2", 15008), endpoint("2001:db8::2", null)]),
    );
    const { explanation, notes } = ask(mesh, "reviews");
    expect(explanation.destinations[0]?.endpoints).toEqual([
      { address: "10.0.0.2:80", workload: "shop/reviews-1", mtls: true },
      { address: "[2001:db8::2]:80", workload: "shop/reviews-1", mtls: false },
    ]);
    expect(notes).toEqual([]);
  });

  test("says which destinations are answered 503, and why", () => {
    const mesh = snapshot(
      settings(),
      virtualHost([rule(0, null, [
        to("v1", 1),
        to("v2", 1),
        to("v9", 1),
        { cluster: clusterName(80, null, HOST), weight: 1 },
        { cluster: clusterName(9080, null, "review.shop.svc.cluster.local"), weight: 1 },
        to(null, 1),
      ])]),
      ...cluster(null, []),
      ...cluster("v1", [endpoint("10.0.0.2", 15008)]),
      ...cluster("v2", []),
    );
    const { explanation, notes } = ask(mesh, "reviews");
    expect(explanation.action).toBe("forward");
    expect(explanation.destinations.map(({ endpoints }) => endpoints.length)).toEqual([1, 0, 0, 0, 0, 0]);
    expect(notes).toEqual([
      {
        destination: 1,
        text:
          `Requests to subset "v2" of ${HOST}:9080 are answered 503 UH: no workload has the labels of the subset`,
      },
      {
        destination: 2,
        text: `Requests to subset "v9" of ${HOST}:9080 are answered 503 NC: ` +
          `no DestinationRule defines the subset; did you mean "v1"?`,
      },
      {
        destination: 3,
        text: `Requests to ${HOST}:80 are answered 503 NC: the service has no such port; it has 9080`,
      },
      {
        destination: 4,
        text: `Requests to review.shop.svc.cluster.local:9080 are answered 503 NC: ` +
          `shop/web sees no service with that host; did you mean "${HOST}"?`,
      },
      {
        destination: 5,
        text: `Requests to ${HOST}:9080 are answered 503 UH: no workload stands behind it`,
      },
    ]);
  });

  test("has no route where the service has no VirtualService", () => {
    const mesh = snapshot(
      settings(),
      virtualHost([{ ...rule(0, null, [to(null, 100)]), origin: null, name: "default" }]),
      ...cluster(null, [endpoint("10.0.0.2", null)]),
    );
    expect(ask(mesh, "reviews").explanation).toMatchObject({
      service: HOST,
      route: null,
      action: "forward",
      trace: [{ virtualService: null, rule: null, matched: true }],
    });
  });

  test("is not-found when no rule matches", () => {
    const mesh = snapshot(settings(), virtualHost([rule(0, "x-user", [to(null, 100)])]));
    expect(ask(mesh, "reviews").explanation).toMatchObject({
      service: HOST,
      route: null,
      action: "not-found",
      destinations: [],
      retries: null,
      trace: [{ rule: 0, matched: false }],
    });
    expect(ask(mesh, "reviews", "x-user: ann").explanation.action).toBe("forward");
  });

  test("passes unknown hosts through, or blocks them when the registry alone counts", () => {
    const passed = ask(snapshot(settings()), "http://example.com/").explanation;
    expect(passed).toMatchObject({ service: null, route: null, action: "passthrough", retries: null });
    const blocked = ask(snapshot(settings("REGISTRY_ONLY")), "http://example.com/").explanation;
    expect(blocked).toEqual({ ...passed, action: "blocked" });
    expect(passed.trace).toEqual([{
      virtualService: null,
      rule: null,
      matched: false,
      why: 'no service that shop/web sees has the name "example.com"',
    }]);
  });

  test("says what an unknown name was probably meant to be", () => {
    const mesh = snapshot(settings(), virtualHost([rule(0, null, [to(null, 100)])]));
    const note = (url: string) => ask(mesh, url).notes.map(({ text }) => text);
    expect(note("http://reveiws/")).toEqual(['Did you mean "reviews"?']);
    expect(note("http://Reviews.:80/")).toEqual([
      "reviews is known to the mesh, but not at that port; it has 9080",
    ]);
    expect(note("http://example.com/")).toEqual([]);
  });

  test("reads nothing of what the application itself encrypts", () => {
    const mesh = snapshot(settings(), virtualHost([rule(0, null, [to(null, 100)])]));
    expect(ask(mesh, "https://reviews:9080/").explanation).toMatchObject({
      action: "passthrough",
      service: null,
      trace: [{ why: "TLS of the application itself is not opened, so no HTTP rule applies to it" }],
    });
  });

  test("says which rule for names in TLS leads what the application itself encrypts", () => {
    const listener = (...names: string[]): Resource => ({
      kind: "listener",
      name: `${HOST}:443`,
      service: SERVICE,
      port: 443,
      protocol: "tls",
      addresses: [],
      serverNames: ["reviews.test", "other.test"],
      routes: [{
        origin: { virtualService: "shop/names", rule: 1, file: "tls.yaml", line: 7 },
        matches: [{ serverNames: names, addresses: [] }],
        destinations: [to("v1", 1), to("v2", 3)],
      }],
    });
    const mesh = snapshot(settings("REGISTRY_ONLY"), listener("reviews.test"));
    expect(ask(mesh, "https://Reviews.test/any").explanation).toMatchObject({
      action: "forward",
      service: HOST,
      route: { virtualService: "shop/names", rule: 1, file: "tls.yaml", line: 7 },
      destinations: [{ subset: "v1", weight: 25 }, { subset: "v2", weight: 75 }],
      trace: [{ why: `TLS for "reviews.test" at port 443 of ${HOST}, of which no request is read` }],
    });
    const blocked = (url: string) => {
      const { action, trace } = ask(mesh, url).explanation;
      return `${action}: ${trace.at(-1)?.why}`;
    };
    expect(blocked("https://other.test/")).toBe(
      `blocked: no rule at port 443 of ${HOST} is for TLS for "other.test"`,
    );
    expect(blocked("https://reviews.test:8443/")).toStartWith("blocked: TLS of the application itself");
  });

  describe("of bytes", () => {
    const listener = (more: Partial<Listener>): Resource => ({
      kind: "listener",
      name: `${HOST}:9080`,
      service: SERVICE,
      port: 9080,
      protocol: "tcp",
      addresses: ["10.96.0.1"],
      serverNames: ["reviews"],
      routes: [{
        origin: { virtualService: "shop/bytes", rule: 0, file: "tcp.yaml", line: 7 },
        matches: [{ serverNames: [], addresses: ["10.96.0.0/16"] }],
        destinations: [to("v1", 1)],
      }, { origin: null, destinations: [to(null, 1)] }],
      ...more,
    });
    const reviews = (protocol: Listener["protocol"], ...more: Resource[]) =>
      snapshot(
        settings(),
        virtualHost([rule(0, null, [to(null, 100)])]),
        listener({ protocol }),
        ...cluster(null, [endpoint("10.0.0.2", 15008), endpoint("10.0.0.3", 15008)]),
        ...more,
      );

    test("goes by the address that is dialled, or by the host that is asked for", () => {
      expect(ask(reviews("tcp"), "tcp://10.96.0.1:9080").explanation).toMatchObject({
        method: "CONNECT",
        action: "forward",
        service: HOST,
        route: { virtualService: "shop/bytes", rule: 0, file: "tcp.yaml", line: 7 },
        destinations: [{ subset: "v1" }],
        retries: null,
      });
      const named = ask(reviews("tcp"), "tcp://Reviews:9080").explanation;
      expect(named).toMatchObject({ action: "forward", route: null, destinations: [{ subset: null }] });
      expect(named.trace).toMatchObject([
        { why: "the address has to be in 10.96.0.0/16, and nobody knows which was dialled", matched: false },
        { matched: true },
      ]);
    });

    test("goes to the endpoint whose own address is dialled", () => {
      const { destinations, trace } = ask(reviews("tcp"), "tcp://10.0.0.3:80").explanation;
      expect(destinations.flatMap(({ endpoints }) => endpoints.map(({ address }) => address))).toEqual([
        "10.0.0.3:80",
      ]);
      expect(trace).toMatchObject([{ virtualService: null, matched: true }]);
    });

    test("says that a port carries HTTP, and what differs where nothing is declared", () => {
      expect(ask(reviews("http"), "tcp://reviews:9080").explanation).toMatchObject({
        action: "refused",
        trace: [{ why: `port 9080 of ${HOST} carries HTTP, and bytes that are no request get 400` }],
      });
      const { explanation, notes } = ask(reviews("auto"), "tcp://reviews:9080");
      const ofCall = ({ notes }: Pick<Explained, "notes">) =>
        notes.filter(({ destination }) => destination === null);
      expect([explanation.action, ofCall({ notes })]).toMatchObject([
        "forward",
        [{ text: expect.stringContaining("a CONNECT is led by the rules for requests") }],
      ]);
      expect(ofCall(ask(reviews("auto"), "tcp://10.96.0.1:9080"))).toEqual([]);
    });

    test("passes on, or blocks, what no service has, and what is for others", () => {
      const blocked = snapshot(
        settings("REGISTRY_ONLY"),
        ...reviews("tcp").values().map(({ body }) => body)
          .filter(({ kind }) => kind !== "proxy"),
      );
      for (const [mesh, action] of [[reviews("tcp"), "passthrough"], [blocked, "blocked"]] as const) {
        const { explanation, notes } = ask(mesh, "tcp://reviews:81");
        expect(explanation).toMatchObject({ action, service: null });
        expect(notes.map(({ text }) => text)).toEqual([
          "reviews is known to the mesh, but not at that port; it has 9080",
        ]);
      }
      const tls = listener({
        routes: [{ origin: null, matches: [{ serverNames: ["a.test"], addresses: [] }], destinations: [] }],
      });
      expect(ask(reviews("tcp", tls), "tcp://reviews:9080").explanation).toMatchObject({
        action: "passthrough",
        trace: [
          { why: "no VirtualService has a rule for it: everything goes to the service itself" },
          { why: `no rule at port 9080 of ${HOST} is for bytes` },
        ],
      });
    });
  });

  test("asks for a snapshot with settings", () => {
    expect(() => ask(snapshot(), "reviews")).toThrow("no proxy settings");
  });
});

test("explain() names the sockets of a gateway beside its ports, which alone can be asked for", () => {
  const listener = (bind: string | null, port: number, name: string): Resource => {
    const chain = { serverNames: [], tls: null, table: `http.${name}`, routes: [] };
    return { kind: "gatewayListener", name, bind, port, chains: [chain] };
  };
  const resources = [
    settings(),
    listener("unix:///run/a.sock", 0, "unix:///run/a.sock"),
    listener(null, 8080, ":8080"),
  ];
  const snapshot: Snapshot = new Map(
    resources.map((body) => [resourceKey(body), { version: "1", body }] as const),
  );
  const { explanation } = explain(snapshot, readExplainRequest("GET", "http://a.test/", []), () => undefined);
  expect([explanation.action, explanation.trace[0]?.why]).toEqual([
    "refused",
    "the gateway has no port 80; it has 8080, unix:///run/a.sock",
  ]);
});
