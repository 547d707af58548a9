/** The data plane with so many processes: one is this one itself, and then there is no cost; more are a pool. */
import type { Clock } from "../lib/clock.ts";
import type { Random } from "../lib/prng.ts";
import { proxyCaps } from "../proxy/proxy_caps.ts";
import { openFilesMax } from "../runtime/open_files_max.ts";
import { allInherited } from "../runtime/inherited_sockets.ts";
import { holdPort } from "../runtime/socket.ts";
import type { Log } from "../telemetry/log.ts";
import type { DataPlane, DataPlaneSettings } from "./data_plane.ts";
import { LocalDataPlane } from "./local_data_plane.ts";

/** The command that runs a worker; `--number` tells it apart from the others. */
const WORKER_COMMAND = "worker";

export interface CreateDataPlaneOptions {
  readonly workers: number;
  readonly settings: DataPlaneSettings;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** `shutPorts` has changed. */
  onShutPorts(): void;
}

export function createDataPlane({ workers, ...options }: CreateDataPlaneOptions): DataPlane {
  const { log } = options;
  if (workers === 1) {
    return new LocalDataPlane({
      ...options,
      caps: proxyCaps(openFilesMax(), options.settings.limits),
      warn: (message) => log.warn(message),
      info: (message) => log.info(message),
    });
  }
  // Here, since most sidecars are one process.
  const { WorkerPool } = require("./workers/worker_pool.ts") as typeof import("./workers/worker_pool.ts");
  const { startWorkerProcess } = require(
    "../runtime/worker_process.ts",
  ) as typeof import("../runtime/worker_process.ts");
  return new WorkerPool({
    ...options,
    workers,
    start: (number, events) => {
      const { descriptors, names } = allInherited();
      const inherited = names.flatMap((name) => ["--socket", name]);
      return startWorkerProcess(
        [WORKER_COMMAND, "--number", String(number), ...inherited],
        descriptors,
        events,
      );
    },
    hold: holdPort,
  });
}
