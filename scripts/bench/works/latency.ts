/** What a pair adds to the time of a request at a fixed rate: its percentiles less those of the upstream alone. */
import { openLoop } from "../open_loop.ts";
import { SERVICE, type Target, UPSTREAM_PORT } from "../pair.ts";
import { percentile } from "../row.ts";
import { summarize, type Work } from "../work.ts";

const CONNECTIONS = 16;
const REQUESTS_PER_SECOND = 1_000;
const SHARES = { p50: 0.5, p99: 0.99 } as const;
const PATH = "/66";

const DIRECT: Target = {
  address: SERVICE,
  port: UPSTREAM_PORT.small,
  authority: `web:${UPSTREAM_PORT.small}`,
};

export const latency: Work = {
  name: "latency",
  async run(bench) {
    const added = { p50: new Map<string, number[]>(), p99: new Map<string, number[]>() };
    const rate = {
      connections: CONNECTIONS,
      requestsPerSecond: REQUESTS_PER_SECOND,
      seconds: bench.seconds,
    };
    for (let round = 0; round < bench.rounds; round++) {
      const direct = await openLoop(DIRECT, PATH, rate);
      for (const pair of bench.pairs) {
        const through = await openLoop(pair.target("small") as Target, PATH, rate);
        for (const name of ["p50", "p99"] as const) {
          const microseconds = percentile(through, SHARES[name]) - percentile(direct, SHARES[name]);
          added[name].set(pair.name, [...(added[name].get(pair.name) ?? []), microseconds]);
        }
      }
    }
    return (["p50", "p99"] as const).map((name) => ({
      work: `${name} added at ${REQUESTS_PER_SECOND} requests/s, ${CONNECTIONS} connections`,
      unit: "µs",
      digits: 0,
      better: "less",
      goal: "≤ 1.5",
      results: summarize(added[name]),
    }));
  },
};
