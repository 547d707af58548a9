/** Under systemd, as which the test acts: a restart loses no call, and the manager hears how it is. */
import { beforeAll, expect, test } from "bun:test";
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startEcho } from "./apps.ts";
import { BOWLINE, Bowline, endEverythingAfterwards, scenario, until } from "./bowline.ts";
import { exchange, RawConnection } from "./clients.ts";
import { Mesh } from "./mesh.ts";
import { service, workload } from "./resources.ts";
import { keepSocket, NotifySocket, withSockets } from "./service_manager.ts";

const CALLERS = 4;
const UNITS = join(import.meta.dirname, "../../config/systemd");
/** Calls that are answered before each restart. */
const CALLS = 20;

const mesh = new Mesh("127.0.94");
const CLIENT = mesh.address(10);
const STORE = mesh.address(11);

/** What it listens at over all restarts, and a port that it knows nothing of. */
const kept = withSockets([15001, 15009, 15021].map((port) => keepSocket(CLIENT, port)));

const keptOfStore = withSockets([15008, 15006].map((port) => keepSocket(STORE, port)));
let store: Bowline;

endEverythingAfterwards();

beforeAll(async () => {
  mesh.write("mesh.yaml", service("store"), workload("client", CLIENT), workload("store", STORE));
  await mesh.startControlPlane();
  // A sidecar takes what it is given for its other ports too: here TLS begins on a socket that it did not open.
  store = await mesh.startSidecar("shop/store", { at: 11, ...keptOfStore });
  expect(store.stderr).not.toContain("Nobody serves");
  await startEcho("store", STORE);
});

/** Calls one after the other, each on a connection of its own. */
class NewConnections {
  answered = 0;
  readonly failures: string[] = [];
  #stopped = false;
  readonly #callers = Array.from({ length: CALLERS }, () => this.#call());

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#callers);
  }

  async #call(): Promise<void> {
    while (!this.#stopped) {
      const { text } = await exchange(
        CLIENT,
        15001,
        "GET / HTTP/1.1\r\nHost: store\r\nConnection: close\r\n\r\n",
      );
      if (text.startsWith("HTTP/1.1 200 ")) this.answered++;
      else this.failures.push(text);
    }
  }
}

scenario("restarts on a socket that is kept, and no call is refused", async () => {
  let sidecar = await mesh.startSidecar("shop/client", { at: 10, ...kept });
  await sidecar.says(`Nobody serves ${CLIENT}:15009 (second.socket), inherited`);
  const load = new NewConnections();
  for (const workers of [1, 2, 2, 1]) {
    const soFar = load.answered;
    await until("calls are answered", () => load.answered > soFar + CALLS);
    expect(await sidecar.end()).toBe(0);
    sidecar = await mesh.startSidecar("shop/client", { at: 10, ...kept, workers, tokenFile: null });
  }
  // Nobody else is behind its service: who calls it waits, too.
  expect(await store.end()).toBe(0);
  store = await mesh.startSidecar("shop/store", { at: 11, ...keptOfStore, tokenFile: null });
  await load.stop();
  console.log(`${load.answered} calls`);
  expect(load.failures).toEqual([]);
  await sidecar.end();
});

scenario("takes calls for as long as a tunnel keeps it from ending", async () => {
  for (const workers of [1, 2]) {
    const sidecar = await mesh.startSidecar("shop/client", { at: 10, ...kept, workers, tokenFile: null });
    const tunnel = new RawConnection(CLIENT, 15001);
    tunnel.send("CONNECT store:8080 HTTP/1.1\r\nHost: store:8080\r\n\r\n");
    await tunnel.read(/^HTTP\/1\.1 200 /);
    sidecar.child.kill("SIGTERM");
    await sidecar.says("a second signal forces");
    await until("it drains", async () => !await mesh.isReady(10));
    const load = new NewConnections();
    await until("calls are answered", () => load.answered > CALLS);
    expect(sidecar.isAlive).toBe(true);
    await load.stop();
    expect(load.failures).toEqual([]);
    tunnel.close();
    expect(await sidecar.endsByItself()).toBe(0);
  }
});

