import { describe, expect, test } from "bun:test";
import { ManualClock } from "../../../src/lib/clock.ts";
import { DISCOVERY_HEARTBEAT_MS } from "../../../src/model/discovery.ts";
import { resourceKey } from "../../../src/model/snapshot.ts";
import {
  DiscoveryServer,
  HEARTBEATS_MISSED_MAX,
  RECOMPUTE_DELAY_MS,
  RESUME_SETTLE_MS,
  SESSIONS_MAX,
  SESSIONS_PER_WORKLOAD_MAX,
} from "../../../src/pilot/discovery_server.ts";
import { NACK_REASON_LENGTH_MAX } from "../../../src/pilot/discovery_session.ts";
import { DISCONNECT_GRACE_MS, WorkloadRegistry } from "../../../src/pilot/registry.ts";
import { FakeProxy } from "./fake_proxy.ts";
import { load, networking, service, workloadEntry } from "./fixture.ts";

const CUSTOMER = workloadEntry(
  "customer",
  "shop",
  "{address: 10.0.0.1, labels: {app: customer}, serviceAccount: customer}",
);
const ONE = [CUSTOMER, service("web", "shop")];
const TWO = [...ONE, service("api", "shop")];
const WEB = "web.shop.svc.cluster.local";

function start() {
  const clock = new ManualClock(1_000_000);
  const registry = new WorkloadRegistry({ clock, trustDomain: "cluster.local" });
  const server = new DiscoveryServer({ registry, clock, trustDomain: "cluster.local" });
  const update = (documents: string[]) => {
    server.update(load(...documents));
    clock.advance(RECOMPUTE_DELAY_MS);
  };
  return { clock, registry, server, update };
}

function keysOf(proxy: FakeProxy): string[] {
  return proxy.pushes.at(-1)?.set.map(({ body }) => resourceKey(body)) ?? [];
}

function stateOf(server: DiscoveryServer): string | undefined {
  return server.status()[0]?.state;
}

