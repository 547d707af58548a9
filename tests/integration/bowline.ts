/** The compiled executable as processes: run to the end, or started and ended again by whoever started it. */
import { afterAll, test } from "bun:test";
import { join } from "node:path";

/** What the tests run: the executable that `deno task build` makes. */
export const BOWLINE = process.env["BOWLINE_BIN"] ?? join(import.meta.dirname, "../../dist/bowline");

/** Nothing takes this long unless it is broken, on a slow machine too. */
export const CEILING_MS = 15_000;

const LOOK_MS = 20;
const LOG_LINES_SHOWN = 60;
/** Processes that have ended of which a failing test shows the log, besides those that run: the latest ones. */
const ENDED_SHOWN = 3;
/** A process that ignores its SIGTERM for this long is killed. */
const KILL_AFTER_MS = 10_000;

/** Every process that was started and has yet to end. */
const alive = new Set<Bowline>();
/** Whose logs a failing test prints: what the file has started so far. */
const involved: Bowline[] = [];
/** What `afterwards` was given, by order of time. */
const leftovers: (() => unknown)[] = [];

process.on("exit", () => {
  for (const { child } of alive) child.kill("SIGKILL");
});

export interface Ended {
  /** Null when a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface StartOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** RLIMIT_NOFILE. @default the own one */
  readonly openFilesMax?: number;
  /** The executable. @default BOWLINE */
  readonly executable?: string;
  /** A command that becomes the one after it: `ip netns exec N`. */
  readonly within?: readonly string[];
  /** The own ones that it gets, as 3 and those after it. */
  readonly descriptors?: readonly number[];
}

/** One process of the executable; its output is kept. */
export class Bowline {
  readonly name: string;
  readonly child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  /** Resolves with the exit code when the process is gone and all of its output was read. */
  readonly ended: Promise<number | null>;
  #stdout = "";
  #stderr = "";

  constructor(
    name: string,
    args: readonly string[],
    { env = {}, openFilesMax, executable = BOWLINE, within = [], descriptors = [], ...options }:
      StartOptions = {},
  ) {
    this.name = name;
    // prlimit becomes the program that it starts.
    const limited = openFilesMax === undefined ? [] : ["prlimit", `--nofile=${openFilesMax}`];
    this.child = Bun.spawn([...limited, ...within, executable, ...args], {
      ...options,
      env: { ...foreignEnvironment(), ...env },
      stdio: ["ignore", "pipe", "pipe", ...descriptors],
    });
    alive.add(this);
    involved.push(this);
    this.ended = Promise.all([
      this.child.exited,
      read(this.child.stdout, (text) => this.#stdout += text),
      read(this.child.stderr, (text) => this.#stderr += text),
    ]).then(() => {
      alive.delete(this);
      return this.child.exitCode;
    });
  }

  get pid(): number {
    return this.child.pid;
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  get isAlive(): boolean {
    return alive.has(this);
  }

  /** Sends the signal and waits for the end; returns the exit code. */
  async end(signal: "SIGTERM" | "SIGINT" | "SIGHUP" | "SIGKILL" = "SIGTERM"): Promise<number | null> {
    if (this.isAlive) this.child.kill(signal);
    const timer = setTimeout(() => this.child.kill("SIGKILL"), KILL_AFTER_MS);
    const code = await this.ended;
    clearTimeout(timer);
    return code;
  }

  /** Waits for an end that the process comes to by itself; returns the exit code. Throws when it goes on running. */
  async endsByItself(): Promise<number | null> {
    await until(`${this.name} ends`, () => !this.isAlive);
    return this.child.exitCode;
  }

  /** Waits until its standard error holds the text. */
  async says(text: string): Promise<void> {
    await until(`${this.name} says ${JSON.stringify(text)}`, () => this.stderr.includes(text));
  }
}

/** Runs a command to its end. */
export async function bowline(args: readonly string[], options: StartOptions = {}): Promise<Ended> {
  const command = new Bowline(`bowline ${args[0]}`, args, options);
  const code = await command.endsByItself();
  return { code, stdout: command.stdout, stderr: command.stderr };
}

/** A test; when it fails, what its processes said last is printed. */
export function scenario(name: string, body: () => Promise<void>): void {
  test(name, async () => {
    try {
      await body();
    } catch (error) {
      printLogs();
      throw error;
    }
  });
}

/** Looks again and again until the check holds. Throws when it does not come true in a generous time. */
export async function until(
  what: string,
  check: () => boolean | Promise<boolean>,
  ceilingMs = CEILING_MS,
): Promise<void> {
  const deadline = performance.now() + ceilingMs;
  while (!(await check())) {
    if (performance.now() > deadline) throw new Error(`It did not come about in ${ceilingMs} ms: ${what}`);
    await Bun.sleep(LOOK_MS);
  }
}

/** Called after the last test of the file, when the processes have ended: ends or removes what was started or written. */
export function afterwards(end: () => unknown): void {
  leftovers.push(end);
}

/**
 * Ends whatever a file of tests has started and not ended, the latest first, and forgets its logs. Called once, at the top
 * of the file.
 */
export function endEverythingAfterwards(): void {
  afterAll(async () => {
    await Promise.all([...alive].map((process) => process.end()));
    involved.length = 0;
    for (const end of leftovers.splice(0).reverse()) await end();
  });
}

/** Everything that the file's processes have said so far. */
export function everythingSaid(): string {
  return involved.map(({ stdout, stderr }) => stdout + stderr).join("");
}

export function printLogs(): void {
  const ended = involved.filter((process) => !process.isAlive).slice(-ENDED_SHOWN);
  for (const process of involved.filter((one) => one.isAlive || ended.includes(one))) {
    const { name, pid, child, stdout, stderr } = process;
    const lines = `${stdout}${stderr}`.trimEnd().split("\n").slice(-LOG_LINES_SHOWN);
    console.error(`-- ${name} (process ${pid}, exit code ${child.exitCode})\n${lines.join("\n")}`);
  }
}

/** The environment without what would speak to the program. */
function foreignEnvironment(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(process.env).filter((entry): entry is [string, string] =>
      entry[1] !== undefined && !entry[0].startsWith("BOWLINE_") && entry[0] !== "STATE_DIRECTORY"
    ),
  );
}

async function read(stream: ReadableStream<Uint8Array>, take: (text: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  for await (const chunk of stream) take(decoder.decode(chunk, { stream: true }));
}
