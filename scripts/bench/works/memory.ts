/** Memory of the caller's proxy: idle, with many connections open, and how it stands at full load. */
import { connect, type Socket } from "node:net";
import { wrk } from "../load.ts";
import type { Pair, Target } from "../pair.ts";
import type { Row } from "../row.ts";
import { compare, type Comparison, type Work } from "../work.ts";

/** For the programs to be done with their starts. */
const START_MS = 3_000;
const CONNECTIONS = 1_000;
const LOAD_CONNECTIONS = 64;
/** After this share of the soak the memory should not grow any more. */
const SETTLED_SHARE = 0.5;

export const memory: Work = {
  name: "memory",
  async run(bench) {
    const once = { ...bench, rounds: 1 };
    const unit = "RSS MiB";
    const row = (work: string, goal: string, better: Row["better"] = "less"): Comparison => {
      return { work, unit, digits: 1, better, goal };
    };
    await Bun.sleep(START_MS);
    const rows: Row[] = [
      await compare(once, row("one sidecar, idle", "< 60"), whileIdle),
      await compare(once, row(`… with ${CONNECTIONS} connections`, "< 120"), whileOpen),
    ];
    const growth = new Map<string, number>();
    rows.push(
      await compare(once, row(`… after ${bench.soakSeconds} s at full load`, ""), async (pair) => {
        const { end, grown } = await soak(pair, bench.soakSeconds);
        growth.set(pair.name, grown);
        return end;
      }),
      await compare(once, row("… growth in the second half of that", "flat", null), ({ name }) => {
        return growth.get(name) as number;
      }),
    );
    return rows;
  },
};

/** RSS after a first call, with what any call needs. */
async function whileIdle(pair: Pair): Promise<number> {
  (await openOne(pair.target("small") as Target)).destroy();
  return pair.proxies[0].residentMiB();
}

/** RSS while many connections are open, each of which has had one answer. */
async function whileOpen(pair: Pair): Promise<number> {
  const target = pair.target("small") as Target;
  const sockets = await Promise.all(Array.from({ length: CONNECTIONS }, () => openOne(target)));
  const mib = pair.proxies[0].residentMiB();
  for (const socket of sockets) socket.destroy();
  return mib;
}

function openOne({ address, port, authority }: Target): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port });
    socket.once("connect", () => socket.write(`GET /66 HTTP/1.1\r\nHost: ${authority}\r\n\r\n`));
    socket.once("data", () => resolve(socket));
    socket.once("error", reject);
  });
}

/** RSS after so much load, and how much of it came after the first half: medians, since collection makes waves. */
async function soak(pair: Pair, seconds: number): Promise<{ end: number; grown: number }> {
  const target = pair.target("small") as Target;
  const samples: number[] = [];
  const timer = setInterval(() => samples.push(pair.proxies[0].residentMiB()), 100);
  await wrk(target, "/66", LOAD_CONNECTIONS, seconds);
  clearInterval(timer);
  const settled = samples.slice(Math.floor(samples.length * SETTLED_SHARE));
  const third = Math.ceil(settled.length / 3);
  const middle = (part: number[]) => part.sort((a, b) => a - b)[part.length >> 1] ?? Number.NaN;
  const end = middle(settled.slice(-third));
  return { end, grown: end - middle(settled.slice(0, third)) };
}
