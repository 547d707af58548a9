/** `bowline proxy-status`: the connected proxies, and whether each has the configuration that it should have. */
import { type Clock, systemClock } from "../lib/clock.ts";
import type { ProxyStatus } from "../pilot/discovery/discovery_session.ts";
import { AdminClient } from "./admin_client.ts";
import { EXIT, type ExitCode } from "./exit_codes.ts";
import { type Column, formatTable, type OutputFormat, printable, printData, printMessage } from "./output.ts";

export interface ProxyStatusOptions {
  readonly data?: string;
  readonly output: OutputFormat;
}

/** What `GET /api/proxies` answers. */
interface ProxiesReply {
  readonly proxies: readonly ProxyStatus[];
}

const COLUMNS: readonly Column[] = [
  { title: "WORKLOAD" },
  { title: "ROLE" },
  { title: "ADDRESS" },
  { title: "STATE" },
  { title: "HEALTH" },
  { title: "VERSION" },
  { title: "CONNECTED", align: "right" },
  { title: "ROUTES", align: "right" },
  { title: "CLUSTERS", align: "right" },
  { title: "ENDPOINTS", align: "right" },
];

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** JSON is what `GET /api/proxies` answers. */
export async function runProxyStatus(
  { data, output }: ProxyStatusOptions,
  clock: Clock = systemClock,
): Promise<ExitCode> {
  const reply = await new AdminClient(data).get("/api/proxies") as ProxiesReply;
  if (output === "table" && reply.proxies.length === 0) {
    printMessage(
      "No proxy is connected; bowline token create --workload NS/NAME makes a token for one to join with",
    );
    return EXIT.ok;
  }
  const rows = reply.proxies.map((proxy) => row(proxy, clock.now()));
  await printData(output, reply, () => formatTable(COLUMNS, rows));
  if (output === "table") {
    for (const { workload, reason, shutPorts } of reply.proxies) {
      for (const { port, reason } of shutPorts) {
        const place = port === 0 ? "a socket" : `its port ${port}`;
        printMessage(printable(`${workload} has ${place} shut: ${reason}`));
      }
      if (reason !== null) printMessage(printable(`${workload} refused its last push: ${reason}`));
    }
  }
  return EXIT.ok;
}

function row(proxy: ProxyStatus, nowMs: number): string[] {
  const { workload, role, address, state, health, version, connectedAtMs, counts } = proxy;
  return [
    workload,
    role,
    address,
    state,
    health ?? "-",
    version,
    formatAge(nowMs - connectedAtMs),
    String(counts?.virtualHosts ?? "-"),
    String(counts?.clusters ?? "-"),
    String(counts?.endpoints ?? "-"),
  ];
}

/** `12s`, `3m12s`, `5h4m`, `2d3h`: the two largest units, rounded down. */
export function formatAge(ageMs: number): string {
  const age = Math.max(0, ageMs);
  const whole = (unitMs: number, ofMs = Infinity) => Math.floor((age % ofMs) / unitMs);
  if (age < MINUTE_MS) return `${whole(SECOND_MS)}s`;
  if (age < HOUR_MS) return `${whole(MINUTE_MS)}m${whole(SECOND_MS, MINUTE_MS)}s`;
  if (age < DAY_MS) return `${whole(HOUR_MS)}h${whole(MINUTE_MS, HOUR_MS)}m`;
  return `${whole(DAY_MS)}d${whole(HOUR_MS, DAY_MS)}h`;
}
