/**
 * A pair of sidecars beside pairs of haproxy and nginx with mutual TLS, in one run on one machine:
 * `deno task bench [--only NAME,…] [--rounds N] [--seconds N] [--soak SECONDS] [-o table|json]`. The candidates take
 * turns, so that a machine whose speed drifts treats them alike; what counts is the ratio of the medians, and CPU time,
 * not wall time. The table goes to standard output, progress to standard error.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { startBowlinePair } from "./bench/bowline_pair.ts";
import { startHaproxyPair } from "./bench/haproxy_pair.ts";
import { wrk } from "./bench/load.ts";
import { startNginxPair } from "./bench/nginx_pair.ts";
import type { Pair, Target } from "./bench/pair.ts";
import { program, type Running } from "./bench/processes.ts";
import { markdown, ratios, type Row } from "./bench/row.ts";
import { startUpstreams } from "./bench/upstreams.ts";
import type { Bench, Work } from "./bench/work.ts";
import { grpcCpu } from "./bench/works/grpc_cpu.ts";
import { handshakes } from "./bench/works/handshakes.ts";
import { http1Cpu } from "./bench/works/http1_cpu.ts";
import { largeBodies } from "./bench/works/large_bodies.ts";
import { latency } from "./bench/works/latency.ts";
import { manyRules } from "./bench/works/many_rules.ts";
import { memory } from "./bench/works/memory.ts";
import { policyCheck } from "./bench/works/policy_check.ts";

/** Memory comes first: an idle proxy is one that has done nothing yet. */
const WORKS: readonly Work[] = [
  memory,
  http1Cpu,
  latency,
  grpcCpu,
  largeBodies,
  handshakes,
  manyRules,
  policyCheck,
];

const WARM_UP = { connections: 64, seconds: 3 };

/** Exit codes of sysexits.h. */
const USAGE = 64;

const options = readOptions();
for (const name of ["haproxy", "nginx", "wrk", "h2load"]) program(name);

const directory = mkdtempSync(join(tmpdir(), "bowline-bench-"));
process.on("exit", () => rmSync(directory, { recursive: true, force: true }));
const others: Running[] = [];
const pairs: Pair[] = [];
const rows: Row[] = [];
const warm = new Set<NonNullable<Work["warmUp"]>>();
try {
  others.push(...await startUpstreams(directory));
  pairs.push(await startBowlinePair(directory));
  pairs.push(await startHaproxyPair(directory));
  pairs.push(await startNginxPair(directory));
  for (const work of options.works) {
    console.error(`${work.name} …`);
    const bench = { ...options, pairs, directory };
    if (work !== memory) await warmUp(work, bench);
    rows.push(...await work.run(bench));
  }
} finally {
  // What was measured before something failed is still worth having.
  if (rows.length > 0) print(rows);
  for (const { proxies, others: more } of pairs) others.push(...proxies, ...more);
  await Promise.all(others.map((running) => running.stop()));
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      only: { type: "string", default: WORKS.map(({ name }) => name).join(",") },
      rounds: { type: "string", default: "3" },
      seconds: { type: "string", default: "2" },
      soak: { type: "string", default: "10" },
      output: { type: "string", short: "o", default: "table" },
    },
  });
  const only = values.only.split(",");
  const unknown = only.find((name) => !WORKS.some((work) => work.name === name));
  const json = values.output === "json";
  const numbers = [values.rounds, values.seconds, values.soak].map(Number);
  const known = unknown === undefined && (json || values.output === "table");
  if (!known || !numbers.every((number) => Number.isInteger(number) && number >= 1)) {
    console.error(
      `--only takes ${
        WORKS.map(({ name }) => name).join(", ")
      }; --rounds, --seconds and --soak whole numbers; -o table or json`,
    );
    process.exit(USAGE);
  }
  const [rounds, seconds, soakSeconds] = numbers as [number, number, number];
  const works = WORKS.filter(({ name }) => only.includes(name));
  return { works, rounds, seconds, soakSeconds, json };
}

/** The candidate compiles what runs often: of each kind of traffic, once is enough. */
async function warmUp(work: Work, bench: Bench): Promise<void> {
  const kind = work.warmUp ?? warmUpHttp1;
  if (warm.has(kind)) return;
  warm.add(kind);
  for (const pair of pairs) await kind(pair, bench, WARM_UP.seconds);
}

async function warmUpHttp1(pair: Pair): Promise<void> {
  await wrk(pair.target("small") as Target, "/66", WARM_UP.connections, WARM_UP.seconds);
}

function print(rows: readonly Row[]): void {
  const { rounds, seconds } = options;
  const machine = `${cpus().length} × ${cpus()[0]?.model ?? "unknown processor"}`;
  const date = new Date().toISOString().slice(0, 10);
  if (options.json) {
    const results = rows.map((row) => ({ ...row, ratios: ratios(row) }));
    console.log(JSON.stringify({ date, machine, rounds, seconds, rows: results }, null, 2));
    return;
  }
  console.log(`${date}, ${machine}; medians (lowest–highest) of ${rounds} rounds of ${seconds} s each\n`);
  console.log(markdown(rows, pairs.map(({ name }) => name)));
}
