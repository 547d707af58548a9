/**
 * IST0177: two resources that define one port of one host, or two Services that lead to one port of the same workloads,
 * and differ in what is spoken there. A workload's sidecar can speak only one of them to its port.
 */
import type { Labels } from "../../model/labels.ts";
import { CODES } from "../codes.ts";
import type { Finding } from "../finding.ts";
import { serviceHost } from "../host.ts";
import type { ConfigResource, ResourceSet } from "../resource.ts";
import { exportToOf, sharesViewers } from "../visibility.ts";
import { type Analyzer, type FieldPath, located, warning } from "./analyzer.ts";
import { knownWorkloads } from "./known_workloads.ts";

interface Port {
  readonly resource: ConfigResource<unknown>;
  /** Of the resource. */
  readonly exportTo: readonly string[];
  readonly path: FieldPath;
  readonly host: string;
  readonly number: number;
  /** Lower case; null is not said. */
  readonly protocol: string | null;
}

export const protocolConflict: Analyzer = function* (resources) {
  const earlier = new Map<string, Port[]>();
  for (const port of ports(resources)) {
    if (port.protocol === null) continue;
    const key = `${port.host}:${port.number}`;
    const others = earlier.get(key) ?? [];
    earlier.set(key, [...others, port]);
    const other = others.find((one) => one.protocol !== port.protocol && meet(one, port));
    if (other === undefined) continue;
    const message = `${
      located(other.resource)
    } says that ${key} speaks ${other.protocol}, not ${port.protocol}`;
    yield warning(CODES.protocolConflict, port.resource, port.path, message, "use one protocol for it");
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
      const path = ["spec", "ports", index];
      const port = { resource, exportTo: [], path, host: "", number: targetPort, protocol };
      const other = takeOnAll(taken, selected, port);
      if (other === undefined) continue;
      const message =
        `${located(other.resource)} says that port ${targetPort} of the same workloads speaks ` +
        `${other.protocol}, not ${protocol}`;
      yield warning(CODES.protocolConflict, resource, port.path, message, "use one protocol for it");
    }
  }
}

/** Whether some caller knows the port from both. */
function meet(a: Port, b: Port): boolean {
  return sharesViewers({ ...a, namespace: a.resource.namespace }, { ...b, namespace: b.resource.namespace });
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
    const exportTo = exportToOf(resource.annotations);
    for (const [index, { port, name, appProtocol }] of resource.spec.ports.entries()) {
      const protocol = protocolOf(name, appProtocol);
      const path = ["spec", "ports", index];
      yield { resource, exportTo, path, host, number: port, protocol };
    }
  }
  for (const resource of serviceEntries) {
    const { exportTo, hosts } = resource.spec;
    for (const host of hosts) {
      for (const [index, { number, protocol }] of resource.spec.ports.entries()) {
        const path = ["spec", "ports", index];
        yield { resource, exportTo, path, host, number, protocol: protocol.toLowerCase() };
      }
    }
  }
}
