/**
 * The control plane at scale, against its goals: `deno task bench:control [--services N] [--proxies N] [--rounds N]`.
 * The real executable serves a large configuration to light clients that speak the real protocol over mutual TLS;
 * files are edited, and the process is killed and started again. The table goes to standard output.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Running, start, until } from "./bench/processes.ts";
import { percentile } from "./bench/row.ts";
import { Fleet, type Times } from "./control_bench/fleet.ts";
import { type Edit, EXTRA_KINDS, GeneratedConfig } from "./control_bench/generated_config.ts";
import { translationTimes } from "./control_bench/translation.ts";
import { issueIdentities } from "./control_bench/identities.ts";
import { renewAll } from "./control_bench/renewals.ts";

const BOWLINE = process.env["BOWLINE_BIN"] ?? new URL("../dist/bowline", import.meta.url).pathname;
const ADDRESS = "127.0.59.1";
const TRUST_DOMAIN = "cluster.local";
const NAMESPACES = 20;
const ENDPOINTS_PER_SERVICE = 5;
const PAUSE_MS = 500;
/** Edits whose translation is timed in this process. */
const TRANSLATIONS = 15;

interface Measured {
  readonly what: string;
  readonly goal: string;
  readonly value: string;
}

const { values } = parseArgs({
  options: {
    services: { type: "string", default: "1000" },
    proxies: { type: "string", default: "2000" },
    rounds: { type: "string", default: "5" },
    scoped: { type: "boolean", default: false },
  },
});
const [services, proxies, rounds] = [values.services, values.proxies, values.rounds].map(Number) as [
  number,
  number,
  number,
];

const rows: Measured[] = [];
const show = (what: string, goal: string, value: string) => {
  rows.push({ what, goal, value });
  console.error(`${what}: ${value}`);
};

const directory = mkdtempSync(join(tmpdir(), "bowline-bench-"));
process.on("exit", () => rmSync(directory, { recursive: true, force: true }));
let controlPlane = null as Running | null;
try {
  await run();
} finally {
  await controlPlane?.stop();
  print();
}
process.exit(0);

async function run(): Promise<void> {
  const size = {
    namespaces: NAMESPACES,
    services,
    endpointsPerService: ENDPOINTS_PER_SERVICE,
    scoped: values.scoped,
  };
  const config = new GeneratedConfig(join(directory, "config"), size);
  const workloads = Array.from({ length: proxies }, (_, index) => config.workload(index));
  const data = join(directory, "data");
  mkdirSync(data, { mode: 0o700 });
  const { tls, signMs } = await issueIdentities(data, TRUST_DOMAIN, workloads);
  show("certificates signed in a second of CPU", "500", (1_000 / signMs).toFixed(0));
  await translation(config, workloads);
  const startedMs = performance.now();
  controlPlane = await startControlPlane();
  show("start with the configuration", "", seconds(performance.now() - startedMs));
  const fleet = new Fleet({ address: { hostname: ADDRESS, port: 15012 }, workloads, tls });
  fleet.await(null);
  const connectMs = performance.now();
  await fleet.connect();
  showTimes("first configuration of all", "30 s", await fleet.all(connectMs, "the first configuration"));
  show(
    "one snapshot, and as it is sent",
    "",
    `${megabytes(fleet.snapshotBytes)}, ${megabytes(fleet.lastPushBytes)}`,
  );
  show("sent for it in all", "", megabytes(fleet.bytesReceived));
  await edits(fleet, "one endpoint", "1 s", (round) => config.moveWorkload(config.workloadCount - 1 - round));
  await edits(fleet, "one VirtualService", "1 s", (round) => config.changeRoute(services - 1 - round));
  show("resident set, peak", "600 MB", `${peakMegabytes(controlPlane).toFixed(0)} MB`);
  await restart(fleet, "all come again, knowing what they had");
  show("resident set, peak after a restart", "600 MB", `${peakMegabytes(controlPlane).toFixed(0)} MB`);
  fleet.forget();
  await restart(fleet, "all come again, knowing nothing");
  show("resident set, peak after that", "600 MB", `${peakMegabytes(controlPlane).toFixed(0)} MB`);
  fleet.close();
  const cpu = controlPlane.cpuSeconds();
  showTimes(
    "a new certificate for all at once",
    "30 s",
    await renewAll({ controlPlane: `${ADDRESS}:15012`, workloads, tls }),
  );
  const cpuMs = (controlPlane.cpuSeconds() - cpu) * 1_000 / proxies;
  show("one of these, with handshake, CPU", "", `${cpuMs.toFixed(2)} ms`);
}

