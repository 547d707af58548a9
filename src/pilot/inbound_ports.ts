/** The ports of a workload that are open to the mesh: those to which services lead, or those of its Sidecar's `ingress`. */
import { compareTexts } from "../lib/compare_texts.ts";
import type { ConnectionPool } from "../config/schema/connection_pool.ts";
import type { DefaultEndpoint, SidecarSpec } from "../config/schema/sidecar.ts";
import type { PortProtocol } from "../config/schema/l4_port.ts";
import type { InboundPort } from "../model/snapshot.ts";
import { followsClient, limitsOf } from "./cluster_settings.ts";
import type { MeshWorkload } from "./file_workloads.ts";
import { modeAt, type PeerMode } from "./policies.ts";
import { terminatedTls } from "./server_tls.ts";
import { type MeshService, protocolsOf, selects, type ServicePort, targetPortOf } from "./services.ts";

/** What a workload's own DestinationRules say of a port; null: nothing. */
export type PoolOf = (service: MeshService, port: ServicePort) => ConnectionPool | null;

export interface InboundSources {
  readonly workload: MeshWorkload;
  /** The services of the workload's namespace. */
  readonly services: readonly MeshService[];
  /** Null: no Sidecar selects it. */
  readonly sidecar: SidecarSpec | null;
  readonly poolOf: PoolOf;
  readonly peers: PeerMode;
}

/**
 * By number and then by host. The pool of an `ingress` goes before that of the Sidecar, and that before `poolOf`: the
 * first that is written is taken whole (Istio, "overridden, not merged").
 */
export function inboundPorts(sources: InboundSources): readonly InboundPort[] {
  return declaredPorts(sources).map((one) =>
    modeAt(sources.peers, one.port) === "STRICT" ? { ...one, mtls: "strict" } : one
  );
}

function declaredPorts(
  { workload, services, sidecar, poolOf, peers }: InboundSources,
): readonly InboundPort[] {
  const whole = sidecar?.inboundConnectionPool ?? null;
  const ports = servicePorts(workload, services, (service, port) => whole ?? poolOf(service, port));
  if (sidecar === null || sidecar.ingress.length === 0) return ports;
  return sidecar.ingress.flatMap((listener) => {
    const { number } = listener.port;
    // Istio: where a port may be called over the mesh, that is what its TLS is.
    const tls = modeAt(peers, number) === "DISABLE" ? listener.tls : null;
    const protocol = tls === null ? listener.port.protocol : decrypted(listener.port.protocol);
    const delivery = deliveryOf(listener.defaultEndpoint, workload);
    const own = listener.connectionPool;
    const said: Pick<InboundPort, "protocol" | "declared"> = protocol === null
      ? {}
      : inboundProtocol(protocol, number);
    const known = ports.filter(({ port }) => port === number);
    const fresh = { port: number, service: unservedOf(workload), ...pooled(whole, said.declared) };
    return (known.length > 0 ? known : [fresh]).map((one): InboundPort => {
      const merged = {
        ...one,
        ...said,
        ...delivery,
        ...(tls === null ? {} : { tls: terminatedTls(tls) }),
      };
      if (own === null) return merged;
      const { limits: _, connectTimeoutMs: __, followsClient: ___, ...rest } = merged;
      return { ...rest, ...pooled(own, rest.declared) };
    });
  }).sort(byPortAndHost);
}

/** The default of a timeout is that of the proxy. */
function pooled(
  pool: ConnectionPool | null,
  declared: InboundPort["declared"] = "auto",
): Pick<InboundPort, "limits" | "connectTimeoutMs" | "followsClient"> {
  if (pool === null) return {};
  const protocol = declared === "auto" ? "http" : declared;
  const limits = limitsOf(pool, null, null, { protocol });
  const { connectTimeout } = pool.tcp;
  return {
    ...(Object.keys(limits).length === 0 ? {} : { limits }),
    ...(connectTimeout === null ? {} : { connectTimeoutMs: connectTimeout }),
    ...(followsClient(pool, { protocol }) ? { followsClient: true } : {}),
  };
}

function servicePorts(
  workload: MeshWorkload,
  services: readonly MeshService[],
  poolOf: PoolOf,
): readonly InboundPort[] {
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
        ...pooled(poolOf(service, servicePort), servicePort.declared),
      });
    }
  }
  return [...inbound.values()].sort(byPortAndHost);
}

/** What is left of a protocol when its TLS ends here. */
function decrypted(protocol: PortProtocol | null): PortProtocol | null {
  return protocol === "HTTPS" ? "HTTP" : protocol === "TLS" ? "TCP" : protocol;
}

function inboundProtocol(
  protocol: string,
  port: number,
): Required<Pick<InboundPort, "protocol" | "declared">> {
  const { http, declared } = protocolsOf(protocol, port);
  return { protocol: http, declared };
}

function deliveryOf(
  endpoint: DefaultEndpoint | null,
  { address }: MeshWorkload,
): Pick<InboundPort, "deliverTo"> {
  if (endpoint === null) return {};
  // A socket in the file system has no port.
  if (endpoint.type === "unix") return { deliverTo: { hostname: `unix://${endpoint.path}`, port: 0 } };
  const { host, port } = endpoint;
  return { deliverTo: { hostname: host === "workload" ? address : host, port } };
}

/** What metrics call a port to which no service leads. */
function unservedOf({ name, namespace }: MeshWorkload): InboundPort["service"] {
  return { host: `${name}.${namespace}`, name, namespace };
}

function byPortAndHost(a: InboundPort, b: InboundPort): number {
  return a.port - b.port || compareTexts(a.service.host, b.service.host);
}
