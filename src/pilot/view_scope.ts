/**
 * The part of the mesh that a Sidecar leaves its workloads: what it names and besides, as in Istio, where the
 * VirtualServices in it lead.
 */
import type { ServiceScope } from "./service_catalogue.ts";
import type { SidecarScope } from "./sidecar_scopes.ts";
import type { MeshRule } from "./mesh_rule.ts";
import { isSeen, type RuleScope } from "./virtual_services.ts";

export class ViewScope implements ServiceScope, RuleScope {
  readonly #sidecar: SidecarScope;
  readonly #namespace: string;
  /** Host -> how many rules and settings of the mesh lead there. */
  readonly #reached: ReadonlyMap<string, number>;

  private constructor(sidecar: SidecarScope, namespace: string, reached: ReadonlyMap<string, number>) {
    this.#sidecar = sidecar;
    this.#namespace = namespace;
    this.#reached = reached;
  }

  /** `always` are hosts that every proxy of the mesh may have to call. */
  static of(
    sidecar: SidecarScope,
    namespace: string,
    rules: readonly MeshRule[],
    always: ReadonlySet<string>,
  ): ViewScope {
    const reached = new Map([...always].map((host) => [host, 1]));
    const scope = new ViewScope(sidecar, namespace, reached);
    scope.#count(reached, rules, 1);
    return scope;
  }

  /** Whether it is that Sidecar's. */
  isOf(sidecar: SidecarScope | null): boolean {
    return this.#sidecar === sidecar;
  }

  seesPort(host: string, namespace: string, port: number): boolean {
    return this.#reached.has(host) || this.#sidecar.seesPort(host, namespace, port);
  }

  seesRule(hosts: readonly string[], namespace: string): boolean {
    return this.#sidecar.seesRule(hosts, namespace);
  }

  /** The scope of the same Sidecar once these rules have come and gone; the same object where that changes nothing. */
  after(come: readonly MeshRule[], gone: readonly MeshRule[]): ViewScope {
    const reached = new Map(this.#reached);
    const counted = this.#count(reached, come, 1) + this.#count(reached, gone, -1);
    return counted === 0 ? this : new ViewScope(this.#sidecar, this.#namespace, reached);
  }

  /** Hosts to which rules lead here or there alone. */
  otherHosts(other: ViewScope): ReadonlySet<string> {
    if (other === this) return new Set();
    return new Set(this.#reached.keys()).symmetricDifference(new Set(other.#reached.keys()));
  }

  /** Returns how many of the rules count here. */
  #count(reached: Map<string, number>, rules: readonly MeshRule[], sign: 1 | -1): number {
    const seen = rules.filter((rule) => isSeen(rule, this.#namespace, this));
    for (const host of seen.flatMap(({ destinationHosts }) => destinationHosts)) {
      const count = (reached.get(host) ?? 0) + sign;
      if (count === 0) reached.delete(host);
      else reached.set(host, count);
    }
    return seen.length;
  }
}
