/** Ports of a sidecar's own that are dialled and not captured (Sidecar `captureMode: NONE`). */
import { formatAuthority } from "../lib/authority.ts";
import { isSocket } from "./bind.ts";
import type { PortProtocol } from "./port_protocol.ts";

export interface SidecarDoor {
  /** `inbound` leads to the own workload, by the port's InboundPort; `outbound` to the services that have the port. */
  readonly side: "inbound" | "outbound";
  /** An IP address; of an `outbound` one also `unix:///PATH`, where the port is 0. */
  readonly bind: string;
  readonly port: number;
  /** Of a socket: the service that bytes are for, at its only port. @default they are closed */
  readonly host?: string;
  /** What connections carry to an `outbound` one; InboundPort says it for the others. */
  readonly protocol: PortProtocol;
}

/** What it is called; no two of a sidecar are called alike. */
export function doorName({ side, bind, port }: SidecarDoor): string {
  if (isSocket({ bind })) return `${side} ${bind}`;
  return `${side} ${formatAuthority({ hostname: bind, port })}`;
}
