/** What the kernel says of a process, and what a sidecar says of itself. */
import { readdirSync, readFileSync } from "node:fs";
import type { Bowline } from "./bowline.ts";

/** The kernel's clock ticks a second (USER_HZ), which is 100 on every Linux. */
const TICKS_PER_SECOND = 100;

/** Seconds of CPU that the process has used. */
export function cpuSeconds({ pid }: Bowline): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\) /, "").split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Share of one core that the process takes over that time. */
export async function cpuShare(process: Bowline, ms: number): Promise<number> {
  const [used, atMs] = [cpuSeconds(process), performance.now()];
  await Bun.sleep(ms);
  return (cpuSeconds(process) - used) * 1_000 / (performance.now() - atMs);
}

/** Resident memory as ps and systemd count it: in units of 1024 * 1024 bytes. */
export function rssMib({ pid }: Bowline): number {
  const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kibibytes) / 1024;
}

/** Descriptors that the process has open. */
export function descriptors({ pid }: Bowline): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** The sum of all samples of that name in a sidecar's metrics. */
export async function metric(address: string, name: string): Promise<number> {
  const text = await (await fetch(`http://${address}:15090/stats/prometheus`)).text();
  return text.split("\n").filter((line) => line.startsWith(`${name}{`))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
}
