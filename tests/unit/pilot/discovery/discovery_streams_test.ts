/** Who may ask, how many at once, for how long, and what is told of them. */
import { describe, expect, test } from "bun:test";
import { DISCOVERY_HEARTBEAT_MS } from "../../../../src/model/discovery.ts";
import {
  HEARTBEATS_MISSED_MAX,
  RECOMPUTE_DELAY_MS,
  RESUME_SETTLE_MS,
  SESSIONS_MAX,
  SESSIONS_PER_WORKLOAD_MAX,
} from "../../../../src/pilot/discovery/discovery_server.ts";
import { DISCONNECT_GRACE_MS } from "../../../../src/pilot/registry.ts";
import { FakeProxy } from "./fake_proxy.ts";
import { workloadEntry } from "../fixture.ts";
import { connected, CUSTOMER, keysOf, ONE, start } from "./discovered.ts";

describe("DiscoveryServer", () => {
  test("DiscoveryServer refuses another workload's identity, an unknown protocol and nonsense", () => {
    const { server, update } = start();
    update(ONE);
    const refused = (change: object, peer?: string) => {
      const proxy = new FakeProxy("shop/customer");
      proxy.connect(server, change, peer);
      expect(proxy.session).toBeNull();
      expect(proxy.messages.map(({ type }) => type)).toEqual(["refusal"]);
      return proxy.ended;
    };
    expect(refused({}, "spiffe://cluster.local/ns/shop/sa/web")).toContain(
      "must be spiffe://cluster.local/ns/shop/sa/customer",
    );
    expect(refused({ workload: "shop/api" }, "spiffe://cluster.local/ns/shop/sa/web")).toContain("sa/api");
    expect(refused({ protocol: 3 })).toContain("Protocol 3");
    expect(refused({ protocol: undefined })).toContain("Protocol");
    expect(refused({ workload: "shop" })).toContain("NAMESPACE/NAME");
    expect(refused({ address: "web.example.com" })).toContain("not an IP address");
    expect(refused({ meshPort: 65_536 })).toContain("65536");
    expect(refused({ known: null })).toContain("versions");
    expect(server.status()).toEqual([]);
    for (const protocol of [0, 1, 2]) {
      const neighbour = new FakeProxy("shop/customer");
      neighbour.connect(server, { protocol });
      expect(neighbour.session).not.toBeNull();
    }
  });

  test("DiscoveryServer ends a stream whose workload is given another identity", () => {
    const { server, update, proxy } = connected();
    proxy.ack();
    update([CUSTOMER.replace("serviceAccount: customer", "serviceAccount: other"), ...ONE.slice(1)]);
    expect(proxy.messages.at(-1)?.type).toBe("refusal");
    expect(proxy.ended).toContain("sa/other");
    expect(server.status()).toEqual([]);
  });

  test("DiscoveryServer tells the others of a workload without a file as it comes, and as its grace ends", () => {
    const { clock, server, update } = start();
    update(ONE);
    const customer = new FakeProxy("shop/customer");
    customer.connect(server);
    customer.ack();
    const web = new FakeProxy("shop/web");
    web.connect(server);
    expect(web.pushes).toEqual([]);
    clock.advance(RECOMPUTE_DELAY_MS);
    expect(keysOf(web)[0]).toBe("proxy/self");
    expect(customer.pushes.at(-1)?.set.map(({ body }) => body)).toMatchObject([
      { kind: "endpoints", endpoints: [{ address: "10.0.0.9", meshPort: 15008 }] },
    ]);
    customer.ack();
    web.disconnect();
    clock.advance(RECOMPUTE_DELAY_MS);
    expect(customer.unanswered).toBe(0);
    for (let waited = 0; waited < DISCONNECT_GRACE_MS; waited += DISCOVERY_HEARTBEAT_MS) {
      customer.session?.receive({ type: "heartbeat" });
      clock.advance(DISCOVERY_HEARTBEAT_MS);
    }
    clock.advance(RECOMPUTE_DELAY_MS);
    expect(customer.pushes.at(-1)?.set.map(({ body }) => body)).toMatchObject([{ endpoints: [] }]);
  });

  test("DiscoveryServer after a restart waits for workloads without a file before it updates proxies that have a config", () => {
    const before = start();
    before.update(ONE);
    const web = new FakeProxy("shop/web");
    web.connect(before.server);
    const customer = new FakeProxy("shop/customer");
    before.clock.advance(RECOMPUTE_DELAY_MS);
    customer.connect(before.server);
    customer.ack();

    const after = start();
    after.registry.setEnrolled(new Set(["shop/web", "shop/customer"]));
    after.update(ONE);
    customer.connect(after.server);
    expect(customer.pushes).toEqual([]);
    web.connect(after.server);
    after.clock.advance(RECOMPUTE_DELAY_MS);
    expect(customer.pushes).toEqual([{ type: "push", nonce: 1, set: [], remove: [] }]);
  });

  test("DiscoveryServer gives up waiting for workloads without a file after its settle time", () => {
    const { clock, registry, server, update } = start();
    registry.setEnrolled(new Set(["shop/gone"]));
    update(ONE);
    const fresh = new FakeProxy("shop/customer");
    fresh.connect(server);
    expect(fresh.pushes.length).toBe(1);
    const resuming = new FakeProxy("shop/customer");
    resuming.versions.set("cluster/old", "1");
    resuming.connect(server);
    clock.advance(RESUME_SETTLE_MS - RECOMPUTE_DELAY_MS - 1);
    expect(resuming.pushes).toEqual([]);
    clock.advance(1);
    expect(resuming.pushes.length).toBe(1);
  });

  test("DiscoveryServer sends heartbeats, and ends a stream that stays silent", () => {
    const { clock, server, update } = start();
    update(ONE);
    const lively = new FakeProxy("shop/customer");
    const silent = new FakeProxy("shop/web");
    lively.connect(server);
    silent.connect(server);
    for (let beat = 1; beat < HEARTBEATS_MISSED_MAX; beat++) {
      clock.advance(DISCOVERY_HEARTBEAT_MS);
      lively.session?.receive({ type: "heartbeat" });
    }
    expect(silent.messages.filter(({ type }) => type === "heartbeat").length).toBe(HEARTBEATS_MISSED_MAX - 1);
    expect(silent.ended).toBeNull();
    clock.advance(DISCOVERY_HEARTBEAT_MS);
    expect(silent.ended).toContain("silent");
    expect(lively.ended).toBeNull();
  });

  test("DiscoveryServer ends the oldest of too many streams of one workload", () => {
    const { server, update } = start();
    update(ONE);
    const proxies = Array.from(
      { length: SESSIONS_PER_WORKLOAD_MAX + 1 },
      () => new FakeProxy("shop/customer"),
    );
    for (const proxy of proxies) proxy.connect(server);
    expect(proxies.map((proxy) => proxy.session !== null)).toEqual([
      false,
      ...Array.from({ length: SESSIONS_PER_WORKLOAD_MAX }, () => true),
    ]);
  });

  test("DiscoveryServer serves as many streams as its limit, and ends one more without calling it wrong", () => {
    const { server } = start();
    for (let index = 0; index < SESSIONS_MAX; index++) new FakeProxy(`shop/p${index}`).connect(server);
    expect(server.status().length).toBe(SESSIONS_MAX);
    const proxy = new FakeProxy("shop/one-more");
    proxy.connect(server);
    expect(proxy.session).toBeNull();
    expect(proxy.ended).toContain(String(SESSIONS_MAX));
    expect(proxy.messages).toEqual([]);
    server.close();
  });

  test("DiscoveryServer.status() says what each proxy serves", () => {
    const { clock, server, update } = start();
    update([...ONE, workloadEntry("web-1", "shop", "{address: 10.0.0.7, labels: {app: web}}")]);
    const connectedAtMs = clock.now();
    const proxy = new FakeProxy("shop/customer");
    proxy.connect(server);
    clock.advance(5);
    proxy.ack();
    expect(server.status()).toEqual([{
      workload: "shop/customer",
      role: "sidecar",
      version: "0.1.0",
      address: "10.0.0.9",
      connectedAtMs,
      state: "synced",
      health: null,
      shutPorts: [],
      reason: null,
      snapshotVersion: expect.stringMatching(/^[0-9a-f]{32}$/),
      ackedAtMs: connectedAtMs + 5,
      counts: { virtualHosts: 1, clusters: 1, endpoints: 1 },
    }]);
  });

  test("DiscoveryServer.status() shows the ports that a proxy has shut, as it said last", () => {
    const { server, update } = start();
    update(ONE);
    const proxy = new FakeProxy("shop/customer");
    const shut = (port: number) => [{ port, reason: "it is taken" }];
    proxy.connect(server, { shutPorts: shut(80) });
    expect(server.status()[0]?.shutPorts).toEqual(shut(80));
    proxy.session?.receive({ type: "ports", shut: shut(81) });
    expect(server.status()[0]?.shutPorts).toEqual(shut(81));
    proxy.session?.receive({ type: "ports", shut: [{ port: "81" }] as never });
    expect(server.status()[0]?.shutPorts).toEqual(shut(81));
  });

  test("DiscoveryServer.close() ends streams and, with the registry's, leaves no timer", () => {
    const { clock, registry, server, proxy } = connected();
    server.close();
    registry.close();
    expect(proxy.ended).toContain("stopping");
    expect(clock.pending).toBe(0);
  });
});
