/** The endpoints behind each cluster: found by label through an index, and kept from world to world where unchanged. */
import { appendTo } from "../lib/append_to.ts";
import { compareTexts } from "../lib/compare_texts.ts";
import { isInSubset } from "../config/topology_labels.ts";
import { contentHash } from "../lib/hash.ts";
import { labelKey, type Labels } from "../model/labels.ts";
import type { EndpointSet } from "../model/cluster.ts";
import type { VersionedResource } from "../model/snapshot.ts";
import { workloadKey } from "../model/workload.ts";
import { endpointOf, type EndpointRules, type EndpointScope } from "./endpoint_of.ts";
import type { MeshWorkload } from "./file_workloads.ts";
import { type MeshService, selects } from "./services.ts";

/** A cluster, as far as its members depend on it. */
export interface Membership extends EndpointScope {
  readonly cluster: string;
  readonly service: MeshService;
  /** Labels of the subset; empty takes all. */
  readonly labels: Labels;
}

/** Equal memberships of one service are one object, from generation to generation. */
const memberships = new WeakMap<MeshService, Map<string, Membership>>();

export function membershipOf(membership: Membership): Membership {
  const { cluster, service, port, labels, reach, labelKeys } = membership;
  const known = memberships.get(service) ?? new Map<string, Membership>();
  memberships.set(service, known);
  const index = service.ports.indexOf(port);
  const key = [cluster, index, reach, ...labelKeys, "", ...Object.entries(labels).flat()].join("\n");
  const same = known.get(key) ?? membership;
  known.set(key, same);
  return same;
}

/** So few clusters are not worth the look. */
const CLUSTERS_KEPT_MIN = 1_000;

interface Built {
  /** Null: some of them are reached in another way since. */
  readonly members: readonly MeshWorkload[] | null;
  readonly resource: VersionedResource;
  /** Nothing has changed that could make the members others. */
  readonly isCurrent: boolean;
}

export class EndpointIndex {
  readonly #rules: EndpointRules;
  readonly #workloads: readonly MeshWorkload[];
  /** Workloads by namespace and label, in the order of all workloads. */
  readonly #byLabel: Map<string, readonly MeshWorkload[]>;
  readonly #members: Map<MeshService, readonly MeshWorkload[]>;
  readonly #built: Map<Membership, Built>;
  readonly #touched = new Set<MeshService>();
  /** Clusters that keepOnly() left. */
  #kept: number;