describe("DiscoveryServer", () => {
  test("DiscoveryServer sends nothing before the first generation is loaded", () => {
    const { clock, server, update } = start();
    const proxy = new FakeProxy("shop/customer");
    proxy.versions.set("cluster/old", "1");
    proxy.connect(server);
    clock.advance(5_000);
    expect(proxy.pushes).toEqual([]);
    expect(stateOf(server)).toBe("not-sent");
    update(ONE);
    expect(proxy.pushes.length).toBe(1);
  });

  test("DiscoveryServer.setRevoked() pushes the serial numbers and nothing else, until there are none", () => {
    const { clock, server, update } = start();
    update(ONE);
    const proxy = new FakeProxy("shop/customer");
    proxy.connect(server);
    proxy.ack();
    const self = () => proxy.pushes.at(-1)?.set[0];
    const before = self();
    const revokedIds = [{ spiffeId: "spiffe://mesh.test/ns/shop/sa/cart", endedByMs: 1_000 }];
    server.setRevoked(["4a"], revokedIds);
    clock.advance(RECOMPUTE_DELAY_MS);
    expect(keysOf(proxy)).toEqual(["proxy/self"]);
    expect(self()?.body).toMatchObject({
      ...{ kind: "proxy", revoked: ["4a"], revokedIds },
    });
    proxy.ack();
    update(TWO);
    expect(keysOf(proxy)).not.toContain("proxy/self");
    proxy.ack();
    server.setRevoked([], []);
    clock.advance(RECOMPUTE_DELAY_MS);
    expect(self()).toEqual(before);
  });

  test("DiscoveryServer pushes the whole snapshot first, and then only what changed", () => {
    const { server, update } = start();
    update(ONE);
    const proxy = new FakeProxy("shop/customer");
    proxy.connect(server);
    expect(keysOf(proxy)).toEqual([
      "proxy/self",
      `virtualHost/${WEB}:8080`,
      `listener/${WEB}:8080`,
      `cluster/outbound|8080||${WEB}`,
      `endpoints/outbound|8080||${WEB}`,
    ]);
    expect(stateOf(server)).toBe("stale");
    proxy.ack();
    expect(stateOf(server)).toBe("synced");
    update([...ONE, workloadEntry("web-1", "shop", "{address: 10.0.0.7, labels: {app: web}}")]);
    expect(keysOf(proxy)).toEqual([`endpoints/outbound|8080||${WEB}`]);
    proxy.ack();
    update([CUSTOMER]);
    expect(proxy.pushes.at(-1)?.set).toEqual([]);
    expect(proxy.pushes.at(-1)?.remove.length).toBe(4);
  });

  test("DiscoveryServer answers a proxy that has everything with an empty push", () => {
    const { server, update } = start();
    update(ONE);
    const proxy = new FakeProxy("shop/customer");
    proxy.connect(server);
    proxy.ack();
    proxy.disconnect();
    proxy.connect(server);
    expect(proxy.pushes).toEqual([{ type: "push", nonce: 1, set: [], remove: [] }]);
    proxy.ack();
    expect(stateOf(server)).toBe("synced");
  });

  test("DiscoveryServer sends a reconnecting proxy only what it lacks, across restarts", () => {
    const first = start();
    first.update(ONE);
    const proxy = new FakeProxy("shop/customer");
    proxy.connect(first.server);
    proxy.ack();
    const second = start();
    second.update(TWO);
    proxy.connect(second.server);
    expect(keysOf(proxy).every((key) => key.includes("api.shop"))).toBe(true);
    expect(keysOf(proxy).length).toBe(4);
  });

  test("DiscoveryServer keeps one push in flight and makes one of what came meanwhile", () => {
    const { server, update } = start();
    update(ONE);
    const proxy = new FakeProxy("shop/customer");
    proxy.connect(server);
    update(TWO);
    update([...TWO, service("b", "shop")]);
    expect(proxy.pushes.length).toBe(1);
    proxy.ack();
    expect(proxy.pushes.length).toBe(2);
    expect(keysOf(proxy).length).toBe(8);
  });

  test("DiscoveryServer does not push again what was put back in the meantime", () => {
    const { server, update } = start();
    update(ONE);
    const proxy = new FakeProxy("shop/customer");
    proxy.connect(server);
    update(TWO);
    update(ONE);
    proxy.ack();
    expect(proxy.pushes.length).toBe(1);
    expect(stateOf(server)).toBe("synced");
  });

  test("DiscoveryServer leaves a NACKed push alone until something changes, and then compares with what the proxy has", () => {
    const { server, update } = start();
    update(ONE);
    const proxy = new FakeProxy("shop/customer");
    proxy.connect(server);
    proxy.ack();
    update(TWO);
    proxy.nack("x".repeat(NACK_REASON_LENGTH_MAX + 1));
    update(TWO);
    expect(proxy.pushes.length).toBe(2);
    expect(server.status()[0]).toMatchObject({ state: "nacked", reason: "x".repeat(NACK_REASON_LENGTH_MAX) });
    update([...TWO, service("b", "shop")]);
    expect(keysOf(proxy).length).toBe(8);
    proxy.ack();
    expect(server.status()[0]).toMatchObject({ state: "synced", reason: null });
  });

  test("DiscoveryServer calls a proxy synced again when the change that it refused is taken back", () => {
    const { server, update } = start();
    update(ONE);
    const proxy = new FakeProxy("shop/customer");
    proxy.connect(server);
    proxy.ack();
    update(TWO);
    proxy.nack();
    update(ONE);
    expect(proxy.pushes.length).toBe(2);
    expect(stateOf(server)).toBe("synced");
  });

  test("DiscoveryServer ignores answers to anything but the push in flight", () => {
    const { server, update } = start();
    update(ONE);
    const proxy = new FakeProxy("shop/customer");
    proxy.connect(server);
    proxy.session?.receive({ type: "ack", nonce: 99 });
    proxy.session?.receive({ type: "nack", nonce: 0, reason: "" });
    expect(stateOf(server)).toBe("stale");
    proxy.ack();
    proxy.session?.receive({ type: "nack", nonce: 1, reason: "late" });
    expect(stateOf(server)).toBe("synced");
  });

  test("DiscoveryServer computes once for changes within its delay", () => {
    const { clock, server } = start();
    server.update(load(...ONE));
    server.update(load(...TWO));
    clock.advance(RECOMPUTE_DELAY_MS - 1);
    expect(server.world).toBeNull();
    clock.advance(1);
    const { world } = server;
    expect(world).not.toBeNull();
    clock.advance(1_000);
    expect(server.world).toBe(world);
  });

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
    const { server, update } = start();
    update(ONE);
    const proxy = new FakeProxy("shop/customer");
    proxy.connect(server);
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

  test("DiscoveryServer shares one encoded difference among proxies that see the same", () => {
    const { server, update } = start();
    const proxies = [new FakeProxy("shop/a"), new FakeProxy("shop/b")];
    update(ONE);
    for (const proxy of proxies) proxy.connect(server);
    update(ONE);
    for (const proxy of proxies) proxy.ack();
    update(TWO);
    const [a, b] = proxies.map((proxy) => proxy.pushes.at(-1));
    expect(a?.set.length).toBe(4);
    expect(a?.set).toBe(b?.set as never);
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
    const { clock, registry, server, update } = start();
    update(ONE);
    const proxy = new FakeProxy("shop/customer");
    proxy.connect(server);
    server.close();
    registry.close();
    expect(proxy.ended).toContain("stopping");
    expect(clock.pending).toBe(0);
  });
});

