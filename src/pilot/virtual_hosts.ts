/** The authorities of virtual hosts: unique in a snapshot, so that exactly one answers to each name. */
import { defaultPortOf, type MeshService } from "./services.ts";
import type { VisibleHost } from "./service_catalogue.ts";

/** Hands out the names of one namespace's view: a service's full host goes before another's short name for itself. */
export class DomainClaims {
  readonly #clientNamespace: string;
  /** Name without port -> host that has it. */
  readonly #owners = new Map<string, string>();

  constructor(hosts: Iterable<VisibleHost>, clientNamespace: string) {
    this.#clientNamespace = clientNamespace;
    const all = [...hosts];
    for (const { host } of all) this.#owners.set(host, host);
    for (const { host, services } of all) {
      for (const service of services) {
        for (const name of this.#aliasesOf(service)) {
          if (!this.#owners.has(name)) this.#owners.set(name, host);
        }
      }
    }
  }

  /** Every authority that leads to a port of a host: each name with the port, and alone if the port is the default. */
  domainsOf(visible: VisibleHost, port: number): readonly string[] {
    const standsAlone = defaultOfHost(visible.services) === port;
    return this.namesOf(visible).flatMap((name) =>
      standsAlone ? [name, `${name}:${port}`] : [`${name}:${port}`]
    );
  }

  /** Every name that leads to a host. */
  namesOf({ host, services }: VisibleHost): readonly string[] {
    const aliases = services.flatMap((service) => this.#aliasesOf(service));
    return [...new Set([host, ...aliases])].filter((name) => this.#owners.get(name) === host);
  }

  /** Whether a name leads to some service. */
  has(name: string): boolean {
    return this.#owners.has(name);
  }

  #aliasesOf(service: MeshService): readonly string[] {
    const local = service.info.namespace === this.#clientNamespace;
    return local ? [...service.localAliases, ...service.aliases] : service.aliases;
  }
}

/** Of several services with one host: 80 if any has it, else the default of the first that has one. */
function defaultOfHost(services: readonly MeshService[]): number | null {
  const defaults = services.map(defaultPortOf);
  return defaults.includes(80) ? 80 : defaults.find((port) => port !== null) ?? null;
}
