/** The process's own edges: arguments, environment, standard streams and exit. */
import { fstatSync, writeFileSync, writeSync } from "node:fs";
import { availableParallelism } from "node:os";

const STDOUT = 1;
const STDERR = 2;

/** How long a write waits before it tries a full pipe again. */
const FULL_PIPE_WAIT_MS = 1;

const closed = new Set<number>();

/** The disk, or what the user may have of it, is full: what was written before is not all of it. */
const DISK_FULL: ReadonlySet<string | undefined> = new Set(["ENOSPC", "EDQUOT", "EFBIG"]);

/** What the user typed after the program's name. */
export function programArguments(): readonly string[] {
  return process.argv.slice(2);
}

/** A variable of the environment; an empty one counts as unset. */
export function environmentVariable(name: string): string | undefined {
  return process.env[name] || undefined;
}

/** As environmentVariable(), and no child process gets it. */
export function takeEnvironmentVariable(name: string): string | undefined {
  const value = environmentVariable(name);
  delete process.env[name];
  return value;
}

/** The environment as a child process gets it. */
export function environment(): Record<string, string> {
  const copy: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env)) if (value !== undefined) copy[name] = value;
  return copy;
}

/** Program and first arguments that start this very program again: the executable, or the runtime with its script. */
export function ownCommand(): string[] {
  const script = process.argv[1] ?? "";
  // In a compiled executable the script is a path inside of it.
  return script.startsWith("/$bunfs/") ? [process.execPath] : [process.execPath, script];
}

/** What `top` and `ps` call the process; at most 15 characters count. */
export function nameProcess(name: string): void {
  try {
    writeFileSync("/proc/self/comm", name);
  } catch {
    // Without /proc it keeps the executable's name.
  }
}

/** Whether the process runs as root; false where there is no such thing. */
export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/**
 * Writes all of `text` before it returns, so that nothing is lost when the process ends right after.
 * False when nobody reads standard output any more (`bowline graph | head -1`): then everything is discarded. Throws
 * when it is a file and the disk is full.
 */
export function writeStdout(text: string): boolean {
  return writeAll(STDOUT, text);
}

/** As writeStdout(), to standard error. */
export function writeStderr(text: string): boolean {
  return writeAll(STDERR, text);
}

/** Bun's own stream takes 3 MB when it is first looked at: whoever writes to a pipe or a file need not ask it. */
export function isTerminal(stream: "stdout" | "stderr"): boolean {
  try {
    return fstatSync(stream === "stdout" ? STDOUT : STDERR).isCharacterDevice() &&
      process[stream].isTTY === true;
  } catch {
    // A stream that was closed before the process began.
    return false;
  }
}

export function exitProcess(code: number): never {
  process.exit(code);
}

/** Calls back for whatever nobody caught; the process must end then, since its state is unknown. */
export function onUncaughtError(callback: (error: unknown) => void): void {
  process.on("uncaughtException", callback);
  process.on("unhandledRejection", callback);
}

function writeAll(descriptor: number, text: string): boolean {
  if (closed.has(descriptor)) return false;
  const bytes = new TextEncoder().encode(text);
  for (let written = 0; written < bytes.length;) {
    try {
      written += writeSync(descriptor, bytes, written);
    } catch (error) {
      const { code } = error as { code?: string };
      if (code === "EAGAIN") {
        // A pipe that its other owner made non-blocking, and whose reader is slow.
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, FULL_PIPE_WAIT_MS);
      } else if (code !== "EINTR") {
        if (descriptor === STDOUT && DISK_FULL.has(code)) {
          const message = "Standard output takes no more, the disk is full: what was written is not all";
          throw Object.assign(new Error(message, { cause: error }), { code });
        }
        // EPIPE, or EBADF and EIO of a closed or lost terminal: there is nobody to tell.
        closed.add(descriptor);
        return false;
      }
    }
  }
  return true;
}

/** Processors that this process may use. */
export function processorCount(): number {
  return availableParallelism();
}
