/** CPU time per request over HTTP/1.1 with small bodies, at full load. */
import { wrk } from "../load.ts";
import { cpuSeconds, type Target } from "../pair.ts";
import type { Row } from "../row.ts";
import { compare, type Work } from "../work.ts";

const CASES = [
  { path: "/66", body: "66 B", connections: 64, goal: "≤ 0.7" },
  { path: "/1k", body: "1 KB", connections: 64, goal: "≤ 0.7" },
  { path: "/66", body: "66 B", connections: 8, goal: "≤ 1.0" },
  { path: "/1k", body: "1 KB", connections: 8, goal: "≤ 1.0" },
  { path: "/66", body: "66 B", connections: 1, goal: "≤ 1.0" },
  { path: "/1k", body: "1 KB", connections: 1, goal: "≤ 1.0" },
] as const;

export const http1Cpu: Work = {
  name: "http1",
  async run(bench) {
    const rows: Row[] = [];
    for (const { path, body, connections, goal } of CASES) {
      const work = `HTTP/1.1, ${body}, ${connections} connection${connections > 1 ? "s" : ""}`;
      const comparison = { work, unit: "CPU µs/request", digits: 1, better: "less", goal } as const;
      rows.push(
        await compare(bench, comparison, async (pair) => {
          const before = cpuSeconds(pair);
          const requests = await wrk(pair.target("small") as Target, path, connections, bench.seconds);
          return (cpuSeconds(pair) - before) / requests * 1e6;
        }),
      );
    }
    return rows;
  },
};
