/** Files that belong together change one after the other, in every order, under load: no request may notice. */
import { beforeAll, describe, expect } from "bun:test";
import { Prng } from "../../src/lib/prng.ts";
import { startEcho } from "./apps.ts";
import { endEverythingAfterwards, scenario, until } from "./bowline.ts";
import { KeepAliveLoad } from "./keep_alive_load.ts";
import { Mesh } from "./mesh.ts";
import { service, subsets, virtualService, workload } from "./resources.ts";

const mesh = new Mesh("127.0.58");
const CLIENTS = 4;
const SEED = 20_260_911;
const ROUNDS = 6;
const GATEWAY_EDITS = 20;
/** Longer than the directory is watched for quiet, so that each file is an edit of its own. */
const BETWEEN_EDITS_MS = 250;

/** What a file says before it says anything. */
const NOTHING = "# nothing\n";

const to = (host: string, subset: string | null, weight: number) =>
  `  - { destination: { host: ${host}${subset === null ? "" : `, subset: ${subset}`} }, weight: ${weight} }`;
const split = (...destinations: readonly string[]) =>
  virtualService("store", `- route:\n${destinations.join("\n")}`);

/** States of the files, each whole by itself; between two of them the files that differ change in random order. */
const STATES: readonly Readonly<Record<string, string>>[] = [
  { rule: NOTHING, subsets: NOTHING, other: NOTHING },
  { rule: split(to("store", "v1", 50), to("store", "v2", 50)), subsets: subsets("store"), other: NOTHING },
  {
    rule: split(to("store", "blue", 70), to("store", "green", 30)),
    subsets: subsets("store").replace("name: v1", "name: blue").replace("name: v2", "name: green"),
    other: NOTHING,
  },
  { rule: split(to("second", null, 100)), subsets: NOTHING, other: service("second") },
  { rule: split(to("second", "v1", 100)), subsets: subsets("second"), other: service("second") },
];

const GATEWAY_PORTS = [8081, 8082, 8083];

/** Calls go straight to the store, or by way of a gateway. */
interface Way {
  readonly ports: readonly number[];
  readonly hosts: readonly string[];
  /** Of the ports; null: straight. */
  readonly called: number | null;
}

/** By file. A gateway has each of its hosts at each of its ports; callers ask for the first. */
function filesOf({ ports, hosts, called }: Way): Readonly<Record<string, string>> {
  const servers = ports.map((port) =>
    `  - { port: { number: ${port}, name: http-${port}, protocol: HTTP }, hosts: [${hosts.join(", ")}] }`
  );
  const straight = `- route:\n${to("store", null, 100)}`;
  const byGateway = `- rewrite: { authority: ${hosts[0]} }
  route:
  - { destination: { host: edge, port: { number: ${called} } } }`;
  return {
    other: `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: edge, namespace: shop }
spec:
  selector: { app: edge }
  servers:
${servers.join("\n")}
`,
    subsets: `apiVersion: v1
kind: Service
metadata: { name: edge, namespace: shop }
spec:
  selector: { app: edge }
  ports:
${ports.map((port) => `  - { name: http-${port}, port: ${port} }`).join("\n")}
`,
    rule: [
      virtualService("store", called === null ? straight : byGateway),
      virtualService("store", straight).replace("name: store", "name: edge")
        .replace("hosts: [store]", `hosts: ["*.example.com"]\n  gateways: [edge]`),
    ].join("---\n"),
  };
}

function randomWay(random: Prng): Way {
  const ports = shuffled(GATEWAY_PORTS, random).slice(random.below(GATEWAY_PORTS.length));
  const hosts = shuffled(["a", "b", "c"], random).slice(random.below(3)).map((name) => `${name}.example.com`);
  return { ports, hosts, called: random.below(4) === 0 ? null : ports[0] as number };
}

endEverythingAfterwards();

