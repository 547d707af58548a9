/** A mesh whose processes run on machines of `machines.ts`: programs, sidecars as a user of their own, the control plane. */
import { chmodSync, chownSync, copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterwards, BOWLINE, Bowline, until } from "./bowline.ts";
import { PORT } from "./machine_programs.ts";
import { type Machine, SIDECAR_UID } from "./machines.ts";
import type { Mesh } from "./mesh.ts";

export const PROGRAMS = join(import.meta.dirname, "machine_programs.ts");

/** Of `store`. Nobody has it: only who is captured gets somewhere. */
export const STORE_IP = "10.96.0.10";

/** The Service `store` for the servers of `machine_programs.ts`, with these ports in YAML besides. */
export function storeService(...more: readonly string[]): string {
  return `apiVersion: v1
kind: Service
metadata: { name: store, namespace: shop }
spec:
  selector: { app: store }
  clusterIP: ${STORE_IP}
  ports:
  - { name: http, port: 80, targetPort: ${PORT.http} }
  - { name: tcp-database, port: ${PORT.database} }
  - { name: chatty, port: ${PORT.chatty} }
${more.map((port) => `  - ${port}\n`).join("")}`;
}

export class MachineMesh {
  readonly #mesh: Mesh;
  /** A copy that every user may run. */
  readonly #executable: string;
  readonly #servers: Bun.Subprocess[] = [];

  constructor(mesh: Mesh) {
    afterwards(() => this.#stop());
    this.#mesh = mesh;
    this.#executable = join(mesh.directory, "bowline");
    chmodSync(mesh.directory, 0o755);
    copyFileSync(BOWLINE, this.#executable);
  }

  /** Starts the control plane and waits until it is ready. */
  async startControlPlane(machine: Machine): Promise<Bowline> {
    const { config, controlPlaneData } = this.#mesh;
    const controlPlane = new Bowline("control-plane", [
      ...["run", "--role", "control-plane", "--config", config, "--data", controlPlaneData],
      ...["--bind", machine.address],
    ], { within: machine.within });
    const ready = `http://${machine.address}:15014/readyz`;
    await until(
      "the control plane is ready",
      async () => (await machine.run(["curl", "-sf", ready])).code === 0,
    );
    return controlPlane;
  }

  /** Starts the sidecar of the workload `shop/NAME` and waits until it is ready. */
  async startSidecar(name: string, machine: Machine, ...more: readonly string[]): Promise<Bowline> {
    const data = this.#mesh.dataOf(`shop/${name}`);
    const tokenFile = await this.#mesh.tokenFile({ workload: `shop/${name}` });
    mkdirSync(data, { mode: 0o700 });
    for (const path of [data, tokenFile]) chownSync(path, SIDECAR_UID, SIDECAR_UID);
    const sidecar = new Bowline(`sidecar of ${name}`, [
      ...["run", "--role", "sidecar", "--token-file", tokenFile, "--data", data],
      ...["--address", machine.address, ...more],
    ], { within: machine.withinAsSidecar, executable: this.#executable });
    const ready = ["curl", "-sf", "http://127.0.0.1:15021/healthz/ready"];
    await until(`the sidecar of ${name} is ready`, async () => (await machine.run(ready)).code === 0);
    return sidecar;
  }

  /** Starts the servers of `machine_programs.ts`, which say that they are `name`. */
  async serve(name: string, machine: Machine): Promise<void> {
    const { directory } = this.#mesh;
    const [key, certificate] = [join(directory, `${name}.key`), join(directory, `${name}.pem`)];
    await machine.run([
      ...["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
      ...["-subj", `/CN=${name}`, "-days", "1", "-keyout", key, "-out", certificate],
    ]);
    const words = [...machine.within, process.execPath, PROGRAMS, "serve", name, key, certificate];
    const server = Bun.spawn(words, { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
    this.#servers.push(server);
    const { value } = await server.stdout.getReader().read();
    const said = new TextDecoder().decode(value);
    if (said !== "serving\n") throw new Error(`The servers of ${name} say ${JSON.stringify(said)}`);
  }

  /** A server of somebody else, which ends with the others. */
  run(machine: Machine, ...words: readonly string[]): void {
    this.#servers.push(
      Bun.spawn([...machine.within, ...words], { stdin: "ignore", stdout: "ignore", stderr: "inherit" }),
    );
  }

  /** Ends the servers. */
  async #stop(): Promise<void> {
    for (const server of this.#servers) server.kill("SIGKILL");
    await Promise.all(this.#servers.map((server) => server.exited));
  }
}

/** Sends this to a server by `machine_programs.ts`, first or once it has greeted; returns what came until the end. */
export function talk(
  machine: Machine,
  host: string,
  port: number,
  input: string | Uint8Array,
  greeted = true,
): ReturnType<Machine["run"]> {
  const words = [process.execPath, PROGRAMS, "talk", host, String(port), ...(greeted ? ["greeted"] : [])];
  return machine.run(words, input);
}
