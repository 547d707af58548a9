/** The services that each namespace sees, found by host. */
import { hostMatches } from "../config/host.ts";
import type { MeshService, ServicePort } from "./services.ts";
import { isVisible } from "./visibility.ts";

/** A port of a service; services of one host and namespace add up their ports. */
export interface VisiblePort {
  readonly service: MeshService;
  readonly port: ServicePort;
}

export interface VisibleHost {
  readonly host: string;
  /** The services of one namespace that have this host; never empty. */
  readonly services: readonly MeshService[];
  /** Distinct in their numbers. */
  readonly ports: readonly VisiblePort[];
}

/** The part of the mesh that a Sidecar lets its workloads see; another object where it may be another part. */
export interface ServiceScope {
  seesPort(host: string, namespace: string, port: number): boolean;
}

export class ServiceCatalogue {
  readonly #services: readonly MeshService[];
  readonly #byNamespace: ReadonlyMap<string, readonly MeshService[]>;
  readonly #visible = new Map<string, ReadonlyMap<string, VisibleHost>>();
  /** A scope is one of a namespace's. It goes with its generation of rules, while services may stay. */
  readonly #inScope = new WeakMap<ServiceScope, ReadonlyMap<string, VisibleHost>>();

  constructor(services: readonly MeshService[]) {
    this.#services = services;
    this.#byNamespace = Map.groupBy(services, (service) => service.info.namespace);
  }

  /** The services that are written in a namespace. */
  ofNamespace(namespace: string): readonly MeshService[] {
    return this.#byNamespace.get(namespace) ?? [];
  }

  /**
   * What a namespace sees, by host, in order of namespace and name. Where several namespaces have the same host, the
   * client's own wins, then the first. A scope leaves out services, and ports of services.
   */
  visibleFrom(namespace: string, scope: ServiceScope | null = null): ReadonlyMap<string, VisibleHost> {
    const known = scope === null ? this.#visible.get(namespace) : this.#inScope.get(scope);
    if (known !== undefined) return known;
    const exported = this.#services.filter((service) =>
      isVisible(service.exportTo, service.info.namespace, namespace)
    );
    const seen = scope === null ? exported : exported.flatMap((service) => narrowed(service, scope));
    const hosts = new Map<string, VisibleHost>();
    for (const [host, candidates] of Map.groupBy(seen, (service) => service.info.host)) {
      hosts.set(host, visibleHost(host, candidates, namespace));
    }
    if (scope === null) this.#visible.set(namespace, hosts);
    else this.#inScope.set(scope, hosts);
    return hosts;
  }

  /** The most specific wildcard service that a namespace sees and that covers a host without a service of its own. */
  wildcardFor(host: string, namespace: string): VisibleHost | undefined {
    const covering = [...this.visibleFrom(namespace).values()]
      .filter((visible) => visible.host.startsWith("*") && hostMatches(visible.host, host));
    return covering.sort((a, b) => b.host.length - a.host.length)[0];
  }
}

/** A service with the ports that are seen; nothing when it has none. */
function narrowed(service: MeshService, scope: ServiceScope): readonly MeshService[] {
  const { host, namespace } = service.info;
  const ports = service.ports.filter(({ number }) => scope.seesPort(host, namespace, number));
  if (ports.length === service.ports.length) return [service];
  return ports.length === 0 ? [] : [{ ...service, ports }];
}

function visibleHost(host: string, candidates: readonly MeshService[], namespace: string): VisibleHost {
  const first = candidates[0] as MeshService;
  const own = candidates.some((service) => service.info.namespace === namespace);
  const winner = own ? namespace : first.info.namespace;
  const services = candidates.filter((service) => service.info.namespace === winner);
  const ports = new Map<number, VisiblePort>();
  for (const service of services) {
    for (const port of service.ports) if (!ports.has(port.number)) ports.set(port.number, { service, port });
  }
  return { host, services, ports: [...ports.values()] };
}
