import { expect, test } from "bun:test";
import { ManualClock } from "../../../../src/lib/clock.ts";
import { Prng } from "../../../../src/lib/prng.ts";
import { DISCOVERY_HEARTBEAT_MS } from "../../../../src/model/discovery.ts";
import { DiscoveryServer, RECOMPUTE_DELAY_MS } from "../../../../src/pilot/discovery/discovery_server.ts";
import { DISCONNECT_GRACE_MS, WorkloadRegistry } from "../../../../src/pilot/registry.ts";
import { translate } from "../../../../src/pilot/translate.ts";
import { FakeProxy } from "./fake_proxy.ts";
import { load, resource, service, workloadEntry } from "../fixture.ts";

const SEEDS = 30;
const STEPS = 100;
const NAMES = ["a", "b", "c", "d"];

/** Of each kind of resource some are there and some are not; half of the workloads stand in files. */
function randomConfig(random: Prng) {
  const some = (documents: string[]) => documents.filter(() => random.below(3) > 0);
  const rule = (host: string) =>
    `{hosts: [${host}], http: [{match: [{sourceLabels: {app: a}}], route: [{destination: {host: d}}]}, {route: ` +
    `[{destination: {host: ${host}, subset: v1}, weight: ${
      1 + random.below(9)
    }}, {destination: {host: b}, weight: 5}]}]}`;
  return load(
    service("a", "shop"),
    ...some(
      NAMES.flatMap((name) => [service(name, "other"), service(name, "shop").replace('"a"', name)]).slice(3),
    ),
    ...some(
      ["a", "b"].map((name) =>
        workloadEntry(
          name,
          "shop",
          `{address: 10.0.${random.below(3)}.1, labels: {app: ${name}}, serviceAccount: ${name}}`,
        )
      ),
    ),
    ...some(
      NAMES.map((name) =>
        resource(`VirtualService ${random.below(2) ? "shop" : "other"}/${name}`, rule(name))
      ),
    ),
    ...some(
      NAMES.map((name) =>
        resource(
          `DestinationRule shop/${name}`,
          `{host: ${name}, subsets: [{name: v1, labels: {app: ${name}}}]}`,
        )
      ),
    ),
  );
}

function simulate(seed: number): void {
  const random = new Prng(seed);
  const clock = new ManualClock();
  const registry = new WorkloadRegistry({ clock, trustDomain: "cluster.local" });
  const server = new DiscoveryServer({ registry, clock, trustDomain: "cluster.local" });
  const proxies = NAMES.flatMap((name) => [new FakeProxy(`shop/${name}`), new FakeProxy(`other/${name}`)]);
  let resources = randomConfig(random);

  const actions: ((proxy: FakeProxy) => void)[] = [
    (proxy) => proxy.session === null && proxy.connect(server),
    (proxy) => proxy.session === null && proxy.connect(server),
    (proxy) => proxy.disconnect(),
    (proxy) => proxy.unanswered > 0 && proxy.ack(),
    (proxy) => proxy.unanswered > 0 && proxy.ack(),
    (proxy) => proxy.unanswered > 0 && proxy.nack(),
    () => server.update(resources = randomConfig(random)),
    () => clock.advance(random.below(RECOMPUTE_DELAY_MS * 2)),
    () => clock.advance(random.below(DISCONNECT_GRACE_MS)),
  ];
  for (let step = 0; step < STEPS; step++) {
    const proxy = proxies[random.below(proxies.length)] as FakeProxy;
    actions[random.below(actions.length)]?.(proxy);
    for (const other of proxies) expect(other.unanswered).toBeLessThanOrEqual(1);
    for (const other of proxies) other.session?.receive({ type: "heartbeat" });
  }

  // Quiescence: all are connected anew, nothing is refused any more, and all grace periods are over.
  server.update(resources = randomConfig(random));
  for (const proxy of proxies) {
    proxy.disconnect();
    proxy.connect(server);
  }
  for (let waitedMs = 0; waitedMs <= DISCONNECT_GRACE_MS; waitedMs += DISCOVERY_HEARTBEAT_MS) {
    clock.advance(DISCOVERY_HEARTBEAT_MS);
    for (const proxy of proxies) {
      proxy.session?.receive({ type: "heartbeat" });
      while (proxy.unanswered > 0) proxy.ack();
    }
  }
  for (const proxy of proxies) {
    const workload = registry.get(proxy.workload);
    if (workload === undefined) throw new Error(`${proxy.workload} is not known`);
    const wanted = translate(resources, registry.workloads(), workload, "cluster.local");
    const versions = new Map([...wanted].map(([key, { version }]) => [key, version]));
    expect([...proxy.versions].sort()).toEqual([...versions].sort());
  }
  expect(server.status().map(({ state }) => state)).toEqual(proxies.map(() => "synced"));
}

for (let seed = 1; seed <= SEEDS; seed++) {
  test(`discovery converges whatever happens, seed ${seed}`, () => simulate(seed));
}
