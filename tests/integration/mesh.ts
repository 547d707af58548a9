/** A mesh of real processes on loopback addresses: one control plane, any number of sidecars, one directory for all. */
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SidecarIdentity } from "../../src/sidecar/identity_state.ts";
import { afterwards, Bowline, bowline, printLogs, until } from "./bowline.ts";

/** Last number of the control plane's address. */
const CONTROL_PLANE = 9;

export interface TokenRequest {
  /** `NAMESPACE/NAME`; either this or `group`. */
  readonly workload?: string;
  /** `NAMESPACE/NAME` of a WorkloadGroup. */
  readonly group?: string;
  /** @default "15m" */
  readonly ttl?: string;
}

/** One row of `GET /api/proxies`. */
export interface ProxyRow {
  readonly workload: string;
  readonly state: string;
  readonly health: "healthy" | "unhealthy" | null;
  readonly address: string;
  readonly shutPorts: readonly { readonly port: number; readonly reason: string }[];
}

export interface SidecarOptions {
  /** Last number of its address. */
  readonly at: number;
  /** @default a new one; null starts it without any. */
  readonly tokenFile?: string | null;
  /** Name of the data directory. @default the workload's name */
  readonly data?: string;
  /** RLIMIT_NOFILE. @default the own one */
  readonly openFilesMax?: number;
  /** Processes that share its ports. @default 1 */
  readonly workers?: number;
  /** A command that becomes the sidecar. @default none */
  readonly within?: readonly string[];
  /** Those of the own descriptors that it gets, as 3 and those after it. */
  readonly descriptors?: readonly number[];
  /** @default "sidecar" */
  readonly role?: "sidecar" | "gateway";
  /** Directory of a gateway's credentials. */
  readonly credentials?: string;
  /** More of the environment. */
  readonly env?: Readonly<Record<string, string>>;
}

export class Mesh {
  readonly directory = mkdtempSync(join(tmpdir(), "bowline-it-"));
  /** Every token that a file was made for. */
  readonly tokens: string[] = [];
  readonly #subnet: string;
  #controlPlane: Bowline | null = null;

  readonly #controlPlaneEnv: Readonly<Record<string, string>>;

  /**
   * `subnet` is the first three numbers of all addresses, a different one for each file of tests: `127.0.2`.
   * `controlPlaneEnv` is more of the control plane's environment.
   */
  constructor(subnet: string, controlPlaneEnv: Readonly<Record<string, string>> = {}) {
    this.#subnet = subnet;
    this.#controlPlaneEnv = controlPlaneEnv;
    mkdirSync(this.config);
    afterwards(() => this.remove());
  }

  get config(): string {
    return join(this.directory, "config");
  }

  get controlPlaneData(): string {
    return join(this.directory, "control-plane");
  }