  /**
   * `previous` is the index before; what it has and still holds is taken over. `isReachedOtherwise` tells the workloads of
   * which the rules say something else than its rules did; null: none.
   */
  constructor(
    workloads: readonly MeshWorkload[],
    rules: EndpointRules,
    previous: EndpointIndex | null,
    isReachedOtherwise: ((workload: MeshWorkload) => boolean) | null,
  ) {
    this.#rules = rules;
    this.#workloads = workloads;
    this.#kept = previous === null ? 0 : previous.#kept;
    if (previous !== null && previous.#workloads === workloads && isReachedOtherwise === null) {
      // What either works out from the same workloads and rules is true for both.
      this.#byLabel = previous.#byLabel;
      this.#members = previous.#members;
      this.#built = previous.#built;
      return;
    }
    this.#byLabel = new Map(previous === null ? [] : previous.#byLabel);
    this.#members = new Map(previous === null ? [] : previous.#members);
    this.#built = new Map(previous === null ? [] : previous.#built);
    if (previous === null) this.#fill();
    else if (previous.#workloads !== workloads) this.#follow(previous);
    if (isReachedOtherwise !== null) this.#reachAnew(isReachedOtherwise);
  }

  /** Services that may have other members than in the index before, or members that are reached in another way. */
  get touched(): ReadonlySet<MeshService> {
    return this.#touched;
  }

  /** Whether so many clusters have come since keepOnly() that it is worth while to look which are still there. */
  get hasGrown(): boolean {
    return this.#built.size > Math.max(CLUSTERS_KEPT_MIN, 2 * this.#kept);
  }

  /** Forgets services and clusters that are no more. */
  keepOnly(alive: ReadonlySet<Membership>): void {
    for (const membership of this.#built.keys()) if (!alive.has(membership)) this.#built.delete(membership);
    this.#kept = this.#built.size;
    const services = new Set([...alive].map(({ service }) => service));
    for (const service of this.#members.keys()) if (!services.has(service)) this.#members.delete(service);
  }

  #fill(): void {
    const byLabel = new Map<string, MeshWorkload[]>();
    for (const workload of this.#workloads) {
      for (const bucket of bucketsOf(workload.namespace, workload.labels)) {
        appendTo(byLabel, bucket, workload);
      }
    }
    for (const [bucket, members] of byLabel) this.#byLabel.set(bucket, members);
  }

  /** Buckets of workloads that came or went are made anew; services that look into one of them, too. */
  #follow(previous: EndpointIndex): void {
    const after = new Set(this.#workloads);
    const before = new Set(previous.#workloads);
    const added = this.#workloads.filter((workload) => !before.has(workload));
    const removed = new Set(previous.#workloads.filter((workload) => !after.has(workload)));
    const changes = new Map<string, MeshWorkload[]>();
    for (const workload of removed) {
      for (const bucket of bucketsOf(workload.namespace, workload.labels)) {
        if (!changes.has(bucket)) changes.set(bucket, []);
      }
    }
    for (const workload of added) {
      for (const bucket of bucketsOf(workload.namespace, workload.labels)) {
        appendTo(changes, bucket, workload);
      }
    }
    for (const [bucket, joining] of changes) {
      const staying = (this.#byLabel.get(bucket) ?? []).filter((workload) => !removed.has(workload));
      const members = [...staying, ...joining].sort(byKey);
      if (members.length === 0) this.#byLabel.delete(bucket);
      else this.#byLabel.set(bucket, members);
    }
    this.#touch(changes);
  }

  /** What looks into one of these buckets is looked at again when it is asked for, whenever that is. */
  #touch(buckets: ReadonlyMap<string, unknown>): void {
    const isTouched = ({ selector, info }: MeshService) =>
      bucketsOf(info.namespace, selector ?? {}).some((bucket) => buckets.has(bucket));
    const services = new Set([
      ...this.#members.keys(),
      ...[...this.#built.keys()].map(({ service }) => service),
    ]);
    for (const service of services) {
      if (!isTouched(service)) continue;
      this.#touched.add(service);
      this.#members.delete(service);
    }
    for (const [membership, built] of this.#built) {
      if (this.#touched.has(membership.service)) this.#built.set(membership, { ...built, isCurrent: false });
    }
  }

  /** Clusters with such a member are made anew when they are asked for. */
  #reachAnew(isReachedOtherwise: (workload: MeshWorkload) => boolean): void {
    const answers = new Map<MeshWorkload, boolean>();
    const isOther = (workload: MeshWorkload) => {
      const answer = answers.get(workload) ?? isReachedOtherwise(workload);
      answers.set(workload, answer);
      return answer;
    };
    for (const [membership, built] of this.#built) {
      if (built.members?.some(isOther) !== true) continue;
      this.#touched.add(membership.service);
      this.#built.set(membership, { ...built, members: null, isCurrent: false });
    }
  }

  /** The endpoint set of a cluster; the same object as before when its members are. */
  endpointSet(membership: Membership): VersionedResource {
    const known = this.#built.get(membership);
    if (known?.isCurrent === true) return known.resource;
    const all = this.#membersOf(membership.service);
    const members = staying(all.filter((workload) => isInSubset(workload, membership.labels)));
    const isSame = known !== undefined && known.members !== null && sameMembers(known.members, members);
    const resource = isSame ? known.resource : this.#build(membership, members);
    this.#built.set(membership, { members, resource, isCurrent: true });
    return resource;
  }

  #build(membership: Membership, members: readonly MeshWorkload[]): VersionedResource {
    const endpoints = members.map((workload) => endpointOf(workload, membership, this.#rules));
    const body: EndpointSet = { kind: "endpoints", name: membership.cluster, endpoints };
    return { version: contentHash(body), body };
  }

  #membersOf(service: MeshService): readonly MeshWorkload[] {
    let members = this.#members.get(service);
    if (members === undefined) {
      members = [...service.inline, ...this.#selected(service)];
      this.#members.set(service, members);
    }
    return members;
  }

  /** Looks through the smallest bucket of the selector's labels only. */
  #selected({ selector, info }: MeshService): readonly MeshWorkload[] {
    const buckets = Object.entries(selector ?? {})
      .map(([key, value]) => this.#byLabel.get(labelKey(info.namespace, key, value)) ?? []);
    const smallest = buckets.sort((a, b) => a.length - b.length)[0] ?? [];
    return smallest.filter((workload) => selects(selector, workload.labels));
  }
}

/**
 * Those who are there to stay. While none of them is healthy, those who are about to stop as well, for they still answer;
 * and where there is nobody else, whoever there was.
 */
function staying(members: readonly MeshWorkload[]): readonly MeshWorkload[] {
  const stay = members.filter(({ leaving }) => leaving === undefined);
  if (stay.some(({ unhealthy }) => !unhealthy)) return stay;
  const answering = members.filter(({ leaving }) => leaving !== "gone");
  return answering.length > 0 ? answering : members;
}

function bucketsOf(namespace: string, labels: Labels): string[] {
  return Object.entries(labels).map(([key, value]) => labelKey(namespace, key, value));
}

/** The order of all workloads, by `NAMESPACE/NAME`. */
function byKey(a: MeshWorkload, b: MeshWorkload): number {
  return compareTexts(workloadKey(a), workloadKey(b));
}

function sameMembers(a: readonly MeshWorkload[], b: readonly MeshWorkload[]): boolean {
  return a.length === b.length && a.every((workload, index) => workload === b[index]);
}
