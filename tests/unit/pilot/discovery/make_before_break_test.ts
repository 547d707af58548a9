/** Who is to serve more confirms before anybody is sent there, and who is to serve less goes on for a while. */
import { describe, expect, test } from "bun:test";
import { RECOMPUTE_DELAY_MS } from "../../../../src/pilot/discovery/discovery_server.ts";
import { DOORS_KEPT_MS } from "../../../../src/pilot/discovery/make_before_break.ts";
import { ROUND_MS_MAX } from "../../../../src/pilot/discovery/push_round.ts";
import { resourceKey } from "../../../../src/model/snapshot.ts";
import { start } from "./discovered.ts";
import { FakeProxy } from "./fake_proxy.ts";
import { resource, service, workloadEntry } from "../fixture.ts";

const NAMES = ["web", "caller", "edge"];
const ENTRIES = NAMES.map((name, index) =>
  workloadEntry(name, "shop", `{address: 10.0.0.${index}, labels: {app: ${name}}, serviceAccount: ${name}}`)
);
const at = (
  port: number,
) => [...ENTRIES, service("web", "shop", `{name: http, port: 80, targetPort: ${port}}`)];

function startAll(first = at(8080)) {
  const { clock, registry, server, update } = start();
  update(first);
  const proxies = NAMES.map((name) => new FakeProxy(`shop/${name}`));
  const [web, caller, edge] = proxies as [FakeProxy, FakeProxy, FakeProxy];
  for (const proxy of proxies) {
    proxy.connect(server, { role: proxy === edge ? "gateway" : "sidecar" });
    clock.advance(RECOMPUTE_DELAY_MS);
    for (const one of proxies) while (one.unanswered > 0) one.ack();
  }
  for (const proxy of proxies) proxy.messages = [];
  return { clock, registry, server, update, web, caller, edge };
}

function sent(proxy: FakeProxy): string[] {
  return proxy.pushes.flatMap(({ set }) => set.map(({ body }) => resourceKey(body)));
}

const ENDPOINTS = "endpoints/outbound|80||web.shop.svc.cluster.local";

describe("Openings", () => {
  test("Openings tell of a port first who serves there, then everybody who may call", () => {
    const { update, web, caller } = startAll();
    update(at(9090));
    expect([sent(web), sent(caller)]).toEqual([["proxy/self"], []]);
    web.ack();
    expect([sent(web), sent(caller)]).toEqual([["proxy/self", ENDPOINTS], [ENDPOINTS]]);
  });

  test.each<[string, (server: ReturnType<typeof startAll>) => void]>([
    ["refuses", ({ web }) => web.nack()],
    ["goes away", ({ web, clock }) => {
      web.disconnect();
      clock.advance(RECOMPUTE_DELAY_MS);
    }],
    ["is silent", ({ clock }) => clock.advance(ROUND_MS_MAX)],
  ])("Openings hold nobody up when a proxy %s", (_what, happen) => {
    const started = startAll();
    started.update(at(9090));
    expect(sent(started.caller)).toEqual([]);
    happen(started);
    expect(sent(started.caller)).toEqual([ENDPOINTS]);
  });

  test("Openings hold up nothing where ports only close or stay", () => {
    const { update, caller } = startAll();
    update([...at(8080), service("other", "shop")]);
    expect(sent(caller).length).toBeGreaterThan(0);
  });

  test("Openings that are awaited leave no timer when the server closes", () => {
    const { clock, registry, server, update } = startAll();
    update(at(9090));
    server.close();
    registry.close();
    expect(clock.pending).toBe(0);
  });

  test("Openings let what changes meanwhile wait no longer than the first change", () => {
    const { clock, update, caller } = startAll();
    update(at(9090));
    clock.advance(ROUND_MS_MAX / 2);
    update(at(9091));
    expect(sent(caller)).toEqual([]);
    clock.advance(ROUND_MS_MAX / 2 - RECOMPUTE_DELAY_MS);
    expect(sent(caller)).toEqual([ENDPOINTS]);
  });
});

