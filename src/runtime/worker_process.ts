/**
 * This very program once more, as a child that speaks with its parent in messages: plain data, over a pair of sockets
 * that only the two have. The parent's end is here, the child's in parent_channel.ts.
 */
import { type ChildExit, ChildStartError } from "./child_process.ts";
import { environment, ownCommand } from "./process.ts";

/**
 * The file that runs, whatever has become of its name: after an upgrade on disk a new child still speaks the language
 * of its parent.
 */
const OWN_EXECUTABLE = "/proc/self/exe";

/** A child that has closed its side and does not end is ended after this long. */
const SPEECHLESS_MS = 1_000;

export interface WorkerProcess {
  readonly pid: number;
  /** Plain data. Never throws; to a child that is gone it goes nowhere. */
  send(message: object): void;
  /** Ends it at once. */
  kill(): void;
}

export interface WorkerProcessEvents {
  message(message: unknown): void;
  /** The process is gone, and everything that it said was delivered. */
  ended(exit: ChildExit): void;
}

/**
 * Starts it with these arguments, in a process group of its own: a Ctrl-C at the terminal reaches the parent alone.
 * Its standard error is the parent's, and `descriptors` are its own from 3 on. Throws ChildStartError.
 */
export function startWorkerProcess(
  args: readonly string[],
  descriptors: readonly number[],
  events: WorkerProcessEvents,
): WorkerProcess {
  const [name = "", ...script] = ownCommand();
  let exit: ChildExit | null = null;
  let speechless = false;
  const settle = () => {
    if (exit !== null && speechless) events.ended(exit);
  };
  try {
    const child = Bun.spawn([OWN_EXECUTABLE, ...script, ...args], {
      argv0: name,
      env: environment(),
      stdio: ["ignore", "ignore", "inherit", ...descriptors],
      detached: true,
      serialization: "json",
      ipc: (message) => events.message(message),
      onExit({ exitCode, signalCode }) {
        exit = signalCode === null
          ? { code: exitCode, signal: null }
          : { code: null, signal: String(signalCode) };
        settle();
      },
      onDisconnect() {
        speechless = true;
        if (exit === null) setTimeout(() => child.kill("SIGKILL"), SPEECHLESS_MS);
        settle();
      },
    });
    return {
      pid: child.pid,
      send(message) {
        try {
          child.send(message);
        } catch {
          // It is gone, and `ended` says so.
        }
      },
      kill: () => child.kill("SIGKILL"),
    };
  } catch (error) {
    throw new ChildStartError(`Cannot start ${name}: ${(error as Error).message}`, { cause: error });
  }
}
