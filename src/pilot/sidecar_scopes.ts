/** What a Sidecar lets its workloads see of the mesh, and how it delivers to them. */
import { hasLabels, type Labels } from "../model/labels.ts";
import { hostMatches, resolveHost } from "../config/host.ts";
import type { ConfigResource } from "../config/resource.ts";
import type { EgressHost } from "../config/schema/scoped_host.ts";
import type { SidecarSpec } from "../config/schema/sidecar.ts";

type SidecarResource = ConfigResource<SidecarSpec>;

/** One kind of caller's part of the mesh; the same object for all whom one Sidecar selects. */
export interface SidecarScope {
  /** Tells scopes apart. */
  readonly key: string;
  readonly resource: SidecarResource;
  /** Whether a service's port is seen. */
  seesPort(host: string, namespace: string, port: number): boolean;
  /** Whether a VirtualService is, by one of its full hosts. */
  seesRule(hosts: readonly string[], namespace: string): boolean;
}

export class SidecarScopes {
  readonly #byNamespace: ReadonlyMap<string, readonly SidecarResource[]>;
  readonly #rootNamespace: string;
  readonly #scopes = new Map<string, SidecarScope>();

  /** `previous` are those of the generation before: scopes of Sidecars that are still there stay the same objects. */
  constructor(
    sidecars: readonly SidecarResource[],
    rootNamespace: string,
    previous: SidecarScopes | null = null,
  ) {
    this.#rootNamespace = rootNamespace;
    this.#byNamespace = Map.groupBy(sidecars, ({ namespace }) => namespace);
    const alive = new Set(sidecars);
    for (const [key, scope] of previous === null ? [] : previous.#scopes) {
      if (alive.has(scope.resource)) this.#scopes.set(key, scope);
    }
  }

  /**
   * The Sidecar of a workload: one that selects it by its labels, else that of its namespace, else that of the root
   * namespace; of several the first by name. Null: it sees everything.
   */
  scopeFor(
    { namespace, labels }: { readonly namespace: string; readonly labels: Labels },
  ): SidecarScope | null {
    const own = this.#byNamespace.get(namespace) ?? [];
    const chosen = own.find(({ spec }) => selectsByLabels(spec) && hasLabels(labels, labelsOf(spec))) ??
      own.find(({ spec }) => !selectsByLabels(spec)) ??
      this.#byNamespace.get(this.#rootNamespace)?.find(({ spec }) => !selectsByLabels(spec));
    if (chosen === undefined) return null;
    const key = `${chosen.namespace}/${chosen.name} ${namespace}`;
    const known = this.#scopes.get(key) ?? scopeOf(key, chosen, namespace);
    this.#scopes.set(key, known);
    return known;
  }
}

/** `namespace` is the workload's, which `.` means. */
function scopeOf(key: string, resource: SidecarResource, namespace: string): SidecarScope {
  const { egress } = resource.spec;
  const ports = new Map(
    egress.map((listener) => [listener.port?.number ?? null, hostsOf(listener.hosts, namespace)]),
  );
  // At a socket all ports are asked for, as in Istio.
  const atSockets = hostsOf(egress.flatMap(({ port, hosts }) => port?.number === 0 ? hosts : []), namespace);
  const all = hostsOf(egress.flatMap(({ hosts }) => hosts), namespace);
  return {
    key,
    resource,
    seesPort: (host, from, port) => {
      if (egress.length === 0) return true;
      // A listener of the port takes all of it; the one without a port takes the other ports.
      return sees(ports.get(port) ?? ports.get(null) ?? [], host, from) || sees(atSockets, host, from);
    },
    seesRule: (hosts, from) => egress.length === 0 || hosts.some((host) => sees(all, host, from, overlaps)),
  };
}

/** An `egress.hosts` with its names in full. */
interface NamedHosts {
  /** `*` for every one. */
  readonly namespace: string;
  readonly host: string;
  readonly excluded: boolean;
}

function hostsOf(hosts: readonly EgressHost[], own: string): readonly NamedHosts[] {
  return hosts.map(({ namespace, host, excluded }) => ({
    namespace: namespace === "." ? own : namespace,
    host: resolveHost(host, own),
    excluded,
  }));
}

function sees(
  hosts: readonly NamedHosts[],
  host: string,
  from: string,
  names: (named: string, host: string) => boolean = hostMatches,
): boolean {
  const isFrom = ({ namespace }: NamedHosts) => namespace === "*" || namespace === from;
  return hosts.some((one) => !one.excluded && isFrom(one) && names(one.host, host)) &&
    !hosts.some((one) => one.excluded && isFrom(one) && hostMatches(one.host, host));
}

/** A rule for a wildcard is also for the one host under it that is named. */
function overlaps(named: string, host: string): boolean {
  return hostMatches(named, host) || hostMatches(host, named);
}

/** An empty selector selects the whole namespace, as none does. */
function selectsByLabels(spec: SidecarSpec): boolean {
  return Object.keys(labelsOf(spec)).length > 0;
}

function labelsOf(spec: SidecarSpec): Labels {
  return spec.workloadSelector?.labels ?? {};
}
