/** What the admin socket tells of calls as they end: a line of JSON for each. */
import { Hono } from "hono";
import type { TapGreeting, WorkloadTap } from "../../model/tap.ts";
import type { WorkloadKey } from "../../model/workload.ts";
import { workloadFault } from "./asked_workload.ts";
import type { TapHub } from "../tap_hub.ts";

/** Bytes of lines that wait for a reader; what comes while there are more is only counted. */
const TAP_WAITING_BYTES_MAX = 1024 * 1024;

const encoder = new TextEncoder();

export interface TapApiOptions {
  readonly hub: TapHub;
  /** Every workload that the files or the books have. */
  known(): ReadonlySet<WorkloadKey>;
  /** Whether a proxy of a workload would hear that it is watched; null: of any. */
  isConnected(workload: WorkloadKey | null): boolean;
}

export function createTapApi({ hub, known, isConnected }: TapApiOptions): Hono {
  const app = new Hono();
  app.get("/v1/tap", (context) => {
    const workload = context.req.query("workload") ?? null;
    const refuse = (status: 400 | 503, message: string) =>
      context.json({ error: { code: "request_invalid", message } }, status);
    const fault = workload === null || isConnected(workload) ? null : workloadFault(workload, known());
    if (fault !== null) return refuse(400, fault);
    const watching = new TapLines({ watching: true, connected: isConnected(workload) });
    const stop = hub.watch({ workload, onReport: (report) => watching.add(report) });
    if (stop === null) return refuse(503, "Too many watch already");
    return new Response(watching.stream(stop), { headers: { "content-type": "application/jsonl" } });
  });
  return app;
}

/** The lines of one reader. */
class TapLines {
  readonly #greeting: TapGreeting;
  #waiting = "";
  #omitted = 0;
  #wake: () => void = () => {};

  constructor(greeting: TapGreeting) {
    this.#greeting = greeting;
  }

  add({ calls, omitted }: WorkloadTap): void {
    this.#omitted += omitted;
    for (const call of calls) {
      if (this.#waiting.length > TAP_WAITING_BYTES_MAX) this.#omitted++;
      else this.#waiting += `${JSON.stringify(call)}\n`;
    }
    this.#wake();
  }

  stream(onCancel: () => void): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(encoder.encode(`${JSON.stringify(this.#greeting)}\n`)),
      pull: async (controller) => {
        while (this.#waiting === "" && this.#omitted === 0) {
          await new Promise<void>((resolve) => this.#wake = resolve);
        }
        const omitted = this.#omitted === 0 ? "" : `${JSON.stringify({ omitted: this.#omitted })}\n`;
        controller.enqueue(encoder.encode(this.#waiting + omitted));
        this.#waiting = "";
        this.#omitted = 0;
      },
      cancel: onCancel,
    }, { highWaterMark: 0 });
  }
}
