/** The services of the mesh: Kubernetes' Services and Istio's ServiceEntries in one form. */
import { hasLabels, type Labels } from "../model/labels.ts";
import { serviceHost } from "../config/host.ts";
import type { ConfigResource, ResourceSet } from "../config/resource.ts";
import { isIp } from "../config/schema/scalars.ts";
import type { ServiceEntrySpec } from "../config/schema/service_entry.ts";
import type { ServiceSpec } from "../config/schema/service.ts";
import { declaresSidecar } from "../config/sidecar_label.ts";
import { PORTS, SERVER_FIRST_PORTS } from "../model/ports.ts";
import type { Resolution } from "../model/cluster.ts";
import type { ServiceInfo } from "../model/call_info.ts";
import type { HttpProtocol, PortProtocol } from "../model/port_protocol.ts";
import { type MeshWorkload, placeOf } from "./file_workloads.ts";
import { exportToOf } from "../config/visibility.ts";

export interface MeshService {
  /** Fully qualified and lower case; `*.example.com` for a wildcard of a ServiceEntry. */
  readonly info: ServiceInfo;
  readonly ports: readonly ServicePort[];
  /** Labels of the workloads of its namespace that stand behind it; null selects none. */
  readonly selector: Readonly<Record<string, string>> | null;
  /** Endpoints that are written in the ServiceEntry itself. */
  readonly inline: readonly MeshWorkload[];
  readonly exportTo: readonly string[];
  /** Other names by which clients of every namespace call it. */
  readonly aliases: readonly string[];
  /** Other names by which only clients of its own namespace call it. */
  readonly localAliases: readonly string[];
  /** IP addresses and networks that stand for the service: whoever calls them calls it. */
  readonly addresses: readonly string[];
  /** Resolution NONE: what was captured goes to where it was going. */
  readonly toOriginalDestination: boolean;
  /** MESH_EXTERNAL: a call without a port means port 80 there and nothing else. */
  readonly external: boolean;
  /** What becomes of endpoints that are DNS names; null: what proxies do with any. */
  readonly resolution: Resolution | null;
  /** Of the certificates of its endpoints, where a DestinationRule with TLS names none. */
  readonly subjectAltNames: readonly string[];
}

export interface ServicePort {
  readonly number: number;
  readonly name: string;
  /** `http` is routed by VirtualServices, also where the protocol is not known; `tls` is never routed by authority. */
  readonly protocol: "http" | "tcp" | "tls";
  /** What the files say; `auto` where they do not. */
  readonly declared: PortProtocol;
  /** What the workload speaks, where nobody translates before it. */
  readonly http: HttpProtocol;
  /** A number, or the name of a port of the workload. */
  readonly targetPort: number | string;
}

/**
 * Names of protocols in `appProtocol`, in the prefix of a port's name, and in a ServiceEntry. Anything else is not known,
 * and Istio finds out by looking at the bytes.
 */
const PROTOCOLS: Readonly<Record<string, ServicePort["protocol"]>> = {
  https: "tls",
  tls: "tls",
  tcp: "tcp",
  udp: "tcp",
  mongo: "tcp",
  mysql: "tcp",
  redis: "tcp",
  // Not Istio's. Its server waits for a client, but what the client says is no HTTP.
  postgres: "tcp",
  postgresql: "tcp",
  http: "http",
  http2: "http",
  h2c: "http",
  grpc: "http",
  "grpc-web": "http",
  "kubernetes.io/h2c": "http",
  "kubernetes.io/ws": "http",
  "kubernetes.io/wss": "tls",
};

/** Names of protocols that mean HTTP/2, as gRPC does. */
const HTTP2_PROTOCOLS = new Set(["http2", "h2c", "kubernetes.io/h2c", "grpc", "grpc-web"]);

/** All services; ServiceEntries after Services, so that of two with one host in one namespace the Service comes first. */
export function servicesOf(resources: ResourceSet): readonly MeshService[] {
  return [
    ...resources.services.flatMap((resource) => remembered(resource, (made) => [fromService(made)])),
    ...resources.serviceEntries.flatMap((resource) => remembered(resource, fromServiceEntry)),
  ];
}

/** Of resources that serve on: the next generation has the same objects. */
const meshServices = new WeakMap<object, readonly MeshService[]>();

function remembered<Made extends object>(
  resource: Made,
  make: (resource: Made) => readonly MeshService[],
): readonly MeshService[] {
  let services = meshServices.get(resource);
  if (services === undefined) {
    services = make(resource);
    meshServices.set(resource, services);
  }
  return services;
}

/**
 * The port of the workload that a service port leads to: the workload's port of that name, else the target port, else
 * the same number (WorkloadEntry.ports).
 */
export function targetPortOf(port: ServicePort, workload: Pick<MeshWorkload, "ports">): number {
  const named = ownPort(workload, port.name);
  if (named !== undefined) return named;
  if (typeof port.targetPort === "number") return port.targetPort;
  return ownPort(workload, port.targetPort) ?? port.number;
}

/** Whether labels have everything that a selector asks for; an empty selector selects nothing. */
export function selects(selector: Labels | null, labels: Labels): boolean {
  if (selector === null) return false;
  const wanted = Object.entries(selector);
  return wanted.length > 0 && hasLabels(labels, selector);
}

/**
 * The port that a call without one means: 80, else the first one. A call that reaches the proxy by name carries no
 * other trace of the port that its caller had in mind.
 */
