/** Tells the control plane of each call, as long as it asks for that. */
import type { Clock } from "../lib/clock.ts";
import type { WorkloadTap } from "../model/tap.ts";
import { TAP_LEASE_MS } from "../model/tap.ts";
import type { WorkloadKey } from "../model/workload.ts";
import type { ControlClient } from "./control_client.ts";
import type { DataPlane } from "./data_plane.ts";

/** Time between reports: soon enough for somebody who looks on. */
export const TAP_REPORT_MS = 250;

export interface TapReporterOptions {
  readonly clock: Clock;
  readonly client: Pick<ControlClient, "post">;
  readonly workload: WorkloadKey;
  readonly plane: Pick<DataPlane, "tap" | "openTap" | "collect">;
}

export class TapReporter {
  readonly #options: TapReporterOptions;
  #untilMs = 0;
  #running = false;

  constructor(options: TapReporterOptions) {
    this.#options = options;
  }

  /** Somebody watches: for `leaseMs` from now on, TAP_LEASE_MS at most. */
  open(leaseMs: number): void {
    const { clock, plane } = this.#options;
    const lease = Math.min(leaseMs, TAP_LEASE_MS);
    this.#untilMs = clock.monotonic() + lease;
    plane.openTap(lease);
    if (this.#running) return;
    this.#running = true;
    this.#reportLater();
  }

  #reportLater(): void {
    const { clock } = this.#options;
    clock.after(TAP_REPORT_MS, () => {
      void this.#report().then(() => {
        this.#running = clock.monotonic() < this.#untilMs;
        if (this.#running) this.#reportLater();
      });
    });
  }

  /** Never throws: who watches does without what cannot be told. */
  async #report(): Promise<void> {
    const { client, plane, workload } = this.#options;
    await plane.collect();
    const { calls, omitted } = plane.tap.take();
    if (calls.length === 0 && omitted === 0) return;
    const report: WorkloadTap = { workload, calls, omitted };
    // A control plane that is away is told of by discovery.
    await client.post("/v1/tap", report).catch(() => {});
  }
}
