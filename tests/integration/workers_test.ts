/** Sidecars of several processes: one to whoever looks from outside, whatever becomes of the single process. */
import { beforeAll, describe, expect } from "bun:test";
import {
  closeSync,
  constants,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeSync,
} from "node:fs";
import { createServer } from "node:net";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { SAME_SIGNAL_MS } from "../../src/runtime/signals.ts";
import { type Echo, startEcho } from "./apps.ts";
import { type Bowline, bowline, endEverythingAfterwards, scenario, until } from "./bowline.ts";
import { RawConnection, viaSidecar } from "./clients.ts";
import { KeepAliveLoad } from "./keep_alive_load.ts";
import { Mesh } from "./mesh.ts";
import { service, virtualService, workload } from "./resources.ts";

const WORKERS = 3;
/** So many that each worker gets some: all miss one of three once in 10^10. */
const CONNECTIONS = 60;
const CLIENTS = 30;

const mesh = new Mesh("127.0.34");
const CLIENT = mesh.address(10);
const STORE = mesh.address(11);
const OTHER = mesh.address(12);
const TARGET = { address: CLIENT, port: 15001, host: "store" };

let client: Bowline;
let store: Bowline;

endEverythingAfterwards();

beforeAll(async () => {
  mesh.write(
    "mesh.yaml",
    service("store"),
    service("other"),
    workload("client", CLIENT),
    workload("store", STORE),
    workload("other", OTHER, { serviceAccount: null }),
  );
  await mesh.startControlPlane();
  client = await mesh.startSidecar("shop/client", { at: 10, workers: WORKERS });
  store = await mesh.startSidecar("shop/store", { at: 11, workers: WORKERS });
  await startEcho("store", STORE);
  await startEcho("other", OTHER, ({ url }) => url === "/never");
  await mesh.untilSynced(2);
});

