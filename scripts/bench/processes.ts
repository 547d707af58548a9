/** Child processes of the benchmark: started, waited for, measured by the system's own accounting, ended by their id. */
import { readFileSync } from "node:fs";
import { connect } from "node:net";

/** The kernel's clock ticks a second (USER_HZ), which is 100 on every Linux. */
const TICKS_PER_SECOND = 100;
const READY_MS = 60_000;

/** Debian package of each program that is not called like it. */
const PACKAGES: Readonly<Record<string, string>> = { h2load: "nghttp2-client" };

export interface Running {
  readonly name: string;
  readonly pid: number;
  /** User and system time so far, seconds. */
  cpuSeconds(): number;
  /** Resident set size, MiB. */
  residentMiB(): number;
  stop(): Promise<void>;
  /** Ends it at once, as a crash would. */
  kill(): Promise<void>;
}

/** What runs ends with the benchmark, however that ends. */
const children = new Set<Bun.Subprocess>();
process.on("exit", () => {
  for (const child of children) child.kill("SIGKILL");
});
for (const [signal, number] of [["SIGINT", 2], ["SIGTERM", 15], ["SIGHUP", 1]] as const) {
  process.on(signal, () => process.exit(128 + number));
}

export function start(name: string, argv: readonly string[]): Running {
  const child = Bun.spawn([...argv], { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
  children.add(child);
  let stopping = false;
  void child.exited.then(async (code) => {
    children.delete(child);
    if (stopping) return;
    console.error(`${name} ended with exit code ${code}:\n${await new Response(child.stderr).text()}`);
    process.exit(1);
  });
  return {
    name,
    pid: child.pid,
    cpuSeconds() {
      // The fields after the command's name, which may hold spaces: 14 and 15 of proc(5), counted from 1.
      const fields = readFileSync(`/proc/${child.pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
      return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
    },
    residentMiB() {
      const status = readFileSync(`/proc/${child.pid}/status`, "utf8");
      return Number(/^VmRSS:\s+([0-9]+) kB$/m.exec(status)?.[1]) / 1_024;
    },
    async stop() {
      stopping = true;
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), 3_000);
      await child.exited;
      clearTimeout(timer);
    },
    async kill() {
      stopping = true;
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}

/** The path of a program; ends with a clear message when it is not installed. */
export function program(name: string): string {
  const path = Bun.which(name, { PATH: `${process.env.PATH}:/usr/sbin:/usr/local/sbin` });
  if (path !== null) return path;
  console.error(
    `The benchmark needs ${name}, which is not installed: apt-get install ${PACKAGES[name] ?? name}`,
  );
  process.exit(69);
}

export async function until(what: string, done: () => Promise<boolean> | boolean): Promise<void> {
  const deadline = performance.now() + READY_MS;
  while (!(await done())) {
    if (performance.now() > deadline) throw new Error(`${what} did not get ready in ${READY_MS} ms`);
    await Bun.sleep(50);
  }
}

export function accepts(hostname: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: hostname, port });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
