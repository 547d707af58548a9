/** The services that each namespace sees, found by host. */
import { appendTo } from "../lib/append_to.ts";
import { hostMatches } from "../config/host.ts";
import { sameElements } from "../lib/same_elements.ts";
import type { MeshService, ServicePort } from "./services.ts";
import { differing } from "./stable_resources.ts";
import { isVisible } from "../config/visibility.ts";

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

export type VisibleHosts = ReadonlyMap<string, VisibleHost>;

/** The part of the mesh that a Sidecar lets its workloads see, as long as services and rules are the same. */
export interface ServiceScope {
  seesPort(host: string, namespace: string, port: number): boolean;
}

export class ServiceCatalogue {
  readonly #services: readonly MeshService[];
  readonly #byNamespace: ReadonlyMap<string, readonly MeshService[]>;
  readonly #byHost: ReadonlyMap<string, readonly MeshService[]>;
  /** By each name that is not its host, in order. */
  readonly #byAlias: ReadonlyMap<string, readonly MeshService[]>;
  readonly #visible = new Map<string, VisibleHosts>();
  /** A scope is one of a namespace's, and may go while services stay. */
  readonly #inScope = new WeakMap<ServiceScope, VisibleHosts>();

  /** `previous` are those of the generation before: what each namespace sees is followed. */
  constructor(services: readonly MeshService[], previous: ServiceCatalogue | null) {
    this.#services = services;
    this.#byNamespace = Map.groupBy(services, (service) => service.info.namespace);
    this.#byHost = Map.groupBy(services, (service) => service.info.host);
    this.#byAlias = byAlias(services);
    if (previous === null) return;
    const changed = this.changedHosts(previous);
    for (const [namespace, hosts] of previous.#visible) {
      this.#visible.set(namespace, this.#follow(hosts, namespace, changed, null));
    }
  }

  get all(): readonly MeshService[] {
    return this.#services;
  }

  /** The services that are written in a namespace. */
  ofNamespace(namespace: string): readonly MeshService[] {
    return this.#byNamespace.get(namespace) ?? [];
  }

  /** The services that are called by a name besides their host, seen or not. */
  called(alias: string): readonly MeshService[] {
    return this.#byAlias.get(alias) ?? [];
  }

  /** Hosts of services that are here or there alone. */
  changedHosts(other: ServiceCatalogue): ReadonlySet<string> {
    if (other === this) return new Set();
    return new Set(differing(this.#services, other.#services).map(({ info }) => info.host));
  }

  /**
   * What a namespace sees, by host. Where several namespaces have the same host, the client's own wins, then the first.
   * A scope leaves out services, and ports of services. The same object as in the generation before where nothing of it
   * changed.
   */
  visibleFrom(namespace: string, scope: ServiceScope | null = null): VisibleHosts {
    const known = scope === null ? this.#visible.get(namespace) : this.#inScope.get(scope);
    if (known !== undefined) return known;
    const hosts = new Map<string, VisibleHost>();
    for (const [host, services] of this.#byHost) {
      const visible = visibleHost(host, services, namespace, scope);
      if (visible !== null) hosts.set(host, visible);
    }
    if (scope === null) this.#visible.set(namespace, hosts);
    else this.#inScope.set(scope, hosts);
    return hosts;
  }

  /**
   * What a namespace sees in a scope, where `before` is what it saw in another generation, or in another scope, and
   * `changed` are the hosts that may be others since. The same object as `before` where nothing of it changed.
   */
  visibleAfter(
    before: VisibleHosts,
    changed: ReadonlySet<string>,
    namespace: string,
    scope: ServiceScope,
  ): VisibleHosts {
    const hosts = this.#follow(before, namespace, changed, scope);
    this.#inScope.set(scope, hosts);
    return hosts;
  }

  /** Whether a namespace sees another service of some host, or other ports of it, than in that generation. */
  seesOthers(previous: ServiceCatalogue, namespace: string): boolean {
    return this.visibleFrom(namespace) !== previous.visibleFrom(namespace);
  }

  /** The most specific wildcard service that a namespace sees and that covers a host without a service of its own. */
  wildcardFor(host: string, namespace: string): VisibleHost | undefined {
    const covering = [...this.visibleFrom(namespace).values()]
      .filter((visible) => visible.host.startsWith("*") && hostMatches(visible.host, host));
    return covering.sort((a, b) => b.host.length - a.host.length)[0];
  }

  #follow(
    before: VisibleHosts,
    namespace: string,
    changed: ReadonlySet<string>,
    scope: ServiceScope | null,
  ): VisibleHosts {
    let hosts: Map<string, VisibleHost> | null = null;
    for (const host of changed) {
      const old = before.get(host);
      const visible = visibleHost(host, this.#byHost.get(host) ?? [], namespace, scope);
      if (sameElements(old?.services ?? [], visible?.services ?? [])) continue;
      hosts ??= new Map(before);
      if (visible === null) hosts.delete(host);
      else hosts.set(host, visible);
    }
    return hosts ?? before;
  }
}

function byAlias(services: readonly MeshService[]): ReadonlyMap<string, readonly MeshService[]> {
  const found = new Map<string, MeshService[]>();
  for (const service of services) {
    for (const alias of [...service.localAliases, ...service.aliases]) {
      appendTo(found, alias, service);
    }
  }
  return found;
}

/** Services with some of their ports, by the numbers of these. */
const narrowedServices = new WeakMap<MeshService, Map<string, MeshService>>();

/** A service with the ports that are seen, the same object for the same ports; nothing when it has none. */
function narrowed(service: MeshService, scope: ServiceScope): readonly MeshService[] {
  const { host, namespace } = service.info;
  const ports = service.ports.filter(({ number }) => scope.seesPort(host, namespace, number));
  if (ports.length === service.ports.length) return [service];
  if (ports.length === 0) return [];
  const known = narrowedServices.get(service) ?? new Map<string, MeshService>();
  narrowedServices.set(service, known);
  const key = ports.map(({ number }) => number).join(" ");
  const same = known.get(key) ?? { ...service, ports };
  known.set(key, same);
  return [same];
}

/** What a namespace sees of the services that have one host; null: none of them. */
function visibleHost(
  host: string,
  all: readonly MeshService[],
  namespace: string,
  scope: ServiceScope | null,
): VisibleHost | null {
  const exported = all.filter(({ exportTo, info }) => isVisible(exportTo, info.namespace, namespace));
  const candidates = scope === null ? exported : exported.flatMap((service) => narrowed(service, scope));
  const [first] = candidates;
  if (first === undefined) return null;
  const own = candidates.some((service) => service.info.namespace === namespace);
  const winner = own ? namespace : first.info.namespace;
  const services = candidates.filter((service) => service.info.namespace === winner);
  const ports = new Map<number, VisiblePort>();
  for (const service of services) {
    for (const port of service.ports) if (!ports.has(port.number)) ports.set(port.number, { service, port });
  }
  return { host, services, ports: [...ports.values()] };
}
