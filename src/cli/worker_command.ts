/** `bowline worker`: one of several processes that share a sidecar's ports; started by `bowline run --workers`. */
import { systemClock } from "../lib/clock.ts";
import { Prng, randomSeed } from "../lib/prng.ts";
import { Proxy } from "../proxy/proxy.ts";
import { proxyCaps } from "../proxy/proxy_caps.ts";
import { useInheritedSockets } from "../runtime/inherited_sockets.ts";
import { inheritSockets } from "../runtime/listen_fds.ts";
import { openFilesMax } from "../runtime/open_files_max.ts";
import { openParentChannel } from "../runtime/parent_channel.ts";
import { createLogOutput } from "../runtime/log_output.ts";
import { isTerminal, nameProcess } from "../runtime/process.ts";
import { ignoreSignals } from "../runtime/signals.ts";
import { Worker } from "../sidecar/workers/worker.ts";
import { createLog } from "../telemetry/log.ts";
import { CommandError, EXIT, type ExitCode } from "./exit_codes.ts";

export interface WorkerCommandOptions {
  /** From 1, for the log. */
  readonly number: number;
  /** Names of those that the main process has inherited, and hands on. */
  readonly socket: readonly string[];
}

export async function runWorker({ number, socket }: WorkerCommandOptions): Promise<ExitCode> {
  // The main process decides when to end, whomever else the signal was sent to.
  ignoreSignals();
  nameProcess("bowline-worker");
  const format = isTerminal("stderr") ? "text" : "json";
  const log = createLog({ clock: systemClock, format, write: createLogOutput() });
  const over = Promise.withResolvers<ExitCode>();
  const channel = openParentChannel({
    message: (message) => worker.receive(message),
    closed: () => void worker.orphaned(),
  });
  if (channel === null) {
    throw new CommandError(EXIT.usage, "A worker cannot be started by hand", "see bowline run --workers");
  }
  useInheritedSockets(inheritSockets(socket));
  const worker = new Worker({
    createProxy: (settings, identity) =>
      new Proxy({
        ...settings,
        clock: systemClock,
        random: new Prng(randomSeed()),
        caps: proxyCaps(openFilesMax(), settings.limits),
        tlsMaterial: identity,
        warn: (message) => log.warn(message, { worker: number }),
        info: (message) => log.info(message, { worker: number }),
        // The main process hears of them with the counts.
        onShutPorts() {},
      }),
    send: (message, sent) => channel.send(message, sent),
    end: (how) => over.resolve(how === "drained" ? EXIT.ok : EXIT.error),
  });
  worker.greet();
  return await over.promise;
}
