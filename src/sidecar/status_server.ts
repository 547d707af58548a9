/** The sidecar's own ports: 15021 says whether it is ready, 15090 gives metrics, 15000 both, and admin.sock everything. */
import type { TimerWheel } from "../lib/timer_wheel.ts";
import { ADMIN_SOCKET } from "../model/admin.ts";
import { PORTS } from "../model/ports.ts";
import type { Snapshot } from "../model/snapshot.ts";
import { StatusPort } from "../proxy/status_port.ts";
import { type HttpServer, serveHttp } from "../runtime/http_server.ts";
import type { EdgeRegistry } from "../telemetry/edge_metrics.ts";
import { PROMETHEUS_CONTENT_TYPE, prometheusText, type Sample } from "../telemetry/prometheus_text.ts";
import { SharedScrape } from "./shared_scrape.ts";

export interface StatusSource {
  readonly edges: EdgeRegistry;
  /** Brings edges and samples up to this moment. */
  collect(): Promise<void>;
  /** Why the sidecar is not ready; null when it is. */
  notReady(): string | null;
  snapshot(): Snapshot | null;
  samples(): Sample[];
}

const READY = "/healthz/ready";
const METRICS = "/stats/prometheus";
const CONFIG_DUMP = "/config_dump";

/** Opens all of them. Throws ListenError, and then none is open. */
export async function serveStatus(
  hostname: string,
  dataDirectory: string,
  wheel: TimerWheel,
  source: StatusSource,
): Promise<HttpServer[]> {
  const servers: HttpServer[] = [];
  const metrics = new SharedScrape(async () => {
    await source.collect();
    return prometheusText(source.edges.edges(), source.samples());
  });
  try {
    const open = (port: number, paths: readonly string[]) => {
      servers.push(
        new StatusPort({ hostname, port }, wheel, (request) => answer(request, paths, source, metrics)),
      );
    };
    open(PORTS.health, [READY]);
    open(PORTS.metrics, [METRICS]);
    open(PORTS.admin, [READY, METRICS]);
    const everything = [READY, METRICS, CONFIG_DUMP];
    const unixPath = `${dataDirectory}/${ADMIN_SOCKET}`;
    servers.push(await serveHttp({ unixPath }, (request) => answer(request, everything, source, metrics)));
    return servers;
  } catch (error) {
    await Promise.all(servers.map((server) => server.stop()));
    throw error;
  }
}

async function answer(
  request: Request,
  paths: readonly string[],
  source: StatusSource,
  metrics: SharedScrape,
): Promise<Response> {
  const path = new URL(request.url).pathname;
  if (!paths.includes(path)) return new Response("not found\n", { status: 404 });
  if (path === METRICS) {
    return new Response(await metrics.text(), { headers: { "content-type": PROMETHEUS_CONTENT_TYPE } });
  }
  if (path === CONFIG_DUMP) return Response.json(Object.fromEntries(source.snapshot() ?? []));
  const reason = source.notReady();
  return new Response(reason === null ? "ready\n" : `${reason}\n`, { status: reason === null ? 200 : 503 });
}
