/** The authorities of virtual hosts: unique in a snapshot, so that exactly one answers to each name. */
import { hostMatches } from "../config/host.ts";
import { sameElements } from "../lib/same_elements.ts";
import { defaultPortOf, type MeshService } from "./services.ts";
import type { ServiceCatalogue, ServiceScope, VisibleHost, VisibleHosts } from "./service_catalogue.ts";

/**
 * Hands out the names of one namespace's view: a service's full host goes before another's short name for itself, and
 * of several services with one short name the first has it.
 */
export class DomainClaims {
  readonly #services: ServiceCatalogue;
  readonly #namespace: string;
  readonly visible: VisibleHosts;

  constructor(services: ServiceCatalogue, clientNamespace: string, scope: ServiceScope | null) {
    this.#services = services;
    this.#namespace = clientNamespace;
    this.visible = services.visibleFrom(clientNamespace, scope);
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
    const aliases = services.flatMap((service) =>
      this.#isLocal(service) ? [...service.localAliases, ...service.aliases] : service.aliases
    );
    return [...new Set([host, ...aliases])].filter((name) => this.ownerOf(name) === host);
  }

  /** Whether a name leads to some service. */
  has(name: string): boolean {
    return this.ownerOf(name) !== undefined;
  }

  /** The host to which a name leads. */
  ownerOf(name: string): string | undefined {
    if (this.visible.has(name)) return name;
    return this.#services.called(name).find((service) => this.#claims(service, name))?.info.host;
  }

  /** Whether a service that has an alias has it here. */
  #claims({ info, aliases }: MeshService, alias: string): boolean {
    const isSeen = this.visible.get(info.host)?.services.some((one) => one.info === info) === true;
    return isSeen && (this.#isLocal({ info }) || aliases.includes(alias));
  }

  #isLocal({ info }: Pick<MeshService, "info">): boolean {
    return info.namespace === this.#namespace;
  }
}

/**
 * Of the `changed` hosts those that were seen otherwise before, or not at all, and besides whoever lost a name to one of
 * them or got one from it.
 */
export function movedHosts(
  now: DomainClaims,
  before: DomainClaims,
  changed: ReadonlySet<string>,
): ReadonlySet<string> {
  const moved = new Set<string>();
  if (now.visible === before.visible) return moved;
  for (const host of changed) {
    const services = [now, before].map(({ visible }) => visible.get(host)?.services ?? []);
    if (sameElements(services[0] as readonly MeshService[], services[1] as readonly MeshService[])) continue;
    moved.add(host);
    const names = services.flat().flatMap(({ aliases, localAliases }) => [...aliases, ...localAliases]);
    for (const name of [host, ...names]) {
      const owners = [now.ownerOf(name), before.ownerOf(name)];
      if (owners[0] === owners[1]) continue;
      for (const owner of owners) if (owner !== undefined) moved.add(owner);
    }
  }
  return moved;
}

/** The hosts that a set of hosts and wildcards names. */
export function matching(patterns: ReadonlySet<string>, visible: VisibleHosts): ReadonlySet<string> {
  const found = new Set<string>();
  for (const pattern of patterns) {
    if (visible.has(pattern)) found.add(pattern);
    if (!pattern.startsWith("*")) continue;
    for (const host of visible.keys()) if (hostMatches(pattern, host)) found.add(host);
  }
  return found;
}

/** Of several services with one host: 80 if any has it, else the default of the first that has one. */
function defaultOfHost(services: readonly MeshService[]): number | null {
  const defaults = services.map(defaultPortOf);
  return defaults.includes(80) ? 80 : defaults.find((port) => port !== null) ?? null;
}
