import { expect, test } from "bun:test";
import { refusalSamples } from "../../../src/sidecar/refusal_samples.ts";
import { samplesText } from "../../../src/telemetry/prometheus_text.ts";

test("refusalSamples() names every cap that refused something", () => {
  const samples = refusalSamples({
    downstream: { connections: 1, silent: 2, handshakes: 7, descriptors: 3 },
    upstream: { connecting: 4, descriptors: 5 },
    requests: 6,
  });
  expect(samplesText(samples).split("\n").filter((line) => !line.startsWith("#"))).toEqual([
    'bowline_downstream_connections_refused_total{cap="connections"} 1',
    'bowline_downstream_connections_refused_total{cap="silent"} 2',
    'bowline_downstream_connections_refused_total{cap="handshakes"} 7',
    'bowline_downstream_connections_refused_total{cap="descriptors"} 3',
    'bowline_upstream_connections_refused_total{cap="connecting"} 4',
    'bowline_upstream_connections_refused_total{cap="descriptors"} 5',
    'bowline_requests_refused_total{cap="requests"} 6',
    "",
  ]);
});