scenario("tells when it serves, that it is alive, and that it stops", async () => {
  const manager = new NotifySocket(join(mesh.directory, "notify"));
  const env = { NOTIFY_SOCKET: join(mesh.directory, "notify"), WATCHDOG_USEC: "100000" };
  const sidecar = await mesh.launchSidecar("shop/told", { at: 15, env });
  await until("it has started", () => manager.heard.some((lines) => lines.startsWith("READY=1\n")));
  expect(await mesh.isReady(15)).toBe(true);
  const states = () => manager.heard.filter((lines) => lines !== "WATCHDOG=1");
  expect(states().at(-1)).toBe("READY=1\nSTATUS=Serving");
  const soFar = manager.heard.length;
  await until("it goes on to say that it is alive", () => manager.heard.length > soFar + 5);
  expect(await sidecar.end()).toBe(0);
  // 5 s for the others to hear of it, 30 s for what is in flight, 5 s for late calls, 5 s for the rest.
  expect(states().at(-1)).toBe(
    "STOPPING=1\nSTATUS=Stopping; what is in flight may end\nEXTEND_TIMEOUT_USEC=45000000",
  );
});

scenario("tells a control plane's state too, at an abstract name", async () => {
  const name = `@bowline-test-${process.pid}`;
  const manager = new NotifySocket(name);
  const data = join(mesh.directory, "second");
  const controlPlane = new Bowline(
    "second control plane",
    ["run", "--role", "control-plane", "--config", mesh.config, "--data", data, "--bind", mesh.address(16)],
    { env: { NOTIFY_SOCKET: name } },
  );
  await until("it has started", () => manager.heard.length > 0);
  expect((await fetch(`http://${mesh.address(16)}:15014/readyz`)).status).toBe(200);
  await controlPlane.end();
  expect(manager.heard).toEqual([
    "READY=1\nSTATUS=Serving",
    "STOPPING=1\nSTATUS=Stopping; what is in flight may end",
  ]);
});

test("the units are what systemd understands", () => {
  const directory = join(mesh.directory, "units");
  mkdirSync(directory);
  const units = readdirSync(UNITS);
  for (const unit of units) {
    const text = readFileSync(join(UNITS, unit), "utf8");
    writeFileSync(join(directory, unit), text.replaceAll("=/usr/bin/bowline ", `=${BOWLINE} `));
  }
  const { stderr, exitCode } = Bun.spawnSync(["systemd-analyze", "verify", ...units], { cwd: directory });
  expect([exitCode, stderr.toString()]).toEqual([0, ""]);
  expect(units).toHaveLength(5);
});

scenario("hands variables of the service manager to no child", async () => {
  const env = { NOTIFY_SOCKET: join(mesh.directory, "nobody"), WATCHDOG_USEC: "1000000" };
  const sidecar = await mesh.startSidecar("shop/other", {
    at: 12,
    workers: 2,
    env,
    ...withSockets([keepSocket(mesh.address(12), 15001)]),
  });
  const [worker] = readFileSync(`/proc/${sidecar.pid}/task/${sidecar.pid}/children`, "utf8").split(" ");
  expect(readFileSync(`/proc/${worker}/environ`, "latin1")).not.toMatch(/(^|\0)(LISTEN|NOTIFY|WATCHDOG)_/);
  await sidecar.end();
});

scenario("does not start with what is no listening socket, and says which", async () => {
  const file = openSync("/dev/null", "r");
  const sidecar = await mesh.launchSidecar("shop/client", {
    at: 13,
    tokenFile: null,
    ...withSockets([file]),
  });
  expect(await sidecar.endsByItself()).toBe(64);
  expect(sidecar.stderr).toContain("Descriptor 3 (first.socket) is no TCP socket that listens");
  closeSync(file);
});

scenario("ignores sockets that were meant for another process", async () => {
  const { descriptors } = withSockets([keepSocket(mesh.address(14), 15009)]);
  const env = { LISTEN_PID: String(process.pid), LISTEN_FDS: "1" };
  const sidecar = await mesh.startSidecar("shop/third", { at: 14, env, descriptors });
  expect(sidecar.stderr).not.toContain("inherited");
  await sidecar.end();
});
