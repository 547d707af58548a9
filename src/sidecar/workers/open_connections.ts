/** The TCP connections that a worker has told of and that stand: when it crashes, nobody else can say that they ended. */
import type { EdgeReport } from "../../model/report.ts";
import type { Edge } from "../../telemetry/edge_metrics.ts";
import { FLAG } from "../../telemetry/response_flags.ts";

export class OpenConnections {
  readonly #open = new Map<Edge, number>();

  /** Takes what the worker told of this edge. */
  add(edge: Edge, { responses }: EdgeReport): void {
    let change = 0;
    for (const { count, detail } of responses) {
      if (detail !== undefined && "opened" in detail) change += detail.opened - count;
    }
    if (change === 0) return;
    const open = (this.#open.get(edge) ?? 0) + change;
    if (open === 0) this.#open.delete(edge);
    else this.#open.set(edge, open);
  }

  /** The worker is gone, and they with it. */
  closeAll(): void {
    for (const [edge, open] of this.#open) {
      for (let i = 0; i < open; i++) edge.closeConnection(FLAG.localReset);
    }
    this.#open.clear();
  }
}