test("a VirtualService for one caller's labels reaches that caller only", () => {
  const { server, update } = start();
  const labelled = workloadEntry(
    "front",
    "shop",
    "{address: 10.0.0.2, labels: {app: front}, serviceAccount: front}",
  );
  update([...ONE, labelled]);
  const proxies = [new FakeProxy("shop/customer"), new FakeProxy("shop/front")];
  for (const proxy of proxies) proxy.connect(server);
  for (const proxy of proxies) proxy.ack();
  const rule =
    "{hosts: [web], http: [{match: [{sourceLabels: {app: front}}], route: [{destination: {host: web, subset: x}}]}]}";
  update([...ONE, labelled, networking("VirtualService", "r", "shop", rule)]);
  expect(proxies.map(({ pushes }) => pushes.length)).toEqual([1, 2]);
  expect(proxies[1]?.pushes[1]?.set.map(({ body }) => resourceKey(body))).toEqual([
    `virtualHost/${WEB}:8080`,
  ]);
});

describe("DiscoveryServer, to a proxy that names its snapshot by a version", () => {
  test("DiscoveryServer says in an empty push that it is current", () => {
    const { server, update } = start();
    update(ONE);
    const proxy = new FakeProxy("shop/customer");
    proxy.connect(server);
    proxy.ack();
    const snapshot = server.status()[0]?.snapshotVersion as string;
    proxy.disconnect();
    proxy.connect(server, { known: {}, snapshot });
    expect(proxy.pushes).toEqual([{ type: "push", nonce: 1, base: snapshot, set: [], remove: [] }]);
    proxy.ack();
    expect(stateOf(server)).toBe("synced");
    update(TWO);
    expect(proxy.pushes.at(-1)?.base).toBeUndefined();
    expect(keysOf(proxy)).toContain("cluster/outbound|8080||api.shop.svc.cluster.local");
    expect(keysOf(proxy)).not.toContain(`cluster/outbound|8080||${WEB}`);
  });

  test("DiscoveryServer sends everything to a proxy whose version is another, again after a NACK", () => {
    const { server, update } = start();
    update(ONE);
    const proxy = new FakeProxy("shop/customer");
    proxy.connect(server, { known: {}, snapshot: "0".repeat(32) });
    expect(proxy.pushes[0]?.base).toBeUndefined();
    expect(keysOf(proxy)).toContain("proxy/self");
    expect(keysOf(proxy)).toContain(`cluster/outbound|8080||${WEB}`);
    proxy.nack();
    update(TWO);
    expect(keysOf(proxy)).toContain("proxy/self");
    expect(keysOf(proxy)).toContain(`cluster/outbound|8080||${WEB}`);
  });
});
