/** Child processes: started with their output read line by line, and ended by their own id. */

/** A longer line reaches the callback in pieces of this many characters. */
export const CHILD_LINE_LENGTH_MAX = 64 * 1024;

export interface ChildOptions {
  /** Program and arguments. */
  readonly argv: readonly string[];
  /** The whole environment. */
  readonly env: Readonly<Record<string, string>>;
  /** @default the own working directory */
  readonly cwd?: string;
  readonly onStdoutLine?: (line: string) => void;
  readonly onStderrLine?: (line: string) => void;
}

export interface ChildExit {
  /** Null when a signal ended it. */
  readonly code: number | null;
  readonly signal: string | null;
}

export interface ChildProcess {
  readonly pid: number;
  /** Resolves when the process has ended and all of its lines were delivered. */
  readonly exited: Promise<ChildExit>;
  /** Asks it to end (SIGTERM), and ends it after `graceMs` (SIGKILL). Resolves as `exited`. */
  terminate(graceMs: number): Promise<ChildExit>;
}

/** The program could not be started at all. */
export class ChildStartError extends Error {
  override readonly name = "ChildStartError";
}

/**
 * Starts a program in a process group of its own: a Ctrl-C at the terminal reaches the parent alone, which then ends
 * its children in the order that it needs. Throws ChildStartError.
 */
export function startChild(options: ChildOptions): ChildProcess {
  const child = spawn(options);
  const exited = waitFor(child, options);
  return {
    pid: child.pid,
    exited,
    terminate(graceMs) {
      // Kill by the handle: the id of a process that has ended may already belong to another.
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), graceMs);
      return exited.finally(() => clearTimeout(timer));
    },
  };
}

type PipedChild = Bun.Subprocess<"ignore", "pipe", "pipe">;

function spawn(options: ChildOptions): PipedChild {
  try {
    return Bun.spawn([...options.argv], {
      env: { ...options.env },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      detached: true,
    });
  } catch (error) {
    throw new ChildStartError(`Cannot start ${options.argv[0]}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

async function waitFor(child: PipedChild, options: ChildOptions): Promise<ChildExit> {
  await Promise.all([
    readLines(child.stdout, options.onStdoutLine),
    readLines(child.stderr, options.onStderrLine),
    child.exited,
  ]);
  const { signalCode } = child;
  return signalCode === null
    ? { code: child.exitCode, signal: null }
    : { code: null, signal: String(signalCode) };
}

/** Reads to the end, with or without a listener: a full pipe would stop the child. */
async function readLines(stream: ReadableStream<Uint8Array>, onLine: ((line: string) => void) | undefined) {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    if (onLine === undefined) continue;
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() as string;
    for (const line of lines) deliver(line, onLine);
    if (rest.length > CHILD_LINE_LENGTH_MAX) {
      deliver(rest, onLine);
      rest = "";
    }
  }
  if (rest !== "") deliver(rest, onLine as (line: string) => void);
}

function deliver(line: string, onLine: (line: string) => void): void {
  for (let from = 0; from === 0 || from < line.length; from += CHILD_LINE_LENGTH_MAX) {
    onLine(line.slice(from, from + CHILD_LINE_LENGTH_MAX));
  }
}
