/** What an idle sidecar costs. */
import { afterAll, expect } from "bun:test";
import { startEcho, stopEchoes } from "./apps.ts";
import { endEverythingAfterwards, scenario, until } from "./bowline.ts";
import { viaSidecar } from "./clients.ts";
import { Mesh } from "./mesh.ts";
import { rssMib } from "./process_figures.ts";
import { service, workload } from "./resources.ts";

/** 60 million bytes. */
const IDLE_RSS_MAX_MIB = 60e6 / 1024 ** 2;

const mesh = new Mesh("127.0.1");

endEverythingAfterwards();

afterAll(async () => {
  await stopEchoes();
  mesh.remove();
});

scenario("an idle sidecar takes less than 60 MB", async () => {
  mesh.write(
    "mesh.yaml",
    service("store"),
    workload("client", mesh.address(10)),
    workload("store", mesh.address(11)),
  );
  await mesh.startControlPlane();
  const client = await mesh.startSidecar("shop/client", { at: 10 });
  const store = await mesh.startSidecar("shop/store", { at: 11 });
  await startEcho("store", mesh.address(11));
  await mesh.untilSynced(2);
  const idle = [rssMib(client), rssMib(store)];
  await until("a call arrives", async () => (await viaSidecar(mesh.address(10), "store")).status === 200);
  const called = [rssMib(client), rssMib(store)];
  const show = (numbers: readonly number[]) => numbers.map((number) => number.toFixed(1)).join(" and ");
  console.log(`idle sidecars: ${show(idle)} MiB; after a call: ${show(called)} MiB`);
  for (const number of idle) expect(number).toBeLessThan(IDLE_RSS_MAX_MIB);
});