describe("Openings of plain text", () => {
  const inMode = (mode: string) => [
    ...at(8080),
    resource("PeerAuthentication shop/web", `{selector: {matchLabels: {app: web}}, mtls: {mode: ${mode}}}`),
  ];
  /** Whether it was told last that it takes plain text. */
  const takesIt = (proxy: FakeProxy) => {
    const told = proxy.pushes.flatMap(({ set }) => set.map(({ body }) => body));
    return told.findLast((body) => body.kind === "proxy")?.inbound.map(({ mtls }) => mtls !== "strict");
  };

  test("a workload takes it before callers are told to send it", () => {
    const { update, web, caller } = startAll(inMode("STRICT"));
    update(inMode("DISABLE"));
    expect([sent(web), takesIt(web), sent(caller)]).toEqual([["proxy/self"], [true], []]);
    web.ack();
    expect(sent(caller)).toEqual([ENDPOINTS]);
  });

  test("a workload takes it until what callers sent before they were told has arrived", () => {
    const { clock, update, web, caller } = startAll(inMode("DISABLE"));
    update(inMode("STRICT"));
    expect([sent(web), sent(caller)]).toEqual([[ENDPOINTS], [ENDPOINTS]]);
    web.ack();
    expect(takesIt(web)).toBeUndefined();
    caller.ack();
    clock.advance(DOORS_KEPT_MS - 1);
    expect(takesIt(web)).toBeUndefined();
    clock.advance(1);
    expect(takesIt(web)).toEqual([false]);
  });

  test("a workload takes it no longer for a caller that is silent", () => {
    const { clock, update, web } = startAll(inMode("DISABLE"));
    update(inMode("STRICT"));
    web.ack();
    clock.advance(ROUND_MS_MAX + DOORS_KEPT_MS);
    expect(takesIt(web)).toEqual([false]);
  });

  test("a workload refuses it at once where nobody has to call in another way", () => {
    const { update, web } = startAll(inMode("PERMISSIVE"));
    update(inMode("STRICT"));
    expect(takesIt(web)).toEqual([false]);
  });
});

/** A gateway that takes calls for some hosts, and callers of web that are sent to one of its ports. */
function byWayOf(servers: Readonly<Record<number, string>>, called: number): string[] {
  const written = Object.entries(servers).map(([port, rest]) =>
    `{port: {number: ${port}, name: s-${port}, protocol: ${
      rest.includes("tls") ? "HTTPS" : "HTTP"
    }}, hosts: ${rest}}`
  );
  const ports = Object.keys(servers).map((port) => `{name: http-${port}, port: ${port}}`);
  const to = (host: string, port: number) =>
    `http: [{route: [{destination: {host: ${host}, port: {number: ${port}}}}]}]`;
  return [
    ...at(8080),
    service("edge", "shop", ports.join(", ")),
    resource("Gateway shop/edge", `{selector: {app: edge}, servers: [${written.join(", ")}]}`),
    resource("VirtualService shop/web", `{hosts: [web], ${to("edge", called)}}`),
    resource("VirtualService shop/edge", `{hosts: ["*"], gateways: [edge], ${to("web", 80)}}`),
  ];
}

const TLS = "tls: {mode: SIMPLE, serverCertificate: /c, privateKey: /k}";
/** The one certificate is for several servers of a port. */
const secure = (...hosts: readonly string[]) => `[${hosts.join(", ")}], ${TLS}`;

function sentRules(proxy: FakeProxy): string[] {
  return sent(proxy).filter((key) => !key.startsWith("endpoints/") && !key.startsWith("cluster/"));
}

