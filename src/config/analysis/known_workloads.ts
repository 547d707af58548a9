/**
 * The workloads that the files know, by their labels: WorkloadEntries, and whatever joins as a WorkloadGroup says. A
 * workload that joins with a token alone has the label `app` and no other, and is in no file.
 */
import type { ResourceSet } from "../resource.ts";

export type Labels = Readonly<Record<string, string>>;

/** The one label of a workload that joins without a file. */
const JOINED_LABEL = "app";

export class KnownWorkloads {
  /** Namespace -> labels of each of its workloads. */
  readonly #all = new Map<string, Labels[]>();
  /** The same by each single label. */
  readonly #byLabel = new Map<string, Labels[]>();

  constructor({ workloadEntries, workloadGroups }: ResourceSet) {
    for (const { namespace, labels, spec } of workloadEntries) {
      this.#add(namespace, { ...spec.labels, ...labels });
    }
    for (const { namespace, spec } of workloadGroups) this.#add(namespace, spec.metadata.labels);
  }

  /** The labels of the workloads of a namespace that have what is asked for. */
  selected(namespace: string, wanted: Labels): readonly Labels[] {
    const buckets = Object.entries(wanted).map(([key, value]) =>
      this.#byLabel.get(bucketOf(namespace, key, value)) ?? []
    );
    const smallest = buckets.sort((a, b) => a.length - b.length)[0] ?? this.#all.get(namespace) ?? [];
    return smallest.filter((labels) => hasAll(labels, wanted));
  }

  /** Whether a selector finds a workload, or one might join that it finds. */
  couldSelect(namespace: string, wanted: Labels): boolean {
    const joinable = Object.keys(wanted).every((key) => key === JOINED_LABEL);
    return joinable || this.selected(namespace, wanted).length > 0;
  }

  #add(namespace: string, labels: Labels): void {
    append(this.#all, namespace, labels);
    for (const [key, value] of Object.entries(labels)) {
      append(this.#byLabel, bucketOf(namespace, key, value), labels);
    }
  }
}

function append(map: Map<string, Labels[]>, key: string, labels: Labels): void {
  const known = map.get(key);
  if (known === undefined) map.set(key, [labels]);
  else known.push(labels);
}

/** None of the three can have a line break in it. */
function bucketOf(namespace: string, key: string, value: string): string {
  return `${namespace}\n${key}\n${value}`;
}

/** Whether labels have everything that is asked for. */
export function hasAll(labels: Labels, wanted: Labels): boolean {
  return Object.entries(wanted).every(([key, value]) => Object.hasOwn(labels, key) && labels[key] === value);
}

export function formatLabels(labels: Labels): string {
  return Object.entries(labels).map(([key, value]) => `${key}=${value}`).join(", ");
}
