/** A proxy that stops: others are sent elsewhere, and it is told when all of them know. */
import { describe, expect, test } from "bun:test";
import { ManualClock } from "../../../../src/lib/clock.ts";
import type { EndpointSet } from "../../../../src/model/cluster.ts";
import { DiscoveryServer, RECOMPUTE_DELAY_MS } from "../../../../src/pilot/discovery/discovery_server.ts";
import { DISCONNECT_GRACE_MS, WorkloadRegistry } from "../../../../src/pilot/registry.ts";
import { FakeProxy } from "./fake_proxy.ts";
import { load, service, workloadEntry } from "../fixture.ts";

const FILES = [
  service("web", "shop"),
  ...["1", "2"].map((n) =>
    workloadEntry(`web-${n}`, "shop", `{address: 10.0.1.${n}, labels: {app: web}, serviceAccount: web-${n}}`)
  ),
];

/** Two replicas of `web` and a client, all of them served. */
function start() {
  const clock = new ManualClock(1_000_000);
  const registry = new WorkloadRegistry({ clock, trustDomain: "cluster.local" });
  const server = new DiscoveryServer({ registry, clock, trustDomain: "cluster.local" });
  const [client, ...web] = ["shop/client", "shop/web-1", "shop/web-2"].map((name) => new FakeProxy(name));
  const proxies = [client, ...web] as [FakeProxy, FakeProxy, FakeProxy];
  server.update(load(...FILES));
  for (const proxy of proxies) proxy.connect(server);
  const turn = () => {
    clock.advance(RECOMPUTE_DELAY_MS);
  };
  const settle = (...some: FakeProxy[]) => {
    for (const proxy of some) while (proxy.unanswered > 0) proxy.ack();
  };
  turn();
  settle(...proxies);
  return { clock, server, registry, client: proxies[0], one: proxies[1], two: proxies[2], turn, settle };
}

/** Where the client is sent, by its last push; undefined: that one did not say. */
function endpoints(proxy: FakeProxy): string[] | undefined {
  const sets = proxy.pushes.at(-1)?.set.map(({ body }) => body);
  const web = sets?.find((body): body is EndpointSet => body.kind === "endpoints");
  return web?.endpoints.map(({ address }) => address);
}

function goodbye(proxy: FakeProxy): void {
  proxy.session?.receive({ type: "goodbye" });
}

function isReleased(proxy: FakeProxy): boolean {
  return proxy.messages.some(({ type }) => type === "farewell");
}

describe("Farewells", () => {
  test("Farewells answer a good-bye when the others are sent elsewhere and have confirmed it", () => {
    const { client, one, two, turn, settle } = start();
    goodbye(one);
    turn();
    expect(endpoints(client)).toEqual(["10.0.1.2"]);
    settle(two);
    expect(isReleased(one)).toBe(false);
    settle(client);
    expect(isReleased(one)).toBe(true);
    expect(isReleased(two)).toBe(false);
  });

  test("Farewells do not take for an answer what was offered before the good-bye", () => {
    const { server, client, one, two, turn, settle } = start();
    server.update(
      load(service("web", "shop", "{name: http, port: 80, targetPort: 9090}"), ...FILES.slice(1)),
    );
    turn();
    goodbye(one);
    // Both serve at the new port now, which the client is told.
    settle(one, two);
    settle(client);
    expect(endpoints(client)).toEqual(["10.0.1.1", "10.0.1.2"]);
    expect(isReleased(one)).toBe(false);
    turn();
    settle(client, one, two);
    expect(endpoints(client)).toEqual(["10.0.1.2"]);
    expect(isReleased(one)).toBe(true);
  });

  test("Farewells do not wait for those who are gone, nor for a proxy's own push", () => {
    const { client, one, two, turn } = start();
    goodbye(one);
    turn();
    expect(one.unanswered).toBe(1);
    two.disconnect();
    client.disconnect();
    expect(isReleased(one)).toBe(true);
  });

  test("Farewells come at once where nobody has to be told", () => {
    const { client, one, two, turn, settle } = start();
    goodbye(one);
    turn();
    settle(client, one, two);
    one.disconnect();
    goodbye(two);
    turn();
    expect(client.unanswered).toBe(0);
    expect(isReleased(two)).toBe(true);
  });

  test("Farewells wait for what a slow proxy gets after the push that it is busy with", () => {
    const { client, one, two, turn, settle, server } = start();
    server.update(load(...FILES, service("api", "shop")));
    turn();
    settle(one, two);
    goodbye(one);
    turn();
    settle(two);
    client.ack();
    expect(isReleased(one)).toBe(false);
    expect(endpoints(client)).toEqual(["10.0.1.2"]);
    client.ack();
    expect(isReleased(one)).toBe(true);
  });

  test("a workload whose proxy has left is called again when the proxy is back, however long that takes", () => {
    const { client, one, clock, turn, settle, server, registry, two } = start();
    goodbye(one);
    turn();
    settle(client, one, two);
    one.disconnect();
    clock.advance(DISCONNECT_GRACE_MS + 1);
    expect(registry.get("shop/web-1")?.leaving).toBe("gone");
    client.connect(server);
    turn();
    one.connect(server);
    turn();
    settle(client);
    expect(endpoints(client)).toEqual(["10.0.1.1", "10.0.1.2"]);
  });

  test("the last one is called until it is gone: it still answers", () => {
    const { client, one, two, turn, settle } = start();
    goodbye(one);
    goodbye(two);
    turn();
    settle(client, one, two);
    expect(endpoints(client)).toEqual(["10.0.1.1", "10.0.1.2"]);
    expect([isReleased(one), isReleased(two)]).toEqual([true, true]);
  });
});
