/** What a sidecar costs: idle, and with bodies that it keeps. */
import { expect } from "bun:test";
import { startEcho } from "./apps.ts";
import { endEverythingAfterwards, scenario, until } from "./bowline.ts";
import { RawConnection, viaSidecar } from "./clients.ts";
import { Mesh } from "./mesh.ts";
import { rssMib } from "./process_figures.ts";
import { service, workload } from "./resources.ts";

/** 55 million bytes; with the pages that only the start needs it would be 58. */
const IDLE_RSS_MAX_MIB = 55e6 / 1024 ** 2;

const BODIES = 20;
/** Below what is kept of a body for another attempt. */
const BODY_BYTES = 40_000;
/** Each byte of a body costs so many in memory at most; as an object of its own it would be far more than a hundred. */
const COST_MAX = 50;

const mesh = new Mesh("127.0.1");

endEverythingAfterwards();

scenario("an idle sidecar takes less than 55 MB", async () => {
  mesh.write(
    "mesh.yaml",
    service("store"),
    workload("client", mesh.address(10)),
    workload("store", mesh.address(11)),
    workload("other", mesh.address(12)),
  );
  await mesh.startControlPlane();
  const client = await mesh.startSidecar("shop/client", { at: 10 });
  const store = await mesh.startSidecar("shop/store", { at: 11 });
  await startEcho("store", mesh.address(11));
  await mesh.untilSynced(2);
  await until(
    "the start is over, and its pages are given back",
    () => [client, store].every((process) => rssMib(process) < IDLE_RSS_MAX_MIB),
  );
  await until("a call arrives", async () => (await viaSidecar(mesh.address(10), "store")).status === 200);
  const called = [rssMib(client), rssMib(store)];
  console.log(`after a call: ${called.map((number) => number.toFixed(1)).join(" and ")} MiB`);
  for (const number of called) expect(number).toBeLessThan(IDLE_RSS_MAX_MIB);
});

scenario("a body in pieces of a byte costs little more than in one piece", async () => {
  const client = await mesh.startSidecar("shop/other", { at: 12 });
  await until("a call arrives", async () => (await viaSidecar(mesh.address(12), "store")).status === 200);
  const before = rssMib(client);
  const bodies = Array.from({ length: BODIES }, () => new RawConnection(mesh.address(12), 15001));
  for (const body of bodies) {
    body.send("POST / HTTP/1.1\r\nHost: store\r\nTransfer-Encoding: chunked\r\n\r\n");
    body.send("1\r\nx\r\n".repeat(BODY_BYTES));
  }
  for (const body of bodies) await body.sent();
  // Whoever is answered was heard, and so were those before.
  expect((await viaSidecar(mesh.address(12), "store")).status).toBe(200);
  const cost = (rssMib(client) - before) * 1024 ** 2 / (BODIES * BODY_BYTES);
  console.log(`each byte costs ${cost.toFixed(1)}`);
  for (const body of bodies) body.send("0\r\n\r\n");
  for (const body of bodies) await body.read(new RegExp(`"bodyBytes":${BODY_BYTES}`));
  for (const body of bodies) body.close();
  expect(cost).toBeLessThan(COST_MAX);
});
