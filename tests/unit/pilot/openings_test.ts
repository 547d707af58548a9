/** A port that opens: who serves at it confirms before anybody is sent there. */
import { describe, expect, test } from "bun:test";
import { ManualClock } from "../../../src/lib/clock.ts";
import { DiscoveryServer, RECOMPUTE_DELAY_MS } from "../../../src/pilot/discovery_server.ts";
import { OPENING_WAIT_MS } from "../../../src/pilot/openings.ts";
import { WorkloadRegistry } from "../../../src/pilot/registry.ts";
import { resourceKey } from "../../../src/model/snapshot.ts";
import { FakeProxy } from "./fake_proxy.ts";
import { load, service, workloadEntry } from "./fixture.ts";

const ENTRIES = ["web", "caller"].map((name, index) =>
  workloadEntry(name, "shop", `{address: 10.0.0.${index}, labels: {app: ${name}}, serviceAccount: ${name}}`)
);
const at = (
  port: number,
) => [...ENTRIES, service("web", "shop", `{name: http, port: 80, targetPort: ${port}}`)];

function start() {
  const clock = new ManualClock(1_000_000);
  const registry = new WorkloadRegistry({ clock, trustDomain: "cluster.local" });
  const server = new DiscoveryServer({ registry, clock, trustDomain: "cluster.local" });
  const update = (documents: string[]) => {
    server.update(load(...documents));
    clock.advance(RECOMPUTE_DELAY_MS);
  };
  update(at(8080));
  const [web, caller] = ["shop/web", "shop/caller"].map((name) => new FakeProxy(name)) as [
    FakeProxy,
    FakeProxy,
  ];
  for (const proxy of [web, caller]) {
    proxy.connect(server);
    clock.advance(RECOMPUTE_DELAY_MS);
    while (proxy.unanswered > 0) proxy.ack();
  }
  for (const proxy of [web, caller]) while (proxy.unanswered > 0) proxy.ack();
  for (const proxy of [web, caller]) proxy.messages = [];
  return { clock, registry, server, update, web, caller };
}

function sent(proxy: FakeProxy): string[] {
  return proxy.pushes.flatMap(({ set }) => set.map(({ body }) => resourceKey(body)));
}

const ENDPOINTS = "endpoints/outbound|80||web.shop.svc.cluster.local";

describe("Openings", () => {
  test("Openings tell of a port first who serves there, then everybody who may call", () => {
    const { update, web, caller } = start();
    update(at(9090));
    expect([sent(web), sent(caller)]).toEqual([["proxy/self"], []]);
    web.ack();
    expect([sent(web), sent(caller)]).toEqual([["proxy/self", ENDPOINTS], [ENDPOINTS]]);
  });

  test.each<[string, (server: ReturnType<typeof start>) => void]>([
    ["refuses", ({ web }) => web.nack()],
    ["goes away", ({ web, clock }) => {
      web.disconnect();
      clock.advance(RECOMPUTE_DELAY_MS);
    }],
    ["is silent", ({ clock }) => clock.advance(OPENING_WAIT_MS)],
  ])("Openings hold nobody up when a proxy %s", (_what, happen) => {
    const started = start();
    started.update(at(9090));
    expect(sent(started.caller)).toEqual([]);
    happen(started);
    expect(sent(started.caller)).toEqual([ENDPOINTS]);
  });

  test("Openings hold up nothing where ports only close or stay", () => {
    const { update, caller } = start();
    update([...at(8080), service("other", "shop")]);
    expect(sent(caller).length).toBeGreaterThan(0);
  });

  test("Openings let what changes meanwhile wait no longer than the first change", () => {
    const { clock, update, caller } = start();
    update(at(9090));
    clock.advance(OPENING_WAIT_MS / 2);
    update(at(9091));
    expect(sent(caller)).toEqual([]);
    clock.advance(OPENING_WAIT_MS / 2 - RECOMPUTE_DELAY_MS);
    expect(sent(caller)).toEqual([ENDPOINTS]);
  });
});
