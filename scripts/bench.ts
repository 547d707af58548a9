/**
 * CPU per request of a pair of sidecars beside a pair of haproxy with mutual TLS, in the same run on the same machine:
 * `deno task bench [--rounds N] [--seconds N] [--connections 64,8,1]`. The candidates take turns, so that a machine whose
 * speed drifts treats them alike; what counts is the ratio of the medians, and CPU time, not wall time.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import {
  type Pair,
  startBowlinePair,
  startUpstream,
  UPSTREAM_ADDRESS,
  UPSTREAM_PORT,
} from "./bench/bowline_pair.ts";
import { startHaproxyPair } from "./bench/haproxy_pair.ts";
import { accepts, program, until } from "./bench/processes.ts";

const BODY = "x".repeat(66);
const WARM_UP_SECONDS = 3;

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "4" },
    connections: { type: "string", default: "64" },
  },
});
const rounds = Number(values.rounds);
const seconds = Number(values.seconds);

interface Sample {
  readonly microseconds: number;
  readonly requests: number;
}

const directory = mkdtempSync(join(tmpdir(), "bowline-bench-"));
const wrk = program("wrk");
program("haproxy");
const upstream = startUpstream(directory, BODY);
const pairs: Pair[] = [];
try {
  await until("the upstream", () => accepts(UPSTREAM_ADDRESS, UPSTREAM_PORT));
  pairs.push(await startBowlinePair(directory));
  pairs.push(await startHaproxyPair(directory));
  for (const pair of pairs) measure(pair, 64, WARM_UP_SECONDS);
  console.log(
    `CPU µs per request of both proxies together, ${BODY.length}-byte body, median (min–max) of ${rounds} rounds\n`,
  );
  console.log(["connections".padEnd(12), ...pairs.map(({ name }) => name.padEnd(24)), "ratio"].join(" "));
  for (const connections of values.connections.split(",").map(Number)) compare(connections);
} finally {
  for (const pair of pairs) for (const running of [...pair.proxies, ...pair.others]) await running.stop();
  await upstream.stop();
  rmSync(directory, { recursive: true, force: true });
}

function compare(connections: number): void {
  const samples = pairs.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    pairs.forEach((pair, i) => samples[i]?.push(measure(pair, connections, seconds).microseconds));
  }
  const cells = samples.map((all) => {
    const sorted = all.toSorted((a, b) => a - b);
    return `${median(all).toFixed(1)} (${sorted[0]?.toFixed(1)}–${sorted.at(-1)?.toFixed(1)})`.padEnd(24);
  });
  const [candidate = [], yardstick = []] = samples;
  console.log(
    [String(connections).padEnd(12), ...cells, (median(candidate) / median(yardstick)).toFixed(2)].join(" "),
  );
}

function measure(pair: Pair, connections: number, duration: number): Sample {
  const cpu = () => pair.proxies.reduce((sum, { cpuSeconds }) => sum + cpuSeconds(), 0);
  const before = cpu();
  const { stdout, success } = Bun.spawnSync([
    ...[wrk, "-t", "1", "-c", String(connections), "-d", `${duration}s`],
    ...["-H", `Host: ${pair.authority}`, pair.url],
  ]);
  const used = cpu() - before;
  const text = stdout.toString();
  const requests = Number(/(\d+) requests in/.exec(text)?.[1] ?? 0);
  if (!success || requests === 0 || /Non-2xx|Socket errors/.test(text)) {
    throw new Error(`${pair.name} did not answer every request:\n${text}`);
  }
  return { microseconds: used / requests * 1e6, requests };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}
