/** The ports that a Sidecar asks its workloads' sidecars to open: those of listeners for which nothing is captured. */
import type { SidecarSpec } from "../config/schema/sidecar.ts";
import type { SidecarDoor } from "../model/sidecar_door.ts";
import type { MeshWorkload } from "./file_workloads.ts";
import { protocolsOf } from "./services.ts";

/** Programs of the own machine call, as in Istio. */
const EGRESS_BIND_DEFAULT = "127.0.0.1";

export function doorsOf(
  workload: Pick<MeshWorkload, "address" | "role">,
  sidecar: SidecarSpec | null,
): readonly SidecarDoor[] {
  if (sidecar === null || workload.role === "gateway") return [];
  const inbound = sidecar.ingress.filter(({ captureMode }) => captureMode === "NONE")
    .map(({ bind, port: { number: port } }): SidecarDoor => ({
      side: "inbound",
      bind: bind ?? workload.address,
      port,
      protocol: "auto",
    }));
  const outbound = sidecar.egress.flatMap(({ captureMode, bind, port }): SidecarDoor[] => {
    if (captureMode !== "NONE" || port === null) return [];
    const { number, protocol } = port;
    const { declared } = protocolsOf(protocol ?? "", number);
    return [{ side: "outbound", bind: bind ?? EGRESS_BIND_DEFAULT, port: number, protocol: declared }];
  });
  return [...inbound, ...outbound];
}
