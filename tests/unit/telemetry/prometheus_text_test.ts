import { describe, expect, test } from "bun:test";
import { DURATION_BUCKETS_MS } from "../../../src/model/report.ts";
import { Edge, EdgeRegistry, UNKNOWN_WORKLOAD } from "../../../src/telemetry/edge_metrics.ts";
import { GRPC_STATUS_NONE, NOT_GRPC } from "../../../src/telemetry/grpc_status.ts";
import { golden } from "../../golden.ts";
import { prometheusText } from "../../../src/telemetry/prometheus_text.ts";

const CALLER = {
  key: "web/caller",
  namespace: "web",
  name: "caller",
  principal: "spiffe://mesh.test/ns/web/sa/caller",
  app: "front",
  version: "v2",
};
const DURATION = "istio_request_duration_milliseconds";
const SERVICE = { host: "shop.test", name: "shop", namespace: "ns" };

function edgeOf(reporter: "source" | "destination"): Edge {
  return new Edge({ reporter, source: CALLER, destination: UNKNOWN_WORKLOAD, service: SERVICE, mtls: true });
}

function text(more: { name?: string; mtls?: boolean; reporter?: "source" | "destination" } = {}): string[] {
  const { name = "caller", mtls = true, reporter = "source" } = more;
  const registry = new EdgeRegistry();
  const source = { ...CALLER, name };
  const edge = registry.edge({ reporter, source, destination: UNKNOWN_WORKLOAD, service: SERVICE, mtls });
  edge.record(200, "-", 0.7);
  edge.record(200, "-", 3);
  edge.record(503, "UF,URX", 1e9);
  return prometheusText(registry.edges(), []).split("\n");
}

