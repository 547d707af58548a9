/** How many processes carry requests, for Prometheus. */
import type { Sample } from "../../telemetry/prometheus_text.ts";
import type { DataPlane } from "../data_plane.ts";

export function workerSamples({ serving, restarts }: DataPlane["workers"]): Sample[] {
  return [
    { name: "bowline_workers", help: "Processes that carry requests.", type: "gauge", value: serving },
    {
      name: "bowline_worker_restarts_total",
      help: "Workers that took the place of one that ended unexpectedly.",
      type: "counter",
      value: restarts,
    },
  ];
}
