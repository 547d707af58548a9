/** How much of large bodies a second of CPU time carries. */
import { wrk } from "../load.ts";
import { cpuSeconds, type Target } from "../pair.ts";
import { BODY_BYTES } from "../upstreams.ts";
import { compare, type Work } from "../work.ts";

const CONNECTIONS = 8;
const MEGABYTE = 1e6;

export const largeBodies: Work = {
  name: "large",
  async warmUp(pair, _bench, seconds) {
    await wrk(pair.target("large") as Target, "/1m", CONNECTIONS, seconds);
  },
  async run(bench) {
    const comparison = {
      work: `1 MiB bodies, ${CONNECTIONS} connections`,
      unit: "MB/CPU s",
      digits: 0,
      better: "more",
      goal: "≥ 0.7",
    } as const;
    return [
      await compare(bench, comparison, async (pair) => {
        const before = cpuSeconds(pair);
        const requests = await wrk(pair.target("large") as Target, "/1m", CONNECTIONS, bench.seconds);
        return requests * BODY_BYTES["/1m"] / MEGABYTE / (cpuSeconds(pair) - before);
      }),
    ];
  },
};