describe("prometheusText()", () => {
  test("prometheusText() gives Istio's names and labels", () => {
    const line = text().find((one) => one.startsWith("istio_requests_total"));
    expect(line).toBe(
      'istio_requests_total{reporter="source",source_workload="caller",source_workload_namespace="web",' +
        'source_principal="spiffe://mesh.test/ns/web/sa/caller",source_app="front",source_version="v2",' +
        'source_cluster="mesh.test",source_canonical_service="front",source_canonical_revision="v2",' +
        'destination_workload="unknown",destination_workload_namespace="unknown",destination_principal="unknown",' +
        'destination_app="unknown",destination_version="unknown",destination_cluster="unknown",' +
        'destination_canonical_service="unknown",destination_canonical_revision="unknown",' +
        'destination_service="shop.test",destination_service_name="shop",destination_service_namespace="ns",' +
        'request_protocol="http",response_code="200",response_flags="-",connection_security_policy="unknown"} 2',
    );
  });

  test("prometheusText() gives the gRPC status of gRPC calls, and of no other", () => {
    const registry = new EdgeRegistry();
    const source = CALLER;
    const edge = registry.edge({
      reporter: "source",
      source,
      destination: UNKNOWN_WORKLOAD,
      service: SERVICE,
      mtls: true,
    });
    edge.record(200, "-", 1);
    edge.record(200, "-", 1, 14);
    edge.record(0, "DC", 1, GRPC_STATUS_NONE);
    const totals = prometheusText(registry.edges(), []).match(/istio_requests_total\{.*/g) ?? [];
    expect(totals.map((line) => /request_protocol.*response_flags/.exec(line)?.[0])).toEqual([
      'request_protocol="http",response_code="200",response_flags',
      'request_protocol="grpc",response_code="200",grpc_response_status="14",response_flags',
      'request_protocol="grpc",response_code="0",grpc_response_status="unknown",response_flags',
    ]);
  });

  test("prometheusText() says the security policy where it is enforced", () => {
    const policy = (more: object) => /connection_security_policy="(\w+)"/.exec(text(more).join("\n"))?.[1];
    expect(policy({ reporter: "source", mtls: true })).toBe("unknown");
    expect(policy({ reporter: "destination", mtls: true })).toBe("mutual_tls");
    expect(policy({ reporter: "destination", mtls: false })).toBe("none");
  });

  test("prometheusText() gives cumulative buckets that end in the count", () => {
    const value = (le: string, code: number) => {
      const line = text().find((one) =>
        one.startsWith(`${DURATION}_bucket`) && one.includes(`le="${le}"`) &&
        one.includes(`response_code="${code}"`)
      );
      return Number(line?.split(" ").at(-1));
    };
    expect(["0.5", "1", "5", "10", "3600000", "+Inf"].map((le) => value(le, 200))).toEqual([
      0,
      1,
      2,
      2,
      2,
      2,
    ]);
    expect(["3600000", "+Inf"].map((le) => value(le, 503))).toEqual([0, 1]);
    const lines = text().filter((one) => one.startsWith(DURATION));
    expect(lines.filter((one) => one.includes("_bucket")).length).toBe(2 * (DURATION_BUCKETS_MS.length + 1));
    expect(lines.filter((one) => /_(sum|count)\{/.test(one))).toHaveLength(4);
  });

  test("prometheusText() escapes backslash, quote and line feed, so that no value can add a line or a label", () => {
    const lines = text({ name: 'a"} 1\nevil{x="\\' });
    expect(lines.some((one) => one.startsWith("evil"))).toBe(false);
    expect(lines.join("\n")).toContain('source_workload="a\\"} 1\\nevil{x=\\"\\\\"');
  });

  test("prometheusText() declares each metric once, before its first line, and ends with a line feed", () => {
    const samples = [
      { name: "b_up", help: "Up.", type: "gauge", value: 1, labels: { a: "x", b: "" } },
      { name: "b_up", help: "Up.", type: "gauge", value: 0.5, labels: { a: "y" } },
      { name: "b_total", help: "All.", type: "counter", value: 3 },
    ] as const;
    const without = prometheusText([], []);
    expect(prometheusText([], samples)).toStartWith(without);
    expect(prometheusText([], samples).slice(without.length).split("\n")).toEqual([
      "# HELP b_up Up.",
      "# TYPE b_up gauge",
      'b_up{a="x",b="unknown"} 1',
      'b_up{a="y"} 0.5',
      "# HELP b_total All.",
      "# TYPE b_total counter",
      "b_total 3",
      "",
    ]);
  });

  test("prometheusText() gives the sizes of bodies as histograms", () => {
    const edge = edgeOf("source");
    edge.record(200, "-", 1, NOT_GRPC, 0, 66);
    edge.record(200, "-", 1, NOT_GRPC, 1_000_000, 4_000_000);
    const lines = prometheusText([edge], []).split("\n").filter((one) => /_bytes_/.test(one));
    const values = (name: string, le: string) =>
      lines.filter((one) => one.startsWith(`istio_${name}_bytes_${le === "" ? "sum" : "bucket"}`))
        .filter((one) => one.includes(le === "" ? "" : `le="${le}"`)).map((one) =>
          Number(one.split(" ").at(-1))
        );
    expect(["0.5", "600000", "1800000", "+Inf", ""].map((le) => values("request", le))).toEqual([
      ...[[1], [1], [2], [2]],
      [1_000_000],
    ]);
    expect(["50", "100", "3600000", "+Inf", ""].map((le) => values("response", le))).toEqual([
      ...[[0], [1], [1], [2]],
      [4_000_066],
    ]);
  });

  test("prometheusText() gives gRPC messages by edge, whatever the calls end with", () => {
    const edge = edgeOf("destination");
    const lines = () => prometheusText([edge], []).match(/^istio_.*_messages_total.*/gm) ?? [];
    expect(lines()).toEqual([]);
    edge.requestMessages += 3;
    edge.responseMessages += 5;
    expect(lines().map((one) => one.replace(/\{.*(,\w+=".*?")\}/, "$1"))).toEqual([
      'istio_request_messages_total,destination_service_namespace="ns" 3',
      'istio_response_messages_total,destination_service_namespace="ns" 5',
    ]);
  });

  test("prometheusText() gives TCP connections by what they began and ended with", () => {
    const edge = edgeOf("destination");
    const series = edge.openConnection();
    edge.openConnection("UF");
    edge.closeConnection("UF");
    edge.closeConnection("DC");
    series.receivedBytes += 7;
    series.sentBytes += 2 ** 33;
    const lines = prometheusText([edge], []).match(/^istio_tcp.*/gm) ?? [];
    expect(lines.map((one) => one.replace(/\{.*,request_protocol="tcp",/, " "))).toEqual([
      'istio_tcp_connections_opened_total response_flags="-",connection_security_policy="mutual_tls"} 1',
      'istio_tcp_connections_opened_total response_flags="UF",connection_security_policy="mutual_tls"} 1',
      'istio_tcp_connections_closed_total response_flags="-",connection_security_policy="mutual_tls"} 0',
      'istio_tcp_connections_closed_total response_flags="UF",connection_security_policy="mutual_tls"} 1',
      'istio_tcp_connections_closed_total response_flags="DC",connection_security_policy="mutual_tls"} 1',
      'istio_tcp_received_bytes_total response_flags="-",connection_security_policy="mutual_tls"} 7',
      'istio_tcp_received_bytes_total response_flags="UF",connection_security_policy="mutual_tls"} 0',
      'istio_tcp_sent_bytes_total response_flags="-",connection_security_policy="mutual_tls"} 8589934592',
      'istio_tcp_sent_bytes_total response_flags="UF",connection_security_policy="mutual_tls"} 0',
    ]);
  });

  test("prometheusText() gives a whole page: requests, gRPC, TCP, and a gauge", () => {
    const edge = edgeOf("destination");
    edge.record(200, "-", 3, NOT_GRPC, 0, 66);
    edge.record(200, "-", 40, 14, 105, 5);
    edge.requestMessages++;
    edge.responseMessages++;
    const connection = edge.openConnection();
    connection.receivedBytes += 7;
    connection.sentBytes += 9;
    edge.closeConnection("DC");
    const gauge = { name: "b_up", help: "Up.", type: "gauge", value: 1 } as const;
    golden("telemetry/metrics.txt", prometheusText([edge], [gauge]));
  });

  test("prometheusText() gives no series twice", () => {
    const names = text().filter((one) => one !== "" && !one.startsWith("#")).map((one) =>
      one.replace(/ \S+$/, "")
    );
    expect(new Set(names).size).toBe(names.length);
  });
});