  get controlPlane(): Bowline {
    if (this.#controlPlane === null) throw new Error("The control plane was not started");
    return this.#controlPlane;
  }

  address(last: number): string {
    return `${this.#subnet}.${last}`;
  }

  /** Writes a file of resources in one step, as editors do. */
  write(file: string, ...documents: readonly string[]): void {
    const path = join(this.config, file);
    writeFileSync(`${path}.new`, documents.join("---\n"));
    renameSync(`${path}.new`, path);
  }

  /** Null before the first start. */
  get startedControlPlane(): Bowline | null {
    return this.#controlPlane;
  }

  /** Starts the control plane, with more flags if there are any, and waits until it is ready. */
  async startControlPlane(...more: readonly string[]): Promise<Bowline> {
    this.#controlPlane = this.launchControlPlane(...more);
    const url = `http://${this.address(CONTROL_PLANE)}:15014/readyz`;
    await this.#comesUp(this.#controlPlane, () => answers(url));
    return this.#controlPlane;
  }

  /** Starts the control plane, whatever becomes of it. */
  launchControlPlane(...more: readonly string[]): Bowline {
    return new Bowline("control-plane", [
      ...["run", "--role", "control-plane", "--config", this.config],
      ...["--data", this.controlPlaneData, "--bind", this.address(CONTROL_PLANE)],
      ...more,
    ], { env: this.#controlPlaneEnv });
  }

  /** Starts a sidecar and waits until it is ready. */
  async startSidecar(workload: string, options: SidecarOptions): Promise<Bowline> {
    const sidecar = await this.launchSidecar(workload, options);
    await this.untilReady(sidecar, options.at);
    return sidecar;
  }

  /** Starts a sidecar, whatever becomes of it. */
  async launchSidecar(workload: string, options: SidecarOptions): Promise<Bowline> {
    const { at, tokenFile, data, workers, role = "sidecar", credentials } = options;
    const file = tokenFile === undefined ? await this.tokenFile({ workload }) : tokenFile;
    return new Bowline(`${role} of ${workload}`, [
      ...["run", "--role", role, "--bind", this.address(at)],
      ...["--data", this.dataOf(data ?? workload)],
      ...(file === null ? [] : ["--token-file", file]),
      ...(credentials === undefined ? [] : ["--credentials", credentials]),
      ...(workers === undefined ? [] : ["--workers", String(workers)]),
    ], options);
  }

  async untilReady(sidecar: Bowline, at: number): Promise<void> {
    await this.#comesUp(sidecar, () => this.isReady(at));
  }

  async isReady(at: number): Promise<boolean> {
    return await answers(`http://${this.address(at)}:15021/healthz/ready`);
  }

  /** Data directory of a workload's sidecar. */
  dataOf(workload: string): string {
    return join(this.directory, workload.replaceAll("/", "."));
  }

  /** What the workload's sidecar has on disk since it joined. */
  identityOf(workload: string): SidecarIdentity {
    return JSON.parse(readFileSync(join(this.dataOf(workload), "identity.json"), "utf8"));
  }

  /** Waits until this many proxies are connected and serve what they should. */
  async untilSynced(proxies: number): Promise<void> {
    await until(`${proxies} proxies are synced`, async () => {
      const rows = await this.proxies();
      return rows.length === proxies && rows.every(({ state }) => state === "synced");
    });
  }

  async proxies(): Promise<ProxyRow[]> {
    return (await this.api<{ proxies: ProxyRow[] }>("/api/proxies")).proxies;
  }

  /** `GET` of the control plane's API on port 15014. */
  async api<Body>(path: string): Promise<Body> {
    const response = await fetch(`http://${this.address(CONTROL_PLANE)}:15014${path}`);
    if (!response.ok) throw new Error(`${path} answered ${response.status}: ${await response.text()}`);
    return await response.json() as Body;
  }

  /** A new join token, from `bowline token create`. */
  async token({ workload, group, ttl = "15m" }: TokenRequest): Promise<string> {
    const whom = group === undefined ? ["--workload", workload ?? ""] : ["--group", group];
    const { code, stdout, stderr } = await bowline([
      ...["token", "create", ...whom, "--ttl", ttl, "--data", this.controlPlaneData],
    ]);
    if (code !== 0) throw new Error(`No token for ${workload ?? group}: ${stderr}`);
    return stdout.trim();
  }

  /** A file with a new join token. */
  async tokenFile(request: TokenRequest): Promise<string> {
    const token = await this.token(request);
    this.tokens.push(token);
    return this.file(`${this.tokens.length}.token`, token);
  }

  /** Writes a file beside the others; returns its path. */
  file(name: string, content: string): string {
    const path = join(this.directory, name);
    writeFileSync(path, content, { mode: 0o600 });
    return path;
  }

  /** Removes what is on disk, as happens after the file's last test anyway. The processes end before. */
  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** Waits for the check, and not in vain: a process that ends will never come up. */
  async #comesUp(process: Bowline, check: () => Promise<boolean>): Promise<void> {
    try {
      await until(`${process.name} is ready`, async () => {
        if (!process.isAlive) throw new Error(`${process.name} ended with ${process.child.exitCode}`);
        return await check();
      });
    } catch (error) {
      printLogs();
      throw error;
    }
  }
}

async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url);
    await response.text();
    return response.ok;
  } catch {
    return false;
  }
}
