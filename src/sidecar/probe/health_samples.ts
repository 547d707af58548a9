/** What metrics say of the workload's health; nothing without a probe. */
import type { Sample } from "../../telemetry/prometheus_text.ts";
import type { HealthProber } from "./health_prober.ts";

export function healthSamples(prober: HealthProber): Sample[] {
  if (!prober.isProbing) return [];
  const answers = (result: string, value: number): Sample => ({
    name: "bowline_health_probes_total",
    help: "Answers of the workload's health probe.",
    type: "counter",
    labels: { result },
    value,
  });
  return [
    {
      name: "bowline_workload_healthy",
      help: "1 while the workload's health probe finds it healthy.",
      type: "gauge",
      value: prober.health === "healthy" ? 1 : 0,
    },
    answers("success", prober.answers.good),
    answers("failure", prober.answers.bad),
  ];
}
