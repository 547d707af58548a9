/** Whoever edits in whatever order and manner, under load from a sidecar and through a gateway: no request may notice. */
import { beforeAll, describe, expect } from "bun:test";
import { closeSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { Prng } from "../../src/lib/prng.ts";
import type { SourceFile } from "../../src/runtime/read_files.ts";
import { type Echo, startEcho } from "./apps.ts";
import { endEverythingAfterwards, scenario, until } from "./bowline.ts";
import { CarelessEditor, type Files } from "./file_writers.ts";
import { KeepAliveLoad } from "./keep_alive_load.ts";
import { Mesh } from "./mesh.ts";
import { service, subsets, virtualService, workload } from "./resources.ts";

const mesh = new Mesh("127.0.80");
const SEED = 20_261_129;
const EDITS = 4;
const SWAPS = 3;
const CLIENTS = 2;
const GATEWAY_PORT = 8081;
/** Longer than files are left alone before what looks whole is taken. */
const WRITER_PAUSE_MS = 1_500;
/** What failed late shows within it. */
const AFTERWARDS_MS = 500;

/** Workloads have a program at each. */
const PORTS = [8080, 9090];
const STORES = [11, 12];
const OTHERS = [13, 14];

const random = new Prng(SEED);
const one = <Item>(items: readonly Item[]) => items[random.below(items.length)] as Item;

/** What waits for a service to come back takes its time. */
const rarely = (name: string, mostly: string) => random.below(6) === 0 ? name : mostly;

const DOOR = `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: door, namespace: shop }
spec:
  selector: { app: edge }
  servers:
  - port: { number: ${GATEWAY_PORT}, name: http, protocol: HTTP }
    hosts: ["store.example.com"]
`;

/** A half of it lets one of the callers in. */
const POLICY = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: callers, namespace: shop }
spec:
  selector:
    matchLabels: { app: store }
  action: ALLOW
  rules:
  - from:
    - source:
        principals: ["cluster.local/ns/shop/sa/edge"]
  - from:
    - source:
        principals: ["cluster.local/ns/shop/sa/client"]
`;

/** A half of it turns everybody away. */
const SLOW_POLICY = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: slow, namespace: shop }
spec:
  selector:
    matchLabels: { app: store }
  action: DENY
  rules:
  - from:
    - source:
        namespaces: ["shop"]
    to:
    - operation:
        paths: ["/nowhere"]
`;

/** A random state of the files that is whole by itself: whoever calls the store gets an answer. */
function state(): Files {
  const [first, second] = one([["v1", "v2"], ["blue", "green"], ["green", "v1"]]) as [string, string];
  const [front, other] = [rarely("facade", "front"), rarely("spare", "second")];
  const [hasSubsets, hasFront, hasRule] = [random.below(4) > 0, random.below(6) > 0, random.below(4) > 0];
  const to = (host: string, subset = "", weight = 100) =>
    `  - { destination: { host: ${host}${subset} }, weight: ${weight} }`;
  const routes = () => {
    const split = `${to("store", `, subset: ${first}`, 60)}\n${to("store", `, subset: ${second}`, 40)}`;
    const choices = [to(other), hasFront ? to(front) : to("store"), hasSubsets ? split : to("store"), split];
    return `- route:\n${one(choices.slice(0, hasSubsets ? 4 : 3))}`;
  };
  const rule = virtualService("store", routes()).replace("name: store", `name: ${one(["store", "renamed"])}`);
  const edge = virtualService("store", routes()).replace("name: store", "name: edge")
    .replace("hosts: [store]", "hosts: [store.example.com]\n  gateways: [door]");
  const named = subsets("store").replace("name: v1", `name: ${first}`).replace("name: v2", `name: ${second}`);
  return one([apart, byKind, together])([
    service("store").replace("port: 8080", `port: 8080, targetPort: ${one(PORTS)}`),
    service(other, one(PORTS)).replace(`app: ${other}`, "app: other"),
    ...(hasFront ? [service(front, one(PORTS)).replace(`app: ${front}`, "app: store")] : []),
    DOOR,
    edge,
    ...(hasRule ? [rule] : []),
    ...(hasSubsets ? [named] : []),
    POLICY,
    workload("client", mesh.address(10)),
    workload("edge", mesh.address(20)),
    workload("store-v1", mesh.address(11), { app: "store" }),
    workload("store-v2", mesh.address(12), { app: "store", version: "v2" }),
    workload("other", mesh.address(one(OTHERS)), { serviceAccount: null }),
  ]);
}

function apart(documents: readonly string[]): Files {
  return Object.fromEntries(documents.map((text) => [`${kindOf(text)}-${nameOf(text)}.yaml`, text]));
}

