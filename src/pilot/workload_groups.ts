/**
 * WorkloadGroups, and who belongs to them: a workload that joined with a group's token is what its group says, at the
 * address that it reports. Who joined with which token is the certificate authority's to know; nobody is believed.
 */
import type { ConfigResource } from "../config/resource.ts";
import type { Probe, WorkloadGroupSpec } from "../config/schema/workload_group.ts";
import { deniesSidecar } from "../config/sidecar_label.ts";
import type { HealthProbe, ProbeMethod } from "../model/health_probe.ts";
import { formatSpiffeId } from "../model/spiffe_id.ts";
import { parseWorkloadKey, type WorkloadKey, workloadKey } from "../model/workload.ts";
import { type MeshWorkload, placeOf } from "./file_workloads.ts";

const SECOND_MS = 1_000;

/** A timer counts milliseconds in 31 bits, 24 days; what is written may be longer. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** A group that is in the files. */
export type Group = ConfigResource<WorkloadGroupSpec>;

/** Where a member says it is. */
export interface MemberAddress {
  readonly address: string;
  readonly meshPort: number;
}

export interface WorkloadGroupsOptions {
  readonly trustDomain: string;
  /** `NAMESPACE/NAME` of the group that a workload was enrolled for; undefined: none. */
  readonly groupOf: (workload: WorkloadKey) => WorkloadKey | undefined;
}

export class WorkloadGroups {
  readonly #options: WorkloadGroupsOptions;
  #groups: ReadonlyMap<WorkloadKey, Group> = new Map();

  constructor(options: WorkloadGroupsOptions) {
    this.#options = options;
  }

  /** Takes the groups of a new generation. */
  set(groups: readonly Group[]): void {
    this.#groups = new Map(groups.map((group) => [workloadKey(group), group]));
  }

  /** `NAMESPACE/NAME` of each that the files have. */
  keys(): Iterable<WorkloadKey> {
    return this.#groups.keys();
  }

  /** The SPIFFE ID that every member of a group has; undefined: the files have no such group. */
  spiffeId(group: WorkloadKey): string | undefined {
    const found = this.#groups.get(group);
    return found && formatSpiffeId({
      trustDomain: this.#options.trustDomain,
      namespace: found.namespace,
      serviceAccount: serviceAccountOf(found),
    });
  }

  /** The key of the group that a workload has joined, whether or not the files still have it; undefined: none. */
  keyOf(workload: WorkloadKey): WorkloadKey | undefined {
    return this.#options.groupOf(workload);
  }

  /** The group that a workload has joined; undefined: none, or one that is in the files no more. */
  of(workload: WorkloadKey): Group | undefined {
    const key = this.keyOf(workload);
    return key === undefined ? undefined : this.#groups.get(key);
  }
}

/** A member as its group describes it. As with a WorkloadEntry, the account of a group that names none is its own name. */
export function workloadOfGroup(
  group: Group,
  key: WorkloadKey,
  { address, meshPort }: MemberAddress,
): MeshWorkload | undefined {
  const parsed = parseWorkloadKey(key);
  if (parsed === undefined) return undefined;
  const { metadata: { labels }, template, probe } = group.spec;
  return {
    ...parsed,
    address,
    labels,
    serviceAccount: serviceAccountOf(group),
    ports: template.ports,
    weight: template.weight,
    ...placeOf(template),
    hasSidecar: !deniesSidecar(labels),
    meshPort,
    ...(probe === null ? {} : { probe: healthProbe(probe) }),
  };
}

function serviceAccountOf({ name, spec }: Group): string {
  return spec.template.serviceAccount ?? name;
}

function healthProbe(probe: Probe): HealthProbe {
  return {
    method: methodOf(probe.method),
    initialDelayMs: timerMs(probe.initialDelaySeconds),
    periodMs: timerMs(probe.periodSeconds),
    timeoutMs: timerMs(probe.timeoutSeconds),
    successThreshold: probe.successThreshold,
    failureThreshold: probe.failureThreshold,
  };
}

function timerMs(seconds: number): number {
  return Math.min(seconds * SECOND_MS, TIMER_MS_MAX);
}

function methodOf(method: Probe["method"]): ProbeMethod {
  if (method.type === "exec" || method.type === "grpc") return method;
  const { host, port } = method;
  if (method.type === "tcpSocket") return { type: "tcp", host, port };
  return {
    type: "http",
    host,
    port,
    path: method.path.startsWith("/") ? method.path : `/${method.path}`,
    tls: method.scheme === "HTTPS",
    headers: method.httpHeaders.map(({ name, value }) => [name.toLowerCase(), value] as const),
  };
}
