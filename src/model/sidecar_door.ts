/** Ports of a sidecar's own that are dialled and not captured (Sidecar `captureMode: NONE`). */
import type { PortProtocol } from "./snapshot.ts";

export interface SidecarDoor {
  /** `inbound` leads to the own workload, by the port's InboundPort; `outbound` to the services that have the port. */
  readonly side: "inbound" | "outbound";
  /** An IP address. */
  readonly bind: string;
  readonly port: number;
  /** What connections carry to an `outbound` one; InboundPort says it for the others. */
  readonly protocol: PortProtocol;
}

/** What it is called; no two of a sidecar are called alike. */
export function doorName({ side, bind, port }: SidecarDoor): string {
  return `${side} ${bind.includes(":") ? `[${bind}]` : bind}:${port}`;
}