function byKind(documents: readonly string[]): Files {
  const kinds = Map.groupBy(documents, kindOf);
  return Object.fromEntries([...kinds].map(([kind, texts]) => [`${kind}.yaml`, texts.join("---\n")]));
}

function together(documents: readonly string[]): Files {
  return { "mesh.yaml": documents.join("---\n") };
}

function kindOf(text: string): string {
  return /kind: (\w+)/.exec(text)?.[1] as string;
}

function nameOf(text: string): string {
  return /name: ([\w-]+)/.exec(text)?.[1] as string;
}

endEverythingAfterwards();

let now = state();

beforeAll(async () => {
  for (const [name, text] of Object.entries(now)) mesh.write(name, text);
  await mesh.startControlPlane();
  await Promise.all([
    mesh.startSidecar("shop/client", { at: 10 }),
    mesh.startSidecar("shop/store-v1", { at: 11 }),
    mesh.startSidecar("shop/store-v2", { at: 12 }),
    mesh.startSidecar("shop/edge", { at: 20, role: "gateway" }),
    ...[...STORES, ...OTHERS].flatMap((at) =>
      PORTS.map((port) => startEcho(`${at}:${port}`, mesh.address(at), undefined, port))
    ),
  ]);
  await mesh.untilSynced(4);
});

/** As the control plane notes what it serves. */
function isServed(files: Files): boolean {
  const kept = readFileSync(join(mesh.controlPlaneData, "config-last-good.json"), "utf8");
  const texts = (JSON.parse(kept) as SourceFile[]).map(({ file, text }) => [file, text] as const);
  return Bun.deepEquals(Object.fromEntries(texts), { ...files });
}

/** Edits under load, one after the other until a request fails; each returns the state that it made. So many programs answer. */
async function underLoad(
  editor: CarelessEditor,
  edits: readonly (() => Promise<Files>)[],
  appsMin = 3,
): Promise<void> {
  const loads = [
    new KeepAliveLoad({ address: mesh.address(10), port: 15001, host: "store.shop:8080" }, CLIENTS),
    new KeepAliveLoad({ address: mesh.address(20), port: GATEWAY_PORT, host: "store.example.com" }, CLIENTS),
  ];
  const failures = () => [...new Set(loads.flatMap(({ failures }) => failures))];
  const answered = new Set<string>();
  for (const edit of edits) {
    if (failures().length > 0) break;
    now = await edit();
    await until("the control plane serves the edit", () => isServed(now));
    for (const text of loads.flatMap(({ latest }) => latest)) answered.add((JSON.parse(text) as Echo).app);
  }
  await Bun.sleep(AFTERWARDS_MS);
  await Promise.all(loads.map((load) => load.stop()));
  const did = editor.journal.slice(-12);
  expect({ did, failures: failures() }).toEqual({ did, failures: [] });
  // They took effect.
  expect(answered.size).toBeGreaterThanOrEqual(appsMin);
  for (const load of loads) expect(load.answered).toBeGreaterThan(100);
}

describe("careless edits", () => {
  const editor = new CarelessEditor(mesh.config, random);

  scenario("fail no request, whatever is written how and in which order", async () => {
    const edits = Array.from({ length: EDITS }, () => async () => {
      const next = state();
      const manner = random.below(6);
      if (manner === 0) await editor.replaceDirectory(next);
      else if (manner === 1) await editor.refill(next);
      else await editor.edit(now, next);
      return next;
    });
    await underLoad(editor, edits);
  });

  scenario(
    "fail no request while a file is written slowly, a part that is whole by itself at a time",
    async () => {
      const half = SLOW_POLICY.indexOf("    to:");
      const write = async () => {
        const descriptor = openSync(join(mesh.config, "slow.yaml"), "w");
        for (const part of [SLOW_POLICY.slice(0, half), SLOW_POLICY.slice(half)]) {
          writeSync(descriptor, part);
          await Bun.sleep(WRITER_PAUSE_MS);
        }
        closeSync(descriptor);
        return { ...now, "slow.yaml": SLOW_POLICY };
      };
      const remove = async () => {
        const { "slow.yaml": _, ...rest } = now;
        rmSync(join(mesh.config, "slow.yaml"));
        return await Promise.resolve(rest);
      };
      await underLoad(editor, [write, remove], 1);
    },
  );

  scenario("fail no request where a directory is mounted, and what it holds is swapped", async () => {
    const mount = async () => {
      const next = state();
      await editor.mount(next);
      return next;
    };
    const swaps = Array.from({ length: SWAPS }, () => async () => {
      const next = state();
      await editor.swapMount(now, next);
      return next;
    });
    await underLoad(editor, [mount, ...swaps]);
  });
});
