/** The mesh on which a row is run: a client and the replicas of one service, each with its sidecar, and the probe. */
import type { Server } from "bun";
import type { Bowline } from "../../tests/integration/bowline.ts";
import type { HttpTarget } from "../../tests/integration/keep_alive_client.ts";
import { Mesh } from "../../tests/integration/mesh.ts";
import { NAMESPACE, workload } from "../../tests/integration/resources.ts";
import { Probe } from "./probe.ts";

/** The addresses of all rows; one runs at a time. */
export const SUBNET = "127.0.36";
const CLIENT = 10;
const FIRST_REPLICA = 11;

export const STORE_PORTS = {
  http: 8080,
  ws: 8081,
  closing: 8083,
  large: 8084,
  grpc: 8085,
  "tcp-db": 5432,
} as const;

const SLOW_MS = 200;

export interface StandOptions {
  /** Workloads behind `store`. @default 1 */
  readonly replicas?: number;
  /** RLIMIT_NOFILE of the client's sidecar. */
  readonly clientOpenFilesMax?: number;
  /** More of the environment of the client's sidecar. */
  readonly clientEnv?: Readonly<Record<string, string>>;
  /** The same of the store's. */
  readonly storeEnv?: Readonly<Record<string, string>>;
  /** Of the control plane's certificates. */
  readonly certTtl?: string;
}

export class Stand {
  readonly mesh = new Mesh(SUBNET);
  readonly #options: StandOptions;
  readonly #servers: Server<undefined>[] = [];
  client!: Bowline;
  readonly stores: Bowline[] = [];
  /** Requests that the store was asked and never answers. */
  held = 0;
  #probe: Probe | null = null;

  private constructor(options: StandOptions) {
    this.#options = options;
  }

  static async up(options: StandOptions = {}): Promise<Stand> {
    const stand = new Stand(options);
    try {
      await stand.#up();
      return stand;
    } catch (error) {
      await stand.down();
      throw error;
    }
  }

  get clientAddress(): string {
    return this.mesh.address(CLIENT);
  }

  /** Of the replica with this index. */
  storeAddress(replica = 0): string {
    return this.mesh.address(FIRST_REPLICA + replica);
  }

  get replicas(): number {
    return this.#options.replicas ?? 1;
  }

  /** Where a program calls a port of `store`. */
  target(port: keyof typeof STORE_PORTS = "http"): HttpTarget {
    return { address: this.clientAddress, port: 15001, host: `store:${STORE_PORTS[port]}` };
  }

  /** Starts the sidecar of the client again, after its end. */
  async restartClient(): Promise<void> {
    this.client = await this.mesh.startSidecar(`${NAMESPACE}/client`, {
      at: CLIENT,
      tokenFile: null,
      openFilesMax: this.#options.clientOpenFilesMax,
      env: this.#options.clientEnv,
    });
  }

  /** Starts the sidecar of a replica again, after its end. */
  async restartStore(replica: number): Promise<void> {
    const name = `${NAMESPACE}/${this.#replicaName(replica)}`;
    this.stores[replica] = await this.mesh.startSidecar(name, {
      at: FIRST_REPLICA + replica,
      tokenFile: null,
      env: this.#options.storeEnv,
    });
  }

  startControlPlane(): Promise<Bowline> {
    const { certTtl } = this.#options;
    return this.mesh.startControlPlane(...(certTtl === undefined ? [] : ["--cert-ttl", certTtl]));
  }

  /** The probe runs until it is stopped, or the stand is. */
  probe(): Probe {
    this.#probe = new Probe(this.target());
    return this.#probe;
  }

  /** Writes the service and its workloads; `more` may be any other resources. */
  write(...more: string[]): void {
    const ports = Object.entries(STORE_PORTS).map(([name, port]) => {
      const http = name === "closing" || name === "large" ? `http-${name}` : name;
      return `  - { name: ${http}, port: ${port} }`;
    });
    const service = `apiVersion: v1
kind: Service
metadata: { name: store, namespace: ${NAMESPACE} }
spec:
  selector: { app: store }
  ports:
${ports.join("\n")}
`;
    const replicas = Array.from(
      { length: this.replicas },
      (_, i) => workload(this.#replicaName(i), this.storeAddress(i), { app: "store", version: `v${i + 1}` }),
    );
    this.mesh.write("mesh.yaml", service, workload("client", this.clientAddress), ...replicas, ...more);
  }

  /** Ends everything. */
  async down(): Promise<void> {
    await this.#probe?.stop();
    await Promise.all(this.#servers.map((server) => server.stop(true)));
    const processes = [this.client, ...this.stores, this.mesh.startedControlPlane];
    await Promise.all(processes.map((process) => process?.end()));
    this.mesh.remove();
  }

  async #up(): Promise<void> {
    this.write();
    await this.startControlPlane();
    for (let i = 0; i < this.replicas; i++) {
      this.#servers.push(Bun.serve({
        hostname: this.storeAddress(i),
        port: STORE_PORTS.http,
        idleTimeout: 0,
        fetch: async (request) => {
          if (request.method === "POST") await request.arrayBuffer();
          return await this.#answer(new URL(request.url).pathname);
        },
      }));
      const name = `${NAMESPACE}/${this.#replicaName(i)}`;
      const { storeEnv: env } = this.#options;
      this.stores.push(await this.mesh.startSidecar(name, { at: FIRST_REPLICA + i, env }));
    }
    this.client = await this.mesh.startSidecar(`${NAMESPACE}/client`, {
      at: CLIENT,
      openFilesMax: this.#options.clientOpenFilesMax,
      env: this.#options.clientEnv,
    });
    await this.mesh.untilSynced(1 + this.replicas);
  }

  /** Slow paths take a moment, `/held` for ever. */
  #answer(path: string): Response | Promise<Response> {
    const answer = () => new Response(storeAnswer(path));
    if (path.startsWith("/slow")) return Bun.sleep(SLOW_MS).then(answer);
    if (path !== "/held") return answer();
    this.held++;
    return new Promise(() => {});
  }

  #replicaName(replica: number): string {
    return `store-${replica + 1}`;
  }
}

/** What the store answers. */
export function storeAnswer(path: string): string {
  return `store ${path}`;
}