beforeAll(async () => {
  mesh.write("services.yaml", service("store"));
  mesh.write(
    "workloads.yaml",
    workload("client", mesh.address(10)),
    workload("store-v1", mesh.address(11), { app: "store" }),
    workload("store-v2", mesh.address(12), { app: "store", version: "v2" }),
    workload("second", mesh.address(13), { serviceAccount: null }),
    // Its ports are what the Gateway says.
    workload("edge", mesh.address(20)).replace("labels: {", "labels: { security.istio.io/tlsMode: disabled,"),
  );
  for (const [file, text] of Object.entries(STATES[0] as Record<string, string>)) {
    mesh.write(`${file}.yaml`, text);
  }
  await mesh.startControlPlane();
  await Promise.all([
    mesh.startSidecar("shop/client", { at: 10 }),
    mesh.startSidecar("shop/store-v1", { at: 11 }),
    mesh.startSidecar("shop/store-v2", { at: 12 }),
    mesh.startSidecar("shop/edge", { at: 20, role: "gateway" }),
    ...["store-v1", "store-v2", "second"].map((app, index) => startEcho(app, mesh.address(11 + index))),
  ]);
  await mesh.untilSynced(4);
});

function load(): KeepAliveLoad {
  return new KeepAliveLoad({ address: mesh.address(10), port: 15001, host: "store.shop:8080" }, CLIENTS);
}

function shuffled<Item>(items: readonly Item[], random: Prng): Item[] {
  return items.map((item) => ({ item, key: random.uint32() })).sort((a, b) => a.key - b.key)
    .map(({ item }) => item);
}

describe("edits in any order", () => {
  scenario("rules, subsets and services that come and go one after the other fail no request", async () => {
    const random = new Prng(SEED);
    const requests = load();
    let now = STATES[0] as Record<string, string>;
    const orders: string[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      for (const next of shuffled(STATES.filter((state) => state !== now), random)) {
        const files = shuffled(Object.keys(next).filter((file) => next[file] !== now[file]), random);
        orders.push(files.join(" "));
        for (const file of files) {
          mesh.write(`${file}.yaml`, next[file] as string);
          await Bun.sleep(BETWEEN_EDITS_MS);
        }
        now = next;
        if (requests.failures.length > 0) break;
      }
    }
    await requests.stop();
    expect({ orders: orders.slice(-2), failures: [...new Set(requests.failures)] })
      .toEqual({ orders: orders.slice(-2), failures: [] });
    expect(requests.answered).toBeGreaterThan(1_000);
  });

  scenario(
    "ports and hosts of a gateway that come and go with the calls to them fail no request",
    async () => {
      const random = new Prng(SEED);
      const requests = load();
      let way = randomWay(random);
      const edit = async (next: Way, betweenMs: number) => {
        way = next;
        for (const [file, text] of shuffled(Object.entries(filesOf(next)), random)) {
          mesh.write(`${file}.yaml`, text);
          await Bun.sleep(betweenMs);
        }
        await Bun.sleep(BETWEEN_EDITS_MS);
      };
      for (let count = 0; count < GATEWAY_EDITS && requests.failures.length === 0; count++) {
        // All at once, or file by file.
        await edit(randomWay(random), count === 0 || random.below(3) > 0 ? 0 : BETWEEN_EDITS_MS);
      }
      await edit({ ports: GATEWAY_PORTS, hosts: ["b.example.com", "a.example.com"], called: 8082 }, 0);
      await edit({ ports: [8081], hosts: ["a.example.com"], called: 8081 }, 0);
      const other = `http://${mesh.address(20)}:8082/`;
      await until("its port is closed", () => fetch(other).then(() => false, () => true));
      await requests.stop();
      expect({ way, failures: [...new Set(requests.failures)] }).toEqual({ way, failures: [] });
      expect(requests.answered).toBeGreaterThan(1_000);
    },
  );

  scenario("a rule whose subset never comes is taken as it is written", async () => {
    mesh.write("rule.yaml", split(to("store", "nobody", 100)));
    const requests = load();
    await until(
      "the rule holds",
      () => requests.failures.some((failure) => failure.startsWith("status 503")),
    );
    await requests.stop();
  });
});
