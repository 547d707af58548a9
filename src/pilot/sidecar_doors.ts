/** The ports that a Sidecar asks its workloads' sidecars to open: those of listeners for which nothing is captured. */
import { resolveHost } from "../config/host.ts";
import { isUnixAddress } from "../config/schema/scalars.ts";
import type { EgressHost } from "../config/schema/scoped_host.ts";
import type { SidecarSpec } from "../config/schema/sidecar.ts";
import type { SidecarDoor } from "../model/sidecar_door.ts";
import type { MeshWorkload } from "./file_workloads.ts";
import { protocolsOf } from "./services.ts";

/** Programs of the own machine call, as in Istio. */
const EGRESS_BIND_DEFAULT = "127.0.0.1";

export function doorsOf(
  workload: Pick<MeshWorkload, "address" | "role" | "namespace">,
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
  const outbound = sidecar.egress.flatMap(({ captureMode, bind, port, hosts }): SidecarDoor[] => {
    const isSocket = bind !== null && isUnixAddress(bind);
    if ((captureMode !== "NONE" && !isSocket) || port === null) return [];
    const { number, protocol } = port;
    const { declared } = protocolsOf(protocol ?? "", number);
    const to = isSocket && declared !== "http" ? onlyHost(hosts, workload.namespace) : null;
    return [{
      side: "outbound",
      bind: bind ?? EGRESS_BIND_DEFAULT,
      port: number,
      protocol: declared,
      ...to === null ? {} : { host: to },
    }];
  });
  return [...inbound, ...outbound];
}

/** Null: there are several, or it is a wildcard. */
function onlyHost(hosts: readonly EgressHost[], namespace: string): string | null {
  const [only, ...others] = hosts.filter(({ excluded }) => !excluded);
  const isOne = only !== undefined && others.length === 0 && !only.host.startsWith("*");
  return isOne ? resolveHost(only.host, namespace) : null;
}
