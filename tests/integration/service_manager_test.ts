/** Under systemd, as which the test acts: a restart loses no call. */
import { beforeAll, expect } from "bun:test";
import { closeSync, openSync, readFileSync } from "node:fs";
import { startEcho } from "./apps.ts";
import { endEverythingAfterwards, scenario, until } from "./bowline.ts";
import { exchange } from "./clients.ts";
import { Mesh } from "./mesh.ts";
import { service, workload } from "./resources.ts";
import { keepSocket, withSockets } from "./service_manager.ts";

const CALLERS = 4;
/** Calls that are answered before each restart. */
const CALLS = 20;

const mesh = new Mesh("127.0.94");
const CLIENT = mesh.address(10);
const STORE = mesh.address(11);

endEverythingAfterwards();

beforeAll(async () => {
  mesh.write("mesh.yaml", service("store"), workload("client", CLIENT), workload("store", STORE));
  await mesh.startControlPlane();
  // A sidecar takes what it is given for its other ports too: here TLS begins on a socket that it did not open.
  const kept = withSockets([keepSocket(STORE, 15008), keepSocket(STORE, 15006)]);
  const store = await mesh.startSidecar("shop/store", { at: 11, ...kept });
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
  const kept = withSockets([keepSocket(CLIENT, 15001), keepSocket(CLIENT, 15009)]);
  let sidecar = await mesh.startSidecar("shop/client", { at: 10, ...kept });
  await sidecar.says(`Nobody serves ${CLIENT}:15009 (second.socket)`);
  const load = new NewConnections();
  for (const workers of [1, 2, 2, 1]) {
    const soFar = load.answered;
    await until("calls are answered", () => load.answered > soFar + CALLS);
    expect(await sidecar.end()).toBe(0);
    sidecar = await mesh.startSidecar("shop/client", { at: 10, ...kept, workers, tokenFile: null });
  }
  await load.stop();
  console.log(`${load.answered} calls`);
  expect(load.failures).toEqual([]);
  await sidecar.end();
});

scenario("hands variables of the service manager to no child", async () => {
  const sidecar = await mesh.startSidecar("shop/other", {
    at: 12,
    workers: 2,
    ...withSockets([keepSocket(mesh.address(12), 15001)]),
  });
  const [worker] = readFileSync(`/proc/${sidecar.pid}/task/${sidecar.pid}/children`, "utf8").split(" ");
  expect(readFileSync(`/proc/${worker}/environ`, "latin1")).not.toMatch(/(^|\0)LISTEN_/);
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
