/** The endpoints behind each cluster: found by label through an index, and kept from world to world where unchanged. */
import { contentHash } from "../lib/hash.ts";
import type { Endpoint, EndpointSet, VersionedResource, WorkloadInfo } from "../model/snapshot.ts";
import { formatSpiffeId } from "../model/spiffe_id.ts";
import { canonicalRevision, canonicalService, type WorkloadKey, workloadKey } from "../model/workload.ts";
import type { MeshWorkload } from "./file_workloads.ts";
import { hasLabels, type MeshService, selects, type ServicePort, targetPortOf } from "./services.ts";

/** A cluster, as far as its members depend on it. */
export interface Membership {
  readonly cluster: string;
  readonly service: MeshService;
  readonly port: ServicePort;
  /** Labels of the subset; empty takes all. */
  readonly labels: Readonly<Record<string, string>>;
}

interface Built {
  readonly members: readonly MeshWorkload[];
  readonly resource: VersionedResource;
}

export class EndpointIndex {
  readonly #trustDomain: string;
  readonly #byLabel = new Map<string, MeshWorkload[]>();
  readonly #members = new Map<MeshService, readonly MeshWorkload[]>();
  readonly #built = new Map<Membership, Built>();
  /** What the last world had; consulted for the memberships of the same configuration. */
  readonly #before: ReadonlyMap<Membership, Built>;

  constructor(workloads: readonly MeshWorkload[], trustDomain: string, previous: EndpointIndex | null) {
    this.#trustDomain = trustDomain;
    this.#before = previous === null ? new Map() : previous.#takeBuilt();
    for (const workload of workloads) {
      for (const [key, value] of Object.entries(workload.labels)) {
        const bucket = bucketOf(workload.namespace, key, value);
        const members = this.#byLabel.get(bucket);
        if (members === undefined) this.#byLabel.set(bucket, [workload]);
        else members.push(workload);
      }
    }
  }

  /** The endpoint set of a cluster; the same object as before when its members are. */
  endpointSet(membership: Membership): VersionedResource {
    const known = this.#built.get(membership);
    if (known !== undefined) return known.resource;
    const all = this.#membersOf(membership.service);
    const members = staying(all.filter((workload) => hasLabels(workload.labels, membership.labels)));
    const before = this.#before.get(membership);
    const built = before !== undefined && sameMembers(before.members, members)
      ? before
      : { members, resource: this.#build(membership, members) };
    this.#built.set(membership, built);
    return built.resource;
  }

  #build({ cluster, port }: Membership, members: readonly MeshWorkload[]): VersionedResource {
    const endpoints = members.map((workload): Endpoint => ({
      address: workload.address,
      port: targetPortOf(port, workload),
      weight: workload.weight,
      workload: workloadInfo(workload, this.#trustDomain),
      meshPort: workload.hasSidecar ? workload.meshPort : null,
      ...(workload.unhealthy ? { health: "unhealthy" } : {}),
    }));
    const body: EndpointSet = { kind: "endpoints", name: cluster, endpoints };
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
      .map(([key, value]) => this.#byLabel.get(bucketOf(info.namespace, key, value)) ?? []);
    const smallest = buckets.sort((a, b) => a.length - b.length)[0] ?? [];
    return smallest.filter((workload) => selects(selector, workload.labels));
  }

  /** Hands over, so that worlds do not hold on to all worlds before them. */
  #takeBuilt(): ReadonlyMap<Membership, Built> {
    return new Map([...this.#before, ...this.#built]);
  }
}

/** What metrics and the graph call a workload. */
export function workloadInfo(workload: MeshWorkload, trustDomain: string): WorkloadInfo {
  const { namespace, name, serviceAccount, labels } = workload;
  const key: WorkloadKey = workloadKey(workload);
  return {
    key,
    namespace,
    name,
    principal: workload.hasSidecar ? formatSpiffeId({ trustDomain, namespace, serviceAccount }) : "",
    app: canonicalService(labels, name),
    version: canonicalRevision(labels),
  };
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

function bucketOf(namespace: string, key: string, value: string): string {
  return `${namespace}\n${key}\n${value}`;
}

function sameMembers(a: readonly MeshWorkload[], b: readonly MeshWorkload[]): boolean {
  return a.length === b.length && a.every((workload, index) => workload === b[index]);
}
