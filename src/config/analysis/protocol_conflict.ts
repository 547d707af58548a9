/**
 * IST0177: two resources that define one port of one host, or two Services that lead to one port of the same workloads,
 * and differ in what is spoken there. A workload's sidecar can speak only one of them to its port.
 */
import { CODES } from "../codes.ts";
import type { Finding } from "../finding.ts";
import { serviceHost } from "../host.ts";
import type { ConfigResource, ResourceSet } from "../resource.ts";
import { type Analyzer, type FieldPath, located, warning } from "./analyzer.ts";
import { knownWorkloads, type Labels } from "./known_workloads.ts";

interface Port {
  readonly resource: ConfigResource<unknown>;
  readonly path: FieldPath;
  readonly host: string;
  readonly number: number;
  /** Lower case; null is not said. */
  readonly protocol: string | null;
}

export const protocolConflict: Analyzer = function* (resources) {
  const first = new Map<string, Port>();
  for (const port of ports(resources)) {
    if (port.protocol === null) continue;
    const key = `${port.host}:${port.number}`;
    const other = first.get(key);
    if (other === undefined) {
      first.set(key, port);
    } else if (other.protocol !== port.protocol) {
      const message = `${
        located(other.resource)
      } says that ${key} speaks ${other.protocol}, not ${port.protocol}`;
      yield warning(CODES.protocolConflict, port.resource, port.path, message, "use one protocol for it");
    }
  }
  yield* targetConflicts(resources);
};

/** Ports of workloads to which Services lead that differ. Only numbers are compared: a name may be any port. */
function* targetConflicts(resources: ResourceSet): Generator<Finding> {
  const workloads = knownWorkloads(resources);
  const taken = new Map<Labels, Map<number, Port>>();
  for (const resource of resources.services) {
    const { namespace, spec: { ports, selector } } = resource;
    if (Object.keys(selector).length === 0) continue;
    const selected = workloads.selected(namespace, selector);
    for (const [index, { name, appProtocol, targetPort }] of ports.entries()) {
      const protocol = protocolOf(name, appProtocol);
      if (protocol === null || typeof targetPort !== "number") continue;
      const port = { resource, path: ["spec", "ports", index], host: "", number: targetPort, protocol };
      const other = takeOnAll(taken, selected, port);
      if (other === undefined) continue;
      const message =
        `${located(other.resource)} says that port ${targetPort} of the same workloads speaks ` +
        `${other.protocol}, not ${protocol}`;
      yield warning(CODES.protocolConflict, resource, port.path, message, "use one protocol for it");
    }
  }
}

/** The first port of another Service that had it on one of the workloads and says otherwise. */
function takeOnAll(
  taken: Map<Labels, Map<number, Port>>,
  workloads: readonly Labels[],
  port: Port,
): Port | undefined {
  let conflict: Port | undefined;
  for (const workload of workloads) {
    let ports = taken.get(workload);
    if (ports === undefined) taken.set(workload, ports = new Map());
    const other = ports.get(port.number);
    if (other === undefined) ports.set(port.number, port);
    else if (other.protocol !== port.protocol) conflict ??= other;
  }
  return conflict;
}

/** Lower case; null: it is not said. */
function protocolOf(name: string, appProtocol: string | null): string | null {
  return (appProtocol ?? (name === "" ? null : name.split("-")[0] ?? null))?.toLowerCase() ?? null;
}

function* ports({ services, serviceEntries }: ResourceSet): Generator<Port> {
  for (const resource of services) {
    const host = serviceHost(resource.name, resource.namespace);
    for (const [index, { port, name, appProtocol }] of resource.spec.ports.entries()) {
      const protocol = protocolOf(name, appProtocol);
      yield { resource, path: ["spec", "ports", index], host, number: port, protocol };
    }
  }
  for (const resource of serviceEntries) {
    for (const host of resource.spec.hosts) {
      for (const [index, { number, protocol }] of resource.spec.ports.entries()) {
        yield { resource, path: ["spec", "ports", index], host, number, protocol: protocol.toLowerCase() };
      }
    }
  }
}
