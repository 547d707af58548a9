/** A discovery server with two small configurations, and a proxy that asks it, for tests. */
import { ManualClock } from "../../../../src/lib/clock.ts";
import { resourceKey } from "../../../../src/model/snapshot.ts";
import { DiscoveryServer, RECOMPUTE_DELAY_MS } from "../../../../src/pilot/discovery/discovery_server.ts";
import { WorkloadRegistry } from "../../../../src/pilot/registry.ts";
import { FakeProxy } from "./fake_proxy.ts";
import { load, service, workloadEntry } from "../fixture.ts";

export const CUSTOMER = workloadEntry(
  "customer",
  "shop",
  "{address: 10.0.0.1, labels: {app: customer}, serviceAccount: customer}",
);

export const ONE = [CUSTOMER, service("web", "shop")];

export const TWO = [...ONE, service("api", "shop")];

export const WEB = "web.shop.svc.cluster.local";

export function start() {
  const clock = new ManualClock(1_000_000);
  const registry = new WorkloadRegistry({ clock, trustDomain: "cluster.local" });
  const server = new DiscoveryServer({ registry, clock, trustDomain: "cluster.local" });
  const update = (documents: string[]) => {
    server.update(load(...documents));
    clock.advance(RECOMPUTE_DELAY_MS);
  };
  return { clock, registry, server, update };
}

/** A proxy that was sent ONE. */
export function connected() {
  const started = start();
  started.update(ONE);
  const proxy = new FakeProxy("shop/customer");
  proxy.connect(started.server);
  return { ...started, proxy };
}

export function keysOf(proxy: FakeProxy): string[] {
  return proxy.pushes.at(-1)?.set.map(({ body }) => resourceKey(body)) ?? [];
}

export function stateOf(server: DiscoveryServer): string | undefined {
  return server.status()[0]?.state;
}
