/** BOW0066: a port of a workload by a name that no service has which leads to it. */
import { hasLabels, labelKey, type Labels } from "../../model/labels.ts";
import { nearest } from "../../lib/edit_distance.ts";
import { CODES } from "../codes.ts";
import type { ResourceSet } from "../resource.ts";
import { type Analyzer, type FieldPath, warning } from "./analyzer.ts";

/** Names of ports that a service asks its workloads for. */
interface Asking {
  /** Of the namespace and the first label that is asked for. */
  readonly bucket: string;
  readonly selector: Labels;
  readonly names: readonly string[];
}

export const workloadPorts: Analyzer = function* (resources) {
  const askings = Map.groupBy(asked(resources), ({ bucket }) => bucket);
  const workloads = [
    ...resources.workloadEntries.map((resource) => {
      const { labels, ports } = resource.spec;
      return { resource, labels: { ...labels, ...resource.labels }, ports, path: ["spec", "ports"] };
    }),
    ...resources.workloadGroups.map((resource) => {
      const { metadata: { labels }, template: { ports } } = resource.spec;
      return { resource, labels, ports, path: ["spec", "template", "ports"] };
    }),
  ];
  for (const { resource, labels, ports, path } of workloads) {
    if (Object.keys(ports).length === 0) continue;
    const known = Object.entries(labels)
      .flatMap(([key, value]) => askings.get(labelKey(resource.namespace, key, value)) ?? [])
      .filter(({ selector }) => hasLabels(labels, selector)).flatMap(({ names }) => names);
    for (const name of Object.keys(ports)) {
      if (known.includes(name)) continue;
      const at: FieldPath = [...path, name];
      const meant = nearest(name, known);
      const message = `no service that selects the workload has a port "${name}", so this says nothing`;
      const hint = meant === undefined
        ? known.length === 0 ? null : `they have ${[...new Set(known)].join(", ")}`
        : `did you mean "${meant}"?`;
      yield warning(CODES.workloadPortUnknown, resource, at, message, hint);
    }
  }
};

function* asked({ services, serviceEntries }: ResourceSet): Generator<Asking> {
  for (const { namespace, spec: { selector, ports } } of services) {
    const [first] = Object.entries(selector);
    if (first === undefined) continue;
    const names = ports.flatMap(({ name, targetPort }) =>
      typeof targetPort === "string" ? [name, targetPort] : [name]
    );
    yield { bucket: labelKey(namespace, ...first), selector, names };
  }
  for (const { namespace, spec: { workloadSelector, ports } } of serviceEntries) {
    const [first] = Object.entries(workloadSelector?.labels ?? {});
    if (first === undefined) continue;
    const selector = workloadSelector?.labels ?? {};
    yield { bucket: labelKey(namespace, ...first), selector, names: ports.map(({ name }) => name) };
  }
}
