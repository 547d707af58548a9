/**
 * Ports of the own workload that no service declares any more. Callers hear of it one after the other, so what was open
 * to them stays open for a while; policies go on to decide who may call.
 */
import type { InboundService } from "./inbound_service.ts";

/** Longer than it takes a change to reach every proxy. */
export const PORT_CLOSES_AFTER_MS = 5_000;

type Ports = ReadonlyMap<number, InboundService>;

export class ClosingPorts {
  readonly #ports = new Map<number, { readonly service: InboundService; readonly untilMs: number }>();

  /** `inbound` is open now, `before` was, and `closing` was closing then; the time is monotonic. */
  constructor(inbound: Ports, before: Ports, closing: ClosingPorts | null, nowMs: number) {
    for (const [port, known] of closing === null ? [] : closing.#ports) {
      if (!inbound.has(port) && nowMs < known.untilMs) this.#ports.set(port, known);
    }
    const untilMs = nowMs + PORT_CLOSES_AFTER_MS;
    for (const [port, service] of before) {
      if (!inbound.has(port)) this.#ports.set(port, { service, untilMs });
    }
  }

  get(port: number, nowMs: number): InboundService | undefined {
    const closing = this.#ports.get(port);
    return closing !== undefined && nowMs < closing.untilMs ? closing.service : undefined;
  }

  *services(): Generator<InboundService> {
    for (const { service } of this.#ports.values()) yield service;
  }
}