async function translation(config: GeneratedConfig, workloads: readonly string[]): Promise<void> {
  const path = join(directory, "config");
  const of = (edits: readonly (() => Edit)[]) => translationTimes(path, TRUST_DOMAIN, workloads, edits);
  const times = Array.from({ length: TRANSLATIONS }, (_, index) => index);
  const row = async (what: string, goal: string, edits: readonly (() => Edit)[]) => {
    const { one, all } = await of(edits);
    show(
      `translation: ${what}, for one proxy`,
      goal,
      `CPU ${one.toFixed(1)} ms, for all ${all.toFixed(1)} ms`,
    );
  };
  await row("one VirtualService changes", "5 ms", times.map((index) => () => config.changeRoute(index)));
  for (const kind of EXTRA_KINDS) {
    await row(`one ${kind} more or less`, "", times.map((index) => () => config.toggle(kind, index)));
  }
  await row(
    "the MeshConfig says another path normalization",
    "",
    times.map(() => () => config.changeMesh("MeshConfig")),
  );
  await row(
    "a PeerAuthentication turns DISABLE on or off",
    "",
    times.map(() => () => config.changeMesh("PeerAuthentication")),
  );
  const first = config.workloadCount / 2;
  await row("one endpoint moves", "", times.map((index) => () => config.moveWorkload(first + index)));
}

async function edits(
  fleet: Fleet,
  what: string,
  goal: string,
  editOf: (round: number) => Edit,
): Promise<void> {
  const all: Times[] = [];
  for (let round = 0; round < rounds; round++) {
    await Bun.sleep(PAUSE_MS);
    const edit = editOf(round);
    fleet.await(edit.mark, edit.seenBy);
    const cpu = (controlPlane as Running).cpuSeconds();
    const editedMs = performance.now();
    edit.apply();
    const times = await fleet.all(editedMs, what);
    await Bun.sleep(PAUSE_MS);
    console.error(
      `${what} round ${round}: ${describe(times)}, CPU ${
        ((controlPlane as Running).cpuSeconds() - cpu).toFixed(2)
      } s`,
    );
    all.push(times);
  }
  const median = (pick: (times: Times) => number) => percentile(all.map(pick).sort((a, b) => a - b), 0.5);
  showTimes(`${what} changes, until ACKed`, goal, {
    p50: median(({ p50 }) => p50),
    p99: median(({ p99 }) => p99),
    last: Math.max(...all.map(({ last }) => last)),
  });
}

async function restart(fleet: Fleet, what: string): Promise<void> {
  fleet.await(null);
  const killedMs = performance.now();
  await (controlPlane as Running).kill();
  controlPlane = await startControlPlane();
  const times = await fleet.all(killedMs, what);
  show(what, "30 s", `${describe(times)}, CPU ${controlPlane.cpuSeconds().toFixed(2)} s`);
}

async function startControlPlane(): Promise<Running> {
  const running = start("the control plane", [
    ...[BOWLINE, "run", "--role", "control-plane", "--config", join(directory, "config")],
    ...["--data", join(directory, "data"), "--bind", ADDRESS],
  ]);
  await until("the control plane", async () => {
    try {
      return (await fetch(`http://${ADDRESS}:15014/readyz`)).ok;
    } catch {
      return false;
    }
  });
  return running;
}

function peakMegabytes({ pid }: Running): number {
  const kibibytes = /^VmHWM:\s+([0-9]+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kibibytes) * 1_024 / 1e6;
}

function showTimes(what: string, goal: string, times: Times): void {
  show(what, goal, describe(times));
}

function describe({ p50, p99, last }: Times): string {
  return `p50 ${seconds(p50)}, p99 ${seconds(p99)}, last ${seconds(last)}`;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(2)} MB`;
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(2)} s`;
}

function print(): void {
  const machine = `${cpus().length} × ${cpus()[0]?.model ?? "unknown processor"}`;
  console.log(
    `${new Date().toISOString().slice(0, 10)}, ${machine}; ${services} services, ${proxies} proxies\n`,
  );
  console.log("| what | goal | measured |\n| --- | --- | --- |");
  for (const { what, goal, value } of rows) console.log(`| ${what} | ${goal} | ${value} |`);
}
