/** The counters of what the proxy refused because it was too much, for Prometheus. */
import type { ProxyRefusals } from "../proxy/proxy_options.ts";
import type { Sample } from "../telemetry/prometheus_text.ts";

export function refusalSamples({ downstream, upstream, requests }: ProxyRefusals): Sample[] {
  const counter = (name: string, help: string, value: number, cap: string): Sample => ({
    name,
    help,
    type: "counter",
    value,
    labels: { cap },
  });
  const fromClients = (cap: keyof typeof downstream) =>
    counter(
      "bowline_downstream_connections_refused_total",
      "Connections from clients that were refused or closed at a cap.",
      downstream[cap],
      cap,
    );
  const toUpstreams = (cap: keyof typeof upstream) =>
    counter(
      "bowline_upstream_connections_refused_total",
      "Connections to upstreams that were not made because of a cap.",
      upstream[cap],
      cap,
    );
  return [
    ...(["connections", "silent", "handshakes", "descriptors"] as const).map(fromClients),
    ...(["connecting", "descriptors"] as const).map(toUpstreams),
    counter("bowline_requests_refused_total", "Requests answered 503 at a cap.", requests, "requests"),
  ];
}
