/**
 * The workloads that the files know, by their labels: WorkloadEntries, and whatever joins as a WorkloadGroup says. A
 * workload that joins with a token alone has the label `app` and no other, and is in no file.
 */
import { appendTo } from "../../lib/append_to.ts";
import { hasLabels, labelKey, type Labels } from "../../model/labels.ts";
import type { ResourceSet } from "../resource.ts";
import { declaresSidecar, deniesSidecar } from "../sidecar_label.ts";

export interface KnownWorkload {
  readonly namespace: string;
  readonly labels: Labels;
  /** Its own ports by the names that services have for them. */
  readonly ports: Readonly<Record<string, number>>;
  /** `region/zone/subzone`. */
  readonly locality: string | null;
  /** Whether the files say that a sidecar stands before it; others may have one all the same, once they have joined. */
  readonly hasSidecar: boolean;
}

/** The one label of a workload that joins without a file. */
const JOINED_LABEL = "app";

export class KnownWorkloads {
  /** Namespace -> each of its workloads. */
  readonly #all = new Map<string, KnownWorkload[]>();
  /** Namespace and one label -> each workload that has it. */
  readonly #byLabel = new Map<string, KnownWorkload[]>();

  constructor({ workloadEntries, workloadGroups }: ResourceSet) {
    for (const { namespace, labels: own, spec } of workloadEntries) {
      const labels = { ...spec.labels, ...own };
      const hasSidecar = declaresSidecar(labels, spec.serviceAccount);
      this.#add({ namespace, labels, ports: spec.ports, locality: spec.locality, hasSidecar });
    }
    for (
      const { namespace, spec: { metadata: { labels }, template: { ports, locality } } } of workloadGroups
    ) {
      this.#add({ namespace, labels, ports, locality, hasSidecar: !deniesSidecar(labels) });
    }
  }

  /** The workloads of a namespace that have what is asked for. */
  withLabels(namespace: string, wanted: Labels): readonly KnownWorkload[] {
    const buckets = Object.entries(wanted).map(([key, value]) =>
      this.#byLabel.get(labelKey(namespace, key, value)) ?? []
    );
    const smallest = buckets.sort((a, b) => a.length - b.length)[0] ?? this.#all.get(namespace) ?? [];
    return smallest.filter(({ labels }) => hasLabels(labels, wanted));
  }

  /** The labels of the workloads of a namespace that have what is asked for. */
  selected(namespace: string, wanted: Labels): readonly Labels[] {
    return this.withLabels(namespace, wanted).map(({ labels }) => labels);
  }

  /** Whether a selector finds a workload, or one might join that it finds. */
  couldSelect(namespace: string, wanted: Labels): boolean {
    const joinable = Object.keys(wanted).every((key) => key === JOINED_LABEL);
    return joinable || this.withLabels(namespace, wanted).length > 0;
  }

  /** Whether a selector finds a workload of any namespace, or one might join that it finds. */
  couldSelectAnywhere(wanted: Labels): boolean {
    return [...this.#all.keys()].some((namespace) => this.couldSelect(namespace, wanted)) ||
      this.couldSelect("", wanted);
  }

  #add(workload: KnownWorkload): void {
    const { namespace } = workload;
    appendTo(this.#all, namespace, workload);
    for (const [key, value] of Object.entries(workload.labels)) {
      appendTo(this.#byLabel, labelKey(namespace, key, value), workload);
    }
  }
}

const known = new WeakMap<ResourceSet, KnownWorkloads>();

/** The workloads of a set of resources; worked out once for all who ask. */
export function knownWorkloads(resources: ResourceSet): KnownWorkloads {
  const workloads = known.get(resources) ?? new KnownWorkloads(resources);
  known.set(resources, workloads);
  return workloads;
}

export function formatLabels(labels: Labels): string {
  return Object.entries(labels).map(([key, value]) => `${key}=${value}`).join(", ");
}
