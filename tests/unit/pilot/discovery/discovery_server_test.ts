/** What is pushed to a proxy, and when. */
import { describe, expect, test } from "bun:test";
import { resourceKey } from "../../../../src/model/snapshot.ts";
import { RECOMPUTE_DELAY_MS } from "../../../../src/pilot/discovery/discovery_server.ts";
import { NACK_REASON_LENGTH_MAX } from "../../../../src/pilot/discovery/discovery_session.ts";
import { FakeProxy } from "./fake_proxy.ts";
import { load, resource, service, workloadEntry } from "../fixture.ts";
import { connected, CUSTOMER, keysOf, ONE, start, stateOf, TWO, WEB } from "./discovered.ts";

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
    const { clock, server, update, proxy } = connected();
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
    const { server, update, proxy } = connected();
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
    const { server, proxy } = connected();
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
    const { update, proxy } = connected();
    update(TWO);
    update([...TWO, service("b", "shop")]);
    expect(proxy.pushes.length).toBe(1);
    proxy.ack();
    expect(proxy.pushes.length).toBe(2);
    expect(keysOf(proxy).length).toBe(8);
  });

  test("DiscoveryServer does not push again what was put back in the meantime", () => {
    const { server, update, proxy } = connected();
    update(TWO);
    update(ONE);
    proxy.ack();
    expect(proxy.pushes.length).toBe(1);
    expect(stateOf(server)).toBe("synced");
  });

  test("DiscoveryServer leaves a NACKed push alone until something changes, and then compares with what the proxy has", () => {
    const { server, update, proxy } = connected();
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
    const { server, update, proxy } = connected();
    proxy.ack();
    update(TWO);
    proxy.nack();
    update(ONE);
    expect(proxy.pushes.length).toBe(2);
    expect(stateOf(server)).toBe("synced");
  });

  test("DiscoveryServer ignores answers to anything but the push in flight", () => {
    const { server, proxy } = connected();
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
  update([...ONE, labelled, resource("VirtualService shop/r", rule)]);
  expect(proxies.map(({ pushes }) => pushes.length)).toEqual([1, 2]);
  expect(proxies[1]?.pushes[1]?.set.map(({ body }) => resourceKey(body))).toEqual([
    `virtualHost/${WEB}:8080`,
  ]);
});

describe("DiscoveryServer, to a proxy that names its snapshot by a version", () => {
  test("DiscoveryServer says in an empty push that it is current", () => {
    const { server, update, proxy } = connected();
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