function workersOf({ pid }: Bowline): number[] {
  return (readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").match(/\d+/g) ?? []).map(Number);
}

function sockets(pid: number): number {
  const directory = `/proc/${pid}/fd`;
  return readdirSync(directory).filter((fd) => readlinkSync(`${directory}/${fd}`).startsWith("socket:"))
    .length;
}

/** The sum of all samples of that name and with these labels. */
async function metric(address: string, name: string, labels = ""): Promise<number> {
  const text = await (await fetch(`http://${address}:15090/stats/prometheus`)).text();
  return text.split("\n").filter((line) => /^[a-z_]+/.exec(line)?.[0] === name && line.includes(labels))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
}

const requests = () => metric(CLIENT, "istio_requests_total", 'reporter="source"');
const durations = () => metric(CLIENT, "istio_request_duration_milliseconds_count", 'reporter="source"');

async function ask(connection: RawConnection): Promise<string> {
  connection.send("GET / HTTP/1.1\r\nHost: store\r\n\r\n");
  const answer = await connection.read(/\r\n\r\n\{[^]*\}$/);
  expect(answer).toStartWith("HTTP/1.1 200 ");
  return (JSON.parse(answer.slice(answer.indexOf("{"))) as Echo).app;
}

describe("a sidecar with three workers", () => {
  scenario("deals connections out to all of them, and counts every request once", async () => {
    const workers = workersOf(client);
    expect(workers).toHaveLength(WORKERS);
    expect(readFileSync(`/proc/${workers[0]}/comm`, "utf8")).toBe("bowline-worker\n");
    const before = { sockets: workers.map(sockets), requests: await requests() };
    const connections = Array.from({ length: CONNECTIONS }, () => new RawConnection(CLIENT, 15001));
    for (let round = 1; round <= 5; round++) {
      await Promise.all(connections.map(ask));
      expect(await requests() - before.requests).toBe(round * CONNECTIONS);
    }
    expect(await durations()).toBe(await requests());
    expect(await metric(CLIENT, "bowline_downstream_connections")).toBe(CONNECTIONS);
    expect(await metric(STORE, "istio_requests_total", 'reporter="destination"')).toBe(await requests());
    workers.forEach((pid, i) => expect(sockets(pid)).toBeGreaterThan((before.sockets[i] as number) + 1));
    for (const connection of connections) connection.close();
  });

  scenario("goes on when one is killed, which is replaced; the numbers stay what they were", async () => {
    const load = new KeepAliveLoad(TARGET, CLIENTS);
    await until("the load is on", () => load.answered > 10 * CLIENTS);
    const victim = workersOf(client)[1] as number;
    const counted = await requests();
    process.kill(victim, "SIGKILL");
    const killedAtMs = performance.now();
    await until("a worker took its place", async () => await metric(CLIENT, "bowline_workers") === WORKERS);
    console.log(`replaced within ${(performance.now() - killedAtMs).toFixed(0)} ms`);
    expect(await metric(CLIENT, "bowline_worker_restarts_total")).toBe(1);
    expect(workersOf(client)).not.toContain(victim);
    const soFar = load.answered;
    await until("the load goes on", () => load.answered > soFar + 10 * CLIENTS);
    await load.stop();
    // What it had in its hands, and nothing else.
    expect(load.failures).toHaveLength(load.broken);
    expect(load.broken).toBeLessThan(CLIENTS);
    expect(await requests()).toBeGreaterThan(counted);
    expect(client.stderr).toContain('"reason":"signal SIGKILL"');
    await until("everybody is connected again", async () => await mesh.isReady(10));
    const after = Array.from({ length: CONNECTIONS }, () => new RawConnection(CLIENT, 15001));
    await Promise.all(after.map(ask));
    for (const connection of after) connection.close();
  });

  scenario("takes calls of the mesh with all, and replaces one of those too", async () => {
    process.kill(workersOf(store)[0] as number, "SIGKILL");
    await until(
      "a worker took its place",
      async () => await metric(STORE, "bowline_worker_restarts_total") === 1,
    );
    await until("it serves", async () => await metric(STORE, "bowline_workers") === WORKERS);
    for (let i = 0; i < CONNECTIONS; i++) expect((await viaSidecar(CLIENT, "store")).status).toBe(200);
  });

  scenario("brings a change to every worker, also for connections that are open", async () => {
    const connections = Array.from({ length: CONNECTIONS }, () => new RawConnection(CLIENT, 15001));
    expect(new Set(await Promise.all(connections.map(ask)))).toEqual(new Set(["store"]));
    mesh.write("route.yaml", virtualService("store", "- route:\n  - destination: { host: other }\n"));
    await until("the change is there", async () => await ask(connections[0] as RawConnection) === "other");
    await mesh.untilSynced(2);
    expect(new Set(await Promise.all(connections.map(ask)))).toEqual(new Set(["other"]));
    for (const connection of connections) connection.close();
    const dump = await fetch("http://bowline/config_dump", {
      unix: `${mesh.dataOf("shop/client")}/admin.sock`,
    });
    expect(await dump.text()).toContain("other.shop.svc.cluster.local");
  });

  scenario("lets everything in flight end at a SIGTERM to all of its processes", async () => {
    const load = new KeepAliveLoad(TARGET, CLIENTS);
    await until("the load is on", () => load.answered > 10 * CLIENTS);
    const workers = workersOf(client);
    // As a terminal or systemd's default does; the main process alone decides.
    for (const pid of workers) process.kill(pid, "SIGTERM");
    expect(await client.end("SIGTERM")).toBe(0);
    await load.stop();
    expect(load.failures).toEqual([]);
    for (const pid of workers) expect(existsSync(`/proc/${pid}`)).toBe(false);
  });

  scenario("ends all of its processes at a second SIGTERM, whatever is in flight", async () => {
    client = await mesh.startSidecar("shop/client", { at: 10, workers: WORKERS, tokenFile: null });
    const workers = workersOf(client);
    const connection = new RawConnection(CLIENT, 15001);
    connection.send("GET /never HTTP/1.1\r\nHost: other\r\n\r\n");
    await until("it is in flight", async () => await metric(CLIENT, "bowline_downstream_connections") === 1);
    client.child.kill("SIGTERM");
    await client.says("a second signal forces");
    await Bun.sleep(SAME_SIGNAL_MS + 100);
    expect(await client.end("SIGTERM")).toBe(143);
    await until("they are gone", () => workers.every((pid) => !existsSync(`/proc/${pid}`)));
    connection.close();
  });

  scenario("takes its workers with it when it is killed", async () => {
    const workers = workersOf(store);
    await store.end("SIGKILL");
    await until("they are gone", () => workers.every((pid) => !existsSync(`/proc/${pid}`)));
    // The ports are free: it starts again from its disk.
    store = await mesh.startSidecar("shop/store", { at: 11, workers: WORKERS, tokenFile: null });
  });
});

scenario("a sidecar goes on where nobody reads its log, and so do its workers", async () => {
  const path = join(mesh.directory, "log");
  Bun.spawnSync(["mkfifo", path]);
  // It takes no line more.
  const log = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  expect(() => {
    for (;;) writeSync(log, "x".repeat(1_000));
  }).toThrow("EAGAIN");
  const sidecar = await mesh.launchSidecar("shop/quiet", {
    ...{ at: 13, workers: 2 },
    within: ["sh", "-c", `exec "$0" "$@" 2>${path}`],
  });
  await mesh.untilReady(sidecar, 13);
  expect((await viaSidecar(mesh.address(13), "store")).status).toBe(200);
  await sidecar.end();
  closeSync(log);
});

describe("--workers", () => {
  scenario("wants a number from 1 to 256", async () => {
    const run = ["run", "--role", "sidecar", "--token-file", "none", "--bind", mesh.address(20)];
    for (const workers of ["0", "257", "two"]) {
      const { code, stderr } = await bowline([...run, "--workers", workers]);
      expect([code, stderr]).toEqual([64, expect.stringContaining("from 1 to 256")]);
    }
    const { code } = await bowline(run, { env: { BOWLINE_WORKERS: "257" } });
    expect(code).toBe(64);
    const other = await bowline([
      "run",
      "--role",
      "control-plane",
      "--config",
      mesh.config,
      "--workers",
      "2",
    ]);
    expect([other.code, other.stderr]).toEqual([
      64,
      expect.stringContaining("--workers is not for the role"),
    ]);
    const hand = await bowline(["worker", "--number", "1"]);
    expect([hand.code, hand.stderr]).toEqual([64, expect.stringContaining("bowline run --workers")]);
  });

  scenario(
    "is one for each core where a gateway does not say, and a sidecar is a process alone",
    async () => {
      const gateway = await mesh.startSidecar("shop/edge", { at: 21, role: "gateway" });
      const sidecar = await mesh.startSidecar("shop/lone", { at: 22 });
      const cores = availableParallelism();
      expect(workersOf(gateway)).toHaveLength(cores === 1 ? 0 : cores);
      expect(workersOf(sidecar)).toEqual([]);
      await Promise.all([gateway.end(), sidecar.end()]);
    },
  );

  scenario("tells of a port that another process has", async () => {
    const stranger = createServer().listen(15001, mesh.address(20));
    const sidecar = await mesh.launchSidecar("shop/late", { at: 20, workers: 2 });
    expect(await sidecar.endsByItself()).toBe(69);
    expect(sidecar.stderr).toContain(
      `Cannot listen on ${mesh.address(20)}:15001: another process already does`,
    );
    stranger.close();
  });
});
