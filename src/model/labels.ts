/** Labels of workloads, and what selectors ask of them. */

export type Labels = Readonly<Record<string, string>>;

/** Whether labels have everything that is asked for; asking for nothing is always answered yes. */
export function hasLabels(labels: Labels, wanted: Labels): boolean {
  return Object.entries(wanted).every(([key, value]) => Object.hasOwn(labels, key) && labels[key] === value);
}

/** Whether one workload may have all labels of both. */
export function mayBeOne(a: Labels, b: Labels): boolean {
  return Object.entries(a).every(([key, value]) => !Object.hasOwn(b, key) || b[key] === value);
}

/** The key of a label in an index of a mesh's workloads. None of the three can have a line break in it. */
export function labelKey(namespace: string, key: string, value: string): string {
  return `${namespace}\n${key}\n${value}`;
}
