/** The error that says that the control plane cannot be reached, and why. */
import type { ResetReason } from "../proxy/exchange.ts";
import { notConnected } from "./not_connected.ts";

/** A connection to it must come about within this. */
export const CONNECT_TIMEOUT_MS = 5_000;

/** The control plane could not be reached, or the line broke: trying again later is right. */
export class ControlPlaneUnreachable extends Error {
  override readonly name = "ControlPlaneUnreachable";
  readonly code = "control_plane_unreachable";
  /** When the control plane said how long to wait: milliseconds. */
  readonly retryAfterMs: number;

  constructor(message: string, options?: ErrorOptions & { readonly retryAfterMs?: number }) {
    super(message, options);
    this.retryAfterMs = options?.retryAfterMs ?? 0;
  }
}

/** As a clause for people. */
export function whyReset(reason: ResetReason, hostname: string): string {
  switch (reason) {
    case "connect-failure":
      return notConnected(hostname);
    case "connect-timeout":
      return "the connection did not come about in time";
    case "peer-refused":
      return "whoever answers there is not the control plane of this trust domain";
    case "closed":
      return "it closed the connection";
    case "timeout":
      return "it has been silent for too long";
    default:
      return "it broke the protocol";
  }
}