describe("Openings of gateways", () => {
  test.each<[string, Record<number, string>, Record<number, string>, string[]]>([
    [
      "a port",
      { 8081: "[a.test]" },
      { 8081: "[a.test]", 8082: "[a.test]" },
      ["gatewayListener/:8082", "virtualHost/http.:8082|a.test"],
    ],
    [
      "a host at a port that is open",
      { 8081: "[a.test]" },
      { 8081: "[a.test, b.test]" },
      ["virtualHost/http.:8081|b.test"],
    ],
    [
      "a server name",
      { 8443: secure("a.test") },
      { 8443: secure("a.test", "b.test") },
      ["gatewayListener/:8443", "virtualHost/https.8443.s-8443.edge.shop|b.test"],
    ],
  ])("%s is there before callers are sent to it", (_what, before, after, opened) => {
    const [first, next] = [before, after].map((servers) => Number(Object.keys(servers).at(-1)));
    const { update, caller, edge } = startAll(byWayOf(before, first as number));
    update(byWayOf(after, next as number).map((text) => text.replace("hosts: [web]", "hosts: [web, also]")));
    expect([sentRules(edge), sent(caller)]).toEqual([opened, []]);
    edge.ack();
    expect(sentRules(caller)).toContain(`virtualHost/also.shop.svc.cluster.local:80`);
  });

  test("what a gateway serves already changes when it changes for everybody", () => {
    const { update, caller } = startAll(byWayOf({ 8081: '["*.test"]' }, 8081));
    update(byWayOf({ 8081: '["*.test", a.test]' }, 8081).map((text) => text.replace("web], h", "also], h")));
    expect(sentRules(caller).length).toBeGreaterThan(0);
  });

  const twoPorts = byWayOf({ 8081: "[a.test]", 8082: "[b.test]" }, 8081);
  const [onePort, noPort] = [byWayOf({ 8082: "[b.test]" }, 8082), byWayOf({ 8083: "[c.test]" }, 8083)];

  function settle(proxies: readonly FakeProxy[]): void {
    for (const proxy of proxies) while (proxy.unanswered > 0) proxy.ack();
  }

  function removed({ pushes }: FakeProxy): string[] {
    return pushes.flatMap(({ remove }) => remove).filter((key) => !/^(endpoints|cluster)\//.test(key));
  }

  test("a port closes once all that was sent to it has arrived", () => {
    const { clock, update, caller, edge, web } = startAll(twoPorts);
    update(onePort);
    settle([edge, web, caller]);
    clock.advance(DOORS_KEPT_MS - 1);
    expect(removed(edge)).toEqual([]);
    clock.advance(1);
    expect(removed(edge)).toEqual(["gatewayListener/:8081", "virtualHost/http.:8081|a.test"]);
  });

  test("a port closes when a caller is silent, too", () => {
    const { clock, update, edge } = startAll(twoPorts);
    update(onePort);
    settle([edge]);
    clock.advance(ROUND_MS_MAX);
    settle([edge]);
    expect(removed(edge)).toEqual([]);
    clock.advance(DOORS_KEPT_MS);
    expect(removed(edge)).toContain("gatewayListener/:8081");
  });

  test("a host that nobody in the mesh is sent to closes at once", () => {
    const { update, edge } = startAll(byWayOf({ 8081: "[a.test, b.test]" }, 8081));
    update(byWayOf({ 8081: "[a.test]" }, 8081));
    expect(removed(edge)).toEqual(["virtualHost/http.:8081|b.test"]);
  });

  test("a port that goes while others are on their way closes with them", () => {
    const { clock, update, edge, web, caller } = startAll(twoPorts);
    update(onePort);
    settle([edge, web, caller]);
    clock.advance(DOORS_KEPT_MS / 2);
    update(noPort);
    // Opens the third, before anybody is told to leave the second.
    settle([edge, web, caller, edge]);
    clock.advance(DOORS_KEPT_MS - 1);
    expect(removed(edge)).toEqual([]);
    clock.advance(1);
    expect(removed(edge)).toEqual(expect.arrayContaining(["gatewayListener/:8081", "gatewayListener/:8082"]));
  });

  test("a port closes in time whatever else changes", () => {
    const { update, edge, web, caller } = startAll(twoPorts);
    update(onePort);
    for (let waitedMs = 0; waitedMs < DOORS_KEPT_MS; waitedMs += RECOMPUTE_DELAY_MS) {
      settle([edge, web, caller]);
      expect(removed(edge)).toEqual([]);
      update([...onePort, service(`other-${waitedMs}`, "shop")]);
    }
    settle([edge]);
    expect(removed(edge)).toContain("gatewayListener/:8081");
  });
});
