/** The ports of a workload that are open to the mesh: those to which services lead, or those of its Sidecar's `ingress`. */
import type { DefaultEndpoint, SidecarSpec } from "../config/schema/sidecar.ts";
import type { InboundPort } from "../model/snapshot.ts";
import type { MeshWorkload } from "./file_workloads.ts";
import { type MeshService, protocolsOf, selects, targetPortOf } from "./services.ts";

/** `services` are those of the workload's namespace. By number and then by host. */
export function inboundPorts(
  workload: MeshWorkload,
  services: readonly MeshService[],
  sidecar: SidecarSpec | null,
): readonly InboundPort[] {
  const ports = servicePorts(workload, services);
  if (sidecar === null || sidecar.ingress.length === 0) return ports;
  return sidecar.ingress.flatMap((listener) => {
    const { number, protocol } = listener.port;
    const delivery = deliveryOf(listener.defaultEndpoint, workload);
    const said = protocol === null ? {} : inboundProtocol(protocol, number);
    const own = ports.filter(({ port }) => port === number);
    const served = own.length > 0 ? own : [{ port: number, service: unservedOf(workload) }];
    return served.map((one): InboundPort => ({ ...one, ...said, ...delivery }));
  }).sort(byPortAndHost);
}

function servicePorts(workload: MeshWorkload, services: readonly MeshService[]): readonly InboundPort[] {
  const inbound = new Map<string, InboundPort>();
  for (const service of services) {
    if (!selects(service.selector, workload.labels)) continue;
    for (const servicePort of service.ports) {
      const port = targetPortOf(servicePort, workload);
      inbound.set(`${port} ${service.info.host}`, {
        port,
        service: service.info,
        protocol: servicePort.http,
        declared: servicePort.declared,
      });
    }
  }
  return [...inbound.values()].sort(byPortAndHost);
}

function inboundProtocol(protocol: string, port: number): Pick<InboundPort, "protocol" | "declared"> {
  const { http, declared } = protocolsOf(protocol, port);
  return { protocol: http, declared };
}

function deliveryOf(
  endpoint: DefaultEndpoint | null,
  { address }: MeshWorkload,
): Pick<InboundPort, "deliverTo"> {
  // A path is refused when the files are read.
  if (endpoint === null || endpoint.type === "unix") return {};
  const { host, port } = endpoint;
  return { deliverTo: { hostname: host === "workload" ? address : host, port } };
}

/** What metrics call a port to which no service leads. */
function unservedOf({ name, namespace }: MeshWorkload): InboundPort["service"] {
  return { host: `${name}.${namespace}`, name, namespace };
}

function byPortAndHost(a: InboundPort, b: InboundPort): number {
  return a.port - b.port || (a.service.host < b.service.host ? -1 : a.service.host > b.service.host ? 1 : 0);
}