export function defaultPortOf(service: MeshService): number | null {
  const routed = service.ports.filter((port) => port.protocol !== "tls");
  if (routed.some((port) => port.number === 80)) return 80;
  if (service.external) return null;
  return (routed.find((port) => port.protocol === "http") ?? routed[0])?.number ?? null;
}

function fromService(resource: ConfigResource<ServiceSpec>): MeshService {
  const { name, namespace, spec } = resource;
  // Kubernetes also writes "None" here.
  const written = spec.clusterIP === null ? spec.clusterIPs : [spec.clusterIP, ...spec.clusterIPs];
  const clusterIps = [...new Set(written.filter(isIp))];
  return {
    info: { host: serviceHost(name, namespace), name, namespace },
    ports: spec.ports.map((port) => ({
      number: port.port,
      name: port.name,
      ...protocolsOf(port.appProtocol ?? protocolInName(port.name), port.port),
      targetPort: port.targetPort,
    })),
    selector: spec.selector,
    inline: [],
    exportTo: exportToOf(resource.annotations),
    aliases: [
      `${name}.${namespace}.svc`,
      `${name}.${namespace}`,
      ...clusterIps.map(inAuthority),
    ],
    localAliases: [name],
    addresses: clusterIps,
    toOriginalDestination: false,
    external: false,
    resolution: null,
    subjectAltNames: [],
  };
}

function fromServiceEntry(resource: ConfigResource<ServiceEntrySpec>): MeshService[] {
  const { namespace, spec } = resource;
  const addresses = spec.addresses.filter((address) => !address.includes("/")).map(inAuthority);
  return spec.hosts.map((host) => ({
    info: { host, name: host, namespace },
    ports: spec.ports.map((port) => ({
      number: port.number,
      name: port.name,
      ...protocolsOf(port.protocol, port.number),
      targetPort: port.targetPort,
    })),
    selector: spec.workloadSelector === null ? null : spec.workloadSelector.labels,
    inline: inlineEndpoints(resource, host),
    exportTo: spec.exportTo,
    aliases: addresses,
    localAliases: [],
    addresses: spec.addresses,
    toOriginalDestination: spec.resolution === "NONE" && spec.workloadSelector === null,
    external: spec.location === "MESH_EXTERNAL",
    resolution: resolutionOf(spec, host),
    subjectAltNames: spec.subjectAltNames,
  }));
}

/**
 * With resolution NONE the address counts that was dialled. Where the proxy is called by name there is none, so the host
 * itself is the endpoint, and what DNS says about it whenever somebody connects. A wildcard means the host that the
 * request names.
 */
function resolutionOf({ resolution }: ServiceEntrySpec, host: string): Resolution | null {
  const dynamic = resolution === "NONE" || resolution === "DYNAMIC_DNS";
  if (dynamic && host.startsWith("*")) return "AUTHORITY";
  if (resolution === "NONE") return "ON_DEMAND";
  return resolution === "DNS_ROUND_ROBIN" ? "LOGICAL_DNS" : null;
}

/** Where nobody wrote endpoints, the host itself is the one. */
function inlineEndpoints(resource: ConfigResource<ServiceEntrySpec>, host: string): MeshWorkload[] {
  const { namespace, spec } = resource;
  const { endpoints, resolution, workloadSelector } = spec;
  if (endpoints.length === 0) {
    return workloadSelector === null && resolution !== "STATIC" ? [outsider(namespace, host)] : [];
  }
  return endpoints.map((endpoint) => ({
    namespace,
    name: endpoint.address,
    address: endpoint.address,
    labels: endpoint.labels,
    serviceAccount: endpoint.serviceAccount ?? "",
    ports: endpoint.ports,
    weight: endpoint.weight,
    ...placeOf(endpoint),
    // The location says nothing about it: whoever is declared to have a sidecar is never called in plain text.
    hasSidecar: declaresSidecar(endpoint.labels, endpoint.serviceAccount),
    meshPort: PORTS.mesh,
  }));
}

function outsider(namespace: string, host: string): MeshWorkload {
  return {
    namespace,
    name: host,
    address: host,
    labels: {},
    serviceAccount: "",
    ports: {},
    weight: 1,
    hasSidecar: false,
    meshPort: PORTS.mesh,
  };
}

/** The part of a port's name that says a protocol. Of the names, one has a "-" of its own. */
function protocolInName(name: string): string {
  return /^grpc-web(-|$)/.test(name) ? "grpc-web" : name.split("-")[0] as string;
}

/** What a protocol's name, or what stands before the dash in a port's name, says of the port. */
export function protocolsOf(name: string, port: number): Pick<ServicePort, "protocol" | "declared" | "http"> {
  const known = name.toLowerCase();
  const said = Object.hasOwn(PROTOCOLS, known) ? PROTOCOLS[known] as ServicePort["protocol"] : null;
  return {
    protocol: said ?? "http",
    declared: said ?? (SERVER_FIRST_PORTS.has(port) ? "tcp" : "auto"),
    http: HTTP2_PROTOCOLS.has(known) ? "http2" : "http1",
  };
}

function ownPort(workload: Pick<MeshWorkload, "ports">, name: string): number | undefined {
  return Object.hasOwn(workload.ports, name) ? workload.ports[name] : undefined;
}

/** RFC 3986 §3.2.2: an IPv6 address stands in brackets. */
function inAuthority(address: string): string {
  return address.includes(":") ? `[${address.toLowerCase()}]` : address;
}
