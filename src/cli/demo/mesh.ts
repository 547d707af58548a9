/** The tutorial mesh as processes: a control plane, for every workload a sidecar and its program, and a program outside. */
import type { Clock } from "../../lib/clock.ts";
import { ADMIN_SOCKET, type TokenCreateReply } from "../../model/admin.ts";
import { PORTS } from "../../model/ports.ts";
import { type ChildExit, type ChildProcess, startChild } from "../../runtime/child_process.ts";
import { appendLine, makePrivateDirectory, writeFileAtomic } from "../../runtime/files.ts";
import { environment, ownCommand } from "../../runtime/process.ts";
import { fetchUnix } from "../../runtime/unix_fetch.ts";
import { newsOf } from "./news.ts";
import {
  DEMO_APP_PORT,
  DEMO_CONTROL_PLANE,
  DEMO_NAMESPACE,
  DEMO_OUTSIDE,
  DEMO_WORKLOADS,
  type DemoProgram,
  type DemoWorkload,
} from "./topology.ts";

/** Everything must be up within this. */
const START_TIMEOUT_MS = 20_000;
const LOOK_MS = 20;
/** A program of the demo answers at once, or is asked again. */
const ANSWER_TIMEOUT_MS = 1_000;
/** A child that does not end by itself is killed after this. */
const STOP_GRACE_MS = 5_000;

/** A part of the demo did not come up, or went down. */
export class DemoError extends Error {
  override readonly name = "DemoError";

  /** `exitCode` is that of the part that ended; null when none did, or by a signal. */
  constructor(message: string, readonly exitCode: number | null = null) {
    super(message);
  }
}

export interface DemoMeshOptions {
  /** Directory of Istio YAML files. */
  readonly config: string;
  /** For keys, state and logs; the caller removes it. */
  readonly directory: string;
  readonly clock: Clock;
  /** What became of an edit of the configuration, a line at a time. */
  tell(news: string): void;
}

/** Whose log tells of the configuration. */
const CONTROL_PLANE = "control-plane";

export class DemoMesh {
  readonly #options: DemoMeshOptions;
  readonly #children: { readonly name: string; readonly child: ChildProcess }[] = [];
  /** Of the workloads: whoever stops the demo waits until nothing of them goes on. */
  #startups: Promise<void>[] = [];
  #started = false;
  #stopping = false;
  #onFailure: (error: DemoError) => void = () => {};
  /** Rejects when a part ends that should not. */
  readonly failed: Promise<never>;

