/** Telemetry reports as the tests of the mixer need them. */
import { DURATION_BUCKETS_MS, type EdgeReport, type TelemetryReport } from "../../../src/model/report.ts";
import type { WorkloadInfo } from "../../../src/model/call_info.ts";
import type { ReportingPeer } from "../../../src/mixer/telemetry_store.ts";

export function workload(name: string, namespace = "tutorial"): WorkloadInfo {
  return {
    key: `${namespace}/${name}`,
    namespace,
    name,
    principal: `spiffe://cluster.local/ns/${namespace}/sa/${name}`,
    app: name.replace(/-v\d$/, ""),
    version: name.match(/v\d$/)?.[0] ?? "latest",
  };
}

/** Ten calls with status 200 that took between 1 and 5 ms. */
export function edge(overrides: Partial<EdgeReport> = {}): EdgeReport {
  return {
    reporter: "source",
    source: workload("customer"),
    destination: workload("preference"),
    service: { host: "preference.tutorial.svc.cluster.local", name: "preference", namespace: "tutorial" },
    protocol: "http",
    mtls: true,
    responses: [{ code: 200, flags: "-", count: 10 }],
    durations: durations({ 2: 10 }),
    durationSumMs: 30,
    ...overrides,
  };
}

export function durations(counts: Record<number, number>): number[] {
  return Array.from({ length: DURATION_BUCKETS_MS.length + 1 }, (_, index) => counts[index] ?? 0);
}

/** The report of these edges and the peer that may send it. */
export function reportOf(...edges: EdgeReport[]): [TelemetryReport, ReportingPeer] {
  const first = edges[0] as EdgeReport;
  const { namespace, principal } = first[first.reporter];
  return [{ edges }, { namespace, principal }];
}
