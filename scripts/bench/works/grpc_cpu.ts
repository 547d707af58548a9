/** CPU time per request of small gRPC-shaped POSTs: HTTP/2 without TLS in, HTTP/2 out. */
import { writeFileSync } from "node:fs";
import { h2load } from "../load.ts";
import { cpuSeconds, type Target } from "../pair.ts";
import { type Bench, compare, type Work } from "../work.ts";

const CONNECTIONS = 8;
const STREAMS_PER_CONNECTION = 16;
/** A message of 32 bytes behind its flag and length. */
const MESSAGE = new Uint8Array([0, 0, 0, 0, 32, ...new Uint8Array(32).fill(0x78)]);

export const grpcCpu: Work = {
  name: "grpc",
  async warmUp(pair, bench, seconds) {
    const target = pair.target("grpc");
    if (target !== null) await calls(target, bench, seconds);
  },
  async run(bench) {
    const comparison = {
      work: `h2c in, h2 out, gRPC-shaped POST, ${CONNECTIONS} × ${STREAMS_PER_CONNECTION} streams`,
      unit: "CPU µs/request",
      digits: 1,
      better: "less",
      goal: "≤ 1.0",
    } as const;
    const row = await compare(bench, comparison, (pair) => {
      const target = pair.target("grpc");
      if (target === null) return null;
      const before = cpuSeconds(pair);
      return calls(target, bench, bench.seconds)
        .then((requests) => (cpuSeconds(pair) - before) / requests * 1e6);
    });
    return [row];
  },
};

/** Returns how many were answered. */
async function calls(target: Target, { directory }: Bench, seconds: number): Promise<number> {
  const file = `${directory}/message`;
  writeFileSync(file, MESSAGE);
  return await h2load(target, "/bench.Echo/Say", [
    ...["-c", String(CONNECTIONS), "-m", String(STREAMS_PER_CONNECTION)],
    ...["-D", String(seconds), "-d", file, "-H", `:authority: ${target.authority}`],
    ...["-H", "content-type: application/grpc", "-H", "te: trailers"],
  ]);
}
