/** What the service manager says in the environment, and the report that it asks for (sd_notify(3), sd_watchdog_enabled(3)). */
import type { Clock } from "../lib/clock.ts";
import { takeEnvironmentVariable } from "./process.ts";
import type { ServiceReport } from "./service_report.ts";

const US_PER_MS = 1_000;

/**
 * Takes the variables out of the environment: no child is to speak for this process. Null: nobody asks for a report.
 * What makes it is loaded only then.
 */
export async function openServiceReport(
  clock: Clock,
  warn: (message: string) => void,
): Promise<ServiceReport | null> {
  const name = takeEnvironmentVariable("NOTIFY_SOCKET");
  const watchdogMs = watchdogOf(
    takeEnvironmentVariable("WATCHDOG_USEC"),
    takeEnvironmentVariable("WATCHDOG_PID"),
  );
  if (name === undefined) return null;
  const { openNotifySocket } = await import("./notify_socket.ts");
  const { ServiceReport } = await import("./service_report.ts");
  const notify = openNotifySocket(name);
  if (notify !== null) return new ServiceReport({ clock, notify, watchdogMs });
  warn(
    `The service manager is told nothing: NOTIFY_SOCKET is ${JSON.stringify(name)}, not a path or an @name`,
  );
  return null;
}

/** Null: nobody watches this process. */
function watchdogOf(microseconds: string | undefined, pid: string | undefined): number | null {
  if (pid !== undefined && pid !== String(process.pid)) return null;
  const ms = Number(microseconds) / US_PER_MS;
  return ms > 0 && Number.isFinite(ms) ? ms : null;
}