  constructor(options: DemoMeshOptions) {
    this.#options = options;
    this.failed = new Promise((_, reject) => this.#onFailure = reject);
    // Whoever waits for it hears of it; nobody need.
    this.failed.catch(() => {});
  }

  /** Resolves when every part is ready. Throws DemoError. */
  async start(): Promise<void> {
    const { directory, config } = this.#options;
    await makePrivateDirectory(`${directory}/logs`);
    this.#startChild(CONTROL_PLANE, [
      ...["run", "--role", "control-plane", "--config", config, "--data", this.controlPlaneData],
      ...["--bind", DEMO_CONTROL_PLANE],
    ]);
    await this.#until(
      "the control plane",
      () => this.#isReady(`${this.controlPlaneData}/${ADMIN_SOCKET}`, "/readyz"),
    );
    this.#startProgram(DEMO_OUTSIDE, []);
    this.#startups = DEMO_WORKLOADS.map((workload) => this.#startWorkload(workload));
    await Promise.all(this.#startups);
    await this.#untilAnswers(DEMO_OUTSIDE);
    await this.#until("the proxies", () => this.#allSynced());
    this.#started = true;
  }

  /** Ends every process of the demo. */
  async stop(): Promise<void> {
    this.#stopping = true;
    // Backwards: the control plane hears the last reports.
    const [controlPlane, ...others] = this.#children;
    await Promise.all(others.map(({ child }) => child.terminate(STOP_GRACE_MS)));
    await controlPlane?.child.terminate(STOP_GRACE_MS);
    await Promise.allSettled(this.#startups);
  }

  /** Ends every process of the demo at once. */
  async kill(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#children.map(({ child }) => child.terminate(0)));
    await Promise.allSettled(this.#startups);
  }

  /** Data directory of the control plane, for the commands that speak to it. */
  get controlPlaneData(): string {
    return `${this.#options.directory}/control-plane`;
  }

  async #startWorkload(workload: DemoWorkload): Promise<void> {
    const { directory } = this.#options;
    const { name, address, next } = workload;
    const tokenFile = `${directory}/${name}.token`;
    await writeFileAtomic(tokenFile, await this.#createToken(name));
    const data = `${directory}/${name}`;
    this.#startChild(`${name}-sidecar`, [
      ...["run", "--role", "sidecar", "--token-file", tokenFile, "--data", data, "--bind", address],
    ]);
    const proxy = `http://${address}:${PORTS.outbound}`;
    this.#startProgram(workload, next === null ? [] : ["--next", next, "--proxy", proxy]);
    await this.#until(
      `the sidecar of ${name}`,
      () => this.#isReady(`${data}/${ADMIN_SOCKET}`, "/healthz/ready"),
    );
    await this.#untilAnswers(workload);
  }

  #startProgram({ name, address, says }: DemoProgram, args: readonly string[]): void {
    this.#startChild(name, ["demo-app", "--name", name, "--says", says, "--bind", address, ...args]);
  }

  /** Late, when a program that found its port taken has ended already: so it is not that other one that is asked. */
  async #untilAnswers({ name, address }: DemoProgram): Promise<void> {
    await this.#until(name, () => answers(`http://${address}:${DEMO_APP_PORT}/healthz`));
  }

  async #createToken(name: string): Promise<string> {
    const body = JSON.stringify({ workload: `${DEMO_NAMESPACE}/${name}` });
    const response = await this.#ask("/v1/tokens", { method: "POST", body });
    if (!response.ok) throw new DemoError(`Cannot make a join token for ${name}: ${await response.text()}`);
    return (await response.json() as TokenCreateReply).token;
  }

  /** Asks the control plane over its admin socket. */
  #ask(path: string, init?: RequestInit): Promise<Response> {
    return fetchUnix(`${this.controlPlaneData}/${ADMIN_SOCKET}`, path, init);
  }

  /** Every edge of the graph, for whoever counts. */
  async graph(): Promise<
    { edges: { source: string; destination: string; requests: number; mtls: boolean }[] }
  > {
    return await (await this.#ask("/api/graph")).json();
  }

  async #allSynced(): Promise<boolean> {
    const { proxies } = await (await this.#ask("/api/proxies")).json() as { proxies: { state: string }[] };
    return proxies.length >= DEMO_WORKLOADS.length && proxies.every(({ state }) => state === "synced");
  }

  async #isReady(socket: string, path: string): Promise<boolean> {
    try {
      return (await fetchUnix(socket, path)).ok;
    } catch {
      return false;
    }
  }

  async #until(what: string, done: () => Promise<boolean>): Promise<void> {
    const { clock } = this.#options;
    const deadlineMs = clock.monotonic() + START_TIMEOUT_MS;
    while (!(await done())) {
      this.#throwWhenStopping();
      if (clock.monotonic() > deadlineMs) {
        throw new DemoError(
          `${what} did not get ready in ${START_TIMEOUT_MS / 1000} s; see ${this.#options.directory}/logs`,
        );
      }
      await Promise.race([new Promise<void>((resolve) => clock.after(LOOK_MS, resolve)), this.failed]);
    }
  }

  /** One part may have failed while another was being started: nothing may be left of that. */
  #throwWhenStopping(): void {
    if (this.#stopping) throw new DemoError("The demo ends");
  }

  #startChild(name: string, args: readonly string[]): void {
    this.#throwWhenStopping();
    const path = `${this.#options.directory}/logs/${name}.log`;
    let last = "";
    const keep = (line: string) => {
      // An indented line is the hint under an error.
      if (!line.startsWith(" ")) last = line;
      appendLine(path, line);
      if (name === CONTROL_PLANE) this.#tell(line);
    };
    const child = startChild({
      argv: [...ownCommand(), ...args],
      env: childEnvironment(),
      onStdoutLine: keep,
      onStderrLine: keep,
    });
    this.#children.push({ name, child });
    void child.exited.then((exit) => {
      if (!this.#stopping) {
        this.#onFailure(new DemoError(`${name} ended (${describe(exit)}): ${readable(last)}`, exit.code));
      }
    });
  }

  #tell(line: string): void {
    const news = this.#stopping ? null : newsOf(line, this.#started);
    if (news !== null) this.#options.tell(news);
  }
}

async function answers(url: string): Promise<boolean> {
  try {
    // Whoever else has the port may take connections and say nothing.
    await fetch(url, { method: "HEAD", signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
    return true;
  } catch {
    return false;
  }
}

/** Flags of the demo that stand in the environment are not for its parts. */
function childEnvironment(): Record<string, string> {
  return Object.fromEntries(Object.entries(environment()).filter(([name]) => !name.startsWith("BOWLINE_")));
}

function describe({ code, signal }: ChildExit): string {
  return code === null ? `signal ${signal}` : `exit code ${code}`;
}

/** A log line's message; the line as it is when it is not one of ours. */
function readable(line: string): string {
  try {
    return (JSON.parse(line) as { message: string }).message;
  } catch {
    return line.replace(/^Error: /, "");
  }
}
