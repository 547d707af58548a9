/** A sidecar with few descriptors, and clients that want them all: what it has goes on, what is too much is told so. */
import { beforeAll, describe, expect } from "bun:test";
import type { ServerResponse } from "node:http";
import { startEcho } from "./apps.ts";
import { type Bowline, endEverythingAfterwards, scenario, until } from "./bowline.ts";
import { exchange, RawConnection, viaSidecar } from "./clients.ts";
import { Mesh } from "./mesh.ts";
import { cpuShare, descriptors, metric } from "./process_figures.ts";
import { service, workload } from "./resources.ts";

const OPEN_FILES_MAX = 128;
/** Several times as many as there are descriptors. */
const FLOOD = 400;
/** Of one core, while the flood stands. */
const CPU_SHARE_MAX = 0.2;
const RECOVERY_MS = 1_000;

const mesh = new Mesh("127.0.31");
const CLIENT = mesh.address(10);
const STORE = mesh.address(11);
const SILENT = mesh.address(12);
const GET = "GET / HTTP/1.1\r\nHost: store\r\n\r\n";

/** What the silent upstream was asked and does not answer. */
const unanswered: ServerResponse[] = [];

let client: Bowline;
let store: Bowline;

endEverythingAfterwards();

beforeAll(async () => {
  mesh.write("mesh.yaml", service("store"), workload("client", CLIENT), workload("store", STORE));
  await mesh.startControlPlane();
  client = await mesh.startSidecar("shop/client", { at: 10, openFilesMax: OPEN_FILES_MAX });
  store = await mesh.startSidecar("shop/store", { at: 11, openFilesMax: OPEN_FILES_MAX });
  await startEcho("store", STORE);
  await startEcho("silent", SILENT, (_request, response) => {
    unanswered.push(response);
    return true;
  });
  await mesh.untilSynced(2);
});

async function live(connection: RawConnection): Promise<void> {
  connection.send(GET);
  expect(await connection.read(/\r\n\r\n\{[^]*\}$/)).toStartWith("HTTP/1.1 200 ");
}

describe("with more connections than descriptors", () => {
  scenario("a flood at 15001: live connections and the admin ports go on; above the cap 503", async () => {
    const before = new RawConnection(CLIENT, 15001);
    await live(before);
    const flood = Array.from({ length: FLOOD }, () => new RawConnection(CLIENT, 15001));
    for (const one of flood) one.send(GET);
    await until(
      "the flood is refused",
      async () => await metric(CLIENT, "bowline_downstream_connections_refused_total") > FLOOD / 2,
    );
    expect(await cpuShare(client, 2_000)).toBeLessThan(CPU_SHARE_MAX);
    await live(before);
    expect((await fetch(`http://${CLIENT}:15021/healthz/ready`)).status).toBe(200);
    const above = await exchange(CLIENT, 15001, GET);
    expect(above.text).toStartWith("HTTP/1.1 503 ");
    expect(above.text).toContain("\r\nretry-after: 1\r\n");
    expect(above.closed).toBe(true);
    for (const one of flood) one.close();
    await until(
      "it serves again",
      async () => (await viaSidecar(CLIENT, "store")).status === 200,
      RECOVERY_MS,
    );
    await live(before);
    before.close();
    expect(client.isAlive).toBe(true);
  });

  scenario("handshakes at 15008 that nobody ends: new callers get in all the while", async () => {
    const flood = Array.from({ length: FLOOD }, () => new RawConnection(STORE, 15008));
    await until(
      "the flood is refused",
      async () => await metric(STORE, "bowline_downstream_connections_refused_total") > FLOOD / 2,
    );
    expect(await cpuShare(store, 2_000)).toBeLessThan(CPU_SHARE_MAX);
    expect((await viaSidecar(CLIENT, "store")).status).toBe(200);
    expect((await fetch(`http://${STORE}:15021/healthz/ready`)).status).toBe(200);
    for (const one of flood) one.close();
    expect(store.isAlive).toBe(true);
  });

  scenario(
    "a flood at the ports for health and metrics: requests, scrapes and health checks go on",
    async () => {
      const before = new RawConnection(CLIENT, 15001);
      await live(before);
      for (
        const [port, path] of [[15000, "/healthz/ready"], [15021, "/healthz/ready"], [
          15090,
          "/none",
        ]] as const
      ) {
        const flood = Array.from({ length: FLOOD }, () => new RawConnection(CLIENT, port));
        for (const one of flood) one.send(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
        await Promise.all(flood.map((one) => one.sent()));
        await until("most of them are closed", () => flood.filter(({ closed }) => closed).length > FLOOD / 2);
        expect(descriptors(client)).toBeLessThan(OPEN_FILES_MAX / 2);
        expect((await viaSidecar(CLIENT, "store")).status).toBe(200);
        expect((await fetch(`http://${CLIENT}:15021/healthz/ready`)).status).toBe(200);
        expect(await metric(CLIENT, "istio_requests_total")).toBeGreaterThan(0);
        await live(before);
        for (const one of flood) one.close();
      }
      before.close();
      expect(client.isAlive).toBe(true);
    },
  );

  scenario("the same at the control plane's port", async () => {
    const address = mesh.address(9);
    const flood = Array.from({ length: FLOOD }, () => new RawConnection(address, 15014));
    for (const one of flood) one.send("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
    await Promise.all(flood.map((one) => one.sent()));
    await until("most of them are closed", () => flood.filter(({ closed }) => closed).length > FLOOD / 2);
    expect((await fetch(`http://${address}:15014/readyz`)).status).toBe(200);
    for (const one of flood) one.close();
  });

  scenario("requests that an upstream never answers, each with a connection of its own there", async () => {
    const before = new RawConnection(CLIENT, 15001);
    await live(before);
    const flood = Array.from({ length: FLOOD }, () => new RawConnection(CLIENT, 15001));
    for (const one of flood) one.send(`GET / HTTP/1.1\r\nHost: ${SILENT}:8080\r\n\r\n`);
    await Bun.sleep(500);
    expect(await cpuShare(client, 2_000)).toBeLessThan(CPU_SHARE_MAX);
    await live(before);
    expect((await fetch(`http://${CLIENT}:15021/healthz/ready`)).status).toBe(200);
    expect(unanswered.length).toBeGreaterThan(0);
    for (const response of unanswered) response.end();
    for (const one of flood) one.close();
    await until(
      "it serves again",
      async () => (await viaSidecar(CLIENT, "store")).status === 200,
      RECOVERY_MS,
    );
    before.close();
    expect(client.isAlive).toBe(true);
  });
});
