/** Port 15014: what anybody on the machine may read. Nothing here changes anything or tells a secret. */
import { Hono } from "hono";
import type { CertificateExpiry } from "../../identity/certificate_expiries.ts";
import type { ConfigStore } from "../../config/config_store.ts";
import type { Finding } from "../../config/finding.ts";
import type { Clock } from "../../lib/clock.ts";
import { buildGraph } from "../../mixer/graph.ts";
import type { TelemetryStore } from "../../mixer/telemetry_store.ts";
import type { DiscoveryServer } from "../../pilot/discovery/discovery_server.ts";
import { certificateSamples } from "../../telemetry/certificate_samples.ts";
import { PROMETHEUS_CONTENT_TYPE, type Sample, samplesText } from "../../telemetry/prometheus_text.ts";

export interface StatusApiOptions {
  readonly clock: Clock;
  /** Of the control plane's own certificate and of the CA's. */
  expiries(): readonly CertificateExpiry[];
  /** PEM of the roots that workloads trust. */
  roots(): string;
  /** DER of the certificate revocation list. */
  crl(): Promise<Uint8Array<ArrayBuffer>>;
  readonly config: ConfigStore;
  readonly discovery: DiscoveryServer;
  readonly store: TelemetryStore;
}

/** What `GET /api/config` answers. */
export interface ConfigStatus {
  /** The generation that serves; null before the first. */
  readonly generation: number | null;
  /** ISO 8601. */
  readonly loadedAt: string | null;
  /** Of what serves: warnings. */
  readonly findings: readonly Finding[];
  /** The last edit, if it was refused: what was there before still serves. */
  readonly rejected: { readonly at: string; readonly findings: readonly Finding[] } | null;
}

export function createStatusApi(options: StatusApiOptions): Hono {
  const { config, discovery, store } = options;
  const app = new Hono();
  app.get("/healthz", (context) => context.text("ok\n"));
  app.get("/readyz", (context) => {
    const reason = notReady(options);
    return context.text(`${reason ?? "ok"}\n`, reason === null ? 200 : 503);
  });
  app.get("/metrics", (context) => {
    return context.body(samplesText(samples(options)), 200, { "content-type": PROMETHEUS_CONTENT_TYPE });
  });
  app.get("/crl", async (context) => {
    return context.body(await options.crl(), 200, { "content-type": "application/pkix-crl" });
  });
  app.get("/roots.pem", (context) => {
    return context.body(options.roots(), 200, { "content-type": "application/x-pem-file" });
  });
  app.get("/api/graph", (context) => context.json(buildGraph(store)));
  app.get("/api/proxies", (context) => context.json({ proxies: discovery.status() }));
  app.get("/api/config", (context) => context.json(configStatus(config)));
  app.notFound((context) =>
    context.json({ error: { code: "not_found", message: "There is nothing here" } }, 404)
  );
  return app;
}

/** Null when it is ready. With a certificate that has expired it can serve nobody. */
export function notReady(
  { clock, config, expiries }: Pick<StatusApiOptions, "clock" | "config" | "expiries">,
): string | null {
  if (config.current === null) return "no configuration is loaded";
  // The CA's own goes before those that end with it.
  const expired = expiries().findLast(({ notAfterMs }) => notAfterMs <= clock.now());
  return expired === undefined ? null : `the ${expired.kind} certificate has expired`;
}

function configStatus({ current, rejection }: ConfigStore): ConfigStatus {
  return {
    generation: current?.number ?? null,
    loadedAt: current === null ? null : new Date(current.loadedAtMs).toISOString(),
    findings: current?.findings ?? [],
    rejected: rejection === null
      ? null
      : { at: new Date(rejection.atMs).toISOString(), findings: rejection.findings },
  };
}

function samples({ clock, expiries, config, discovery, store }: StatusApiOptions): Sample[] {
  const gauge = (name: string, help: string, value: number): Sample => ({ name, help, type: "gauge", value });
  const status = discovery.status();
  const states = ["synced", "stale", "nacked", "not-sent"] as const;
  return [
    gauge(
      "bowline_config_generation",
      "Generation of the configuration that serves.",
      config.current?.number ?? 0,
    ),
    gauge(
      "bowline_config_rejected",
      "1 while the files hold an edit that was refused.",
      config.rejection ? 1 : 0,
    ),
    ...states.map((state): Sample => ({
      name: "bowline_proxies",
      help: "Connected proxies by the state of their configuration.",
      type: "gauge",
      labels: { state },
      value: status.filter((one) => one.state === state).length,
    })),
    gauge("bowline_graph_edges", "Edges in the telemetry store.", store.size),
    ...certificateSamples(expiries(), clock.now()),
  ];
}
