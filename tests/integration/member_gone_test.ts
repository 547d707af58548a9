/** A member of a WorkloadGroup whose machine is gone: it stays an endpoint for a while, then no more, until it is back. */
import { beforeAll, expect } from "bun:test";
import { rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { EndpointSet } from "../../src/model/cluster.ts";
import type { VersionedResource } from "../../src/model/snapshot.ts";
import { DISCONNECT_GRACE_MS } from "../../src/pilot/registry.ts";
import { type Echo, startEcho } from "./apps.ts";
import { afterwards, type Bowline, endEverythingAfterwards, scenario, until } from "./bowline.ts";
import { viaSidecar } from "./clients.ts";
import { Mesh } from "./mesh.ts";
import { service, workload } from "./resources.ts";
import { ShiftedClock } from "./shifted_clock.ts";

const time = join(tmpdir(), `bowline-it-clock-${process.pid}`);
const clock = new ShiftedClock(time);
const mesh = new Mesh("127.0.79", clock.env);
const CLIENT = mesh.address(10);
const FIRST = mesh.address(11);
const SECOND = mesh.address(12);

endEverythingAfterwards();
afterwards(() => rmSync(time, { force: true }));

const GROUP = `apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: { name: search, namespace: shop }
spec:
  metadata: { labels: { app: search } }
  template: { serviceAccount: search }
`;

async function joinGroup(at: number): Promise<Bowline> {
  const tokenFile = await mesh.tokenFile({ group: "shop/search" });
  return await mesh.startSidecar("shop/search", { at, tokenFile, data: `search-${at}` });
}

/** The members that the caller knows. */
async function members(): Promise<string[]> {
  const unix = join(mesh.dataOf("shop/client"), "admin.sock");
  const dump = await (await fetch("http://sidecar/config_dump", { unix })).json();
  const sets = Object.values(dump as Record<string, VersionedResource>)
    .map(({ body }) => body).filter((body): body is EndpointSet => body.kind === "endpoints");
  return sets.flatMap(({ endpoints }) => endpoints.map(({ address }) => address)).sort();
}

const untilMembers = (what: string, expected: readonly string[]) =>
  until(what, async () => JSON.stringify(await members()) === JSON.stringify(expected));

let second: Bowline;

beforeAll(async () => {
  mesh.write("mesh.yaml", service("search"), GROUP, workload("client", CLIENT));
  await mesh.startControlPlane();
  await Promise.all([startEcho("first", FIRST), startEcho("second", SECOND)]);
  await mesh.startSidecar("shop/client", { at: 10 });
  [, second] = await Promise.all([joinGroup(11), joinGroup(12)]);
  await untilMembers("both are known", [FIRST, SECOND]);
});

scenario(
  "while its sidecar stands still calls go round it, and those that it had are answered after all",
  async () => {
    const calls: Promise<string>[] = [];
    const ask = async () => (JSON.parse((await viaSidecar(CLIENT, "search")).body) as Echo).app;
    const areAnsweredByFirst = async (count: number) => {
      const batch = Array.from({ length: count }, ask);
      calls.push(...batch);
      return await Promise.race([
        Promise.all(batch).then((apps) => apps.every((app) => app === "first")),
        Bun.sleep(500).then(() => false),
      ]);
    };
    process.kill(second.pid, "SIGSTOP");
    await until("a call hangs", async () => !(await areAnsweredByFirst(1)));
    await until("calls go round it", () => areAnsweredByFirst(40));
    process.kill(second.pid, "SIGCONT");
    for (const app of await Promise.all(calls)) expect(["first", "second"]).toContain(app);
    await until("it is called again", async () => await ask() === "second");
  },
);

scenario("it is an endpoint as long as it may come back soon, and none after that", async () => {
  await second.end("SIGKILL");
  await until("the control plane has noticed", async () => (await mesh.proxies()).length === 2);
  expect(await members()).toEqual([FIRST, SECOND]);
  clock.set(DISCONNECT_GRACE_MS + 1_000);
  await untilMembers("the one that is gone is none any more", [FIRST]);
  for (let i = 0; i < 10; i++) {
    const { status, body } = await viaSidecar(CLIENT, "search");
    expect([status, (JSON.parse(body) as Echo).app]).toEqual([200, "first"]);
  }
});

scenario("back with what is on its disk, it is a member again", async () => {
  await mesh.startSidecar("shop/search", { at: 12, tokenFile: null, data: "search-12" });
  await untilMembers("both are known", [FIRST, SECOND]);
});
