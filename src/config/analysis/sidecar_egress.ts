/** IST0101 and BOW0067: hosts that a Sidecar lets its workloads see and nothing defines, and ports that none of them has. */
import { CODES } from "../codes.ts";
import { nearest } from "../../lib/edit_distance.ts";
import { hostMatches, resolveHost, serviceHost } from "../host.ts";
import type { ResourceSet } from "../resource.ts";
import type { EgressHost } from "../schema/scoped_host.ts";
import { type Analyzer, warning } from "./analyzer.ts";

/** A host as a Sidecar may let it be seen. */
export interface SeenHost {
  readonly namespace: string;
  readonly host: string;
  readonly ports: readonly number[];
}

export const sidecarEgress: Analyzer = function* (resources, registry) {
  const all = [...definedHosts(resources)];
  const namespaces = new Set(all.map(({ namespace }) => namespace));
  for (const resource of resources.sidecars) {
    const { namespace } = resource;
    for (const [index, { hosts, port }] of resource.spec.egress.entries()) {
      const path = ["spec", "egress", index];
      const found = hosts.map((host) => all.filter((one) => covers(host, one, namespace)));
      for (const [place, { excluded, host, namespace: from }] of hosts.entries()) {
        if (excluded || (found[place] as SeenHost[]).length > 0) continue;
        if (host === "*") {
          // Of a whole namespace there may be nothing yet, unless its name looks like another one's.
          const meant = nearest(from, namespaces);
          if (meant === undefined) continue;
          const message =
            `no Service or ServiceEntry is in the namespace ${from}, so that this shows nothing`;
          const hint = `did you mean "${meant}/*"?`;
          yield warning(CODES.referenceNotFound, resource, [...path, "hosts", place], message, hint);
          continue;
        }
        yield warning(
          CODES.referenceNotFound,
          resource,
          [...path, "hosts", place],
          `no Service or ServiceEntry of that namespace defines the host ${host}, so that this shows nothing`,
          registry.suggestion(host, namespace),
        );
      }
      const ports = new Set(found.flat().flatMap((one) => one.ports));
      // A socket has none.
      if (port === null || port.number === 0 || ports.size === 0 || ports.has(port.number)) continue;
      const message = `none of the hosts has the port ${port.number}, so that this shows nothing`;
      const hint = "write the port of a service, or leave port out to mean all";
      yield warning(CODES.egressPortUnknown, resource, [...path, "port", "number"], message, hint);
    }
  }
};

/** What the hosts of an egress listener let a workload of `own` see. */
export function seenBy(
  hosts: readonly EgressHost[],
  all: readonly SeenHost[],
  own: string,
): readonly SeenHost[] {
  const some = (excluded: boolean, one: SeenHost) =>
    hosts.some((host) => host.excluded === excluded && covers(host, one, own));
  return all.filter((one) => some(false, one) && !some(true, one));
}

function covers({ host, namespace }: EgressHost, one: SeenHost, own: string): boolean {
  const from = namespace === "." ? own : namespace;
  return (from === "*" || from === one.namespace) && hostMatches(resolveHost(host, own), one.host);
}

/** All hosts that something defines. */
export function* definedHosts({ services, serviceEntries }: ResourceSet): Generator<SeenHost> {
  for (const { name, namespace, spec } of services) {
    yield { namespace, host: serviceHost(name, namespace), ports: spec.ports.map(({ port }) => port) };
  }
  for (const { namespace, spec } of serviceEntries) {
    for (const host of spec.hosts) yield { namespace, host, ports: spec.ports.map(({ number }) => number) };
  }
}
