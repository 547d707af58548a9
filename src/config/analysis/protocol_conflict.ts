/** IST0177: two resources that define one port of one host, and differ in what is spoken there. */
import { CODES } from "../codes.ts";
import { serviceHost } from "../host.ts";
import type { ConfigResource, ResourceSet } from "../resource.ts";
import { type Analyzer, type FieldPath, located, warning } from "./analyzer.ts";

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
};

function* ports({ services, serviceEntries }: ResourceSet): Generator<Port> {
  for (const resource of services) {
    const host = serviceHost(resource.name, resource.namespace);
    for (const [index, { port, name, appProtocol }] of resource.spec.ports.entries()) {
      const protocol = appProtocol ?? (name === "" ? null : name.split("-")[0] ?? null);
      const path = ["spec", "ports", index];
      yield { resource, path, host, number: port, protocol: protocol?.toLowerCase() ?? null };
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
