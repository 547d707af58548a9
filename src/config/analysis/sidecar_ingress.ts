/** BOW0068: a Sidecar whose `ingress` leaves out a port of its workloads to which a service leads: it is then shut. */
import { hasLabels } from "../../model/labels.ts";
import { CODES } from "../codes.ts";
import { type Analyzer, located, warning } from "./analyzer.ts";
import { knownWorkloads } from "./known_workloads.ts";

export const sidecarIngress: Analyzer = function* (resources) {
  const workloads = knownWorkloads(resources);
  for (const resource of resources.sidecars) {
    const { ingress, workloadSelector } = resource.spec;
    if (ingress.length === 0) continue;
    const open = new Set(ingress.map(({ port }) => port.number));
    const selected = workloads.withLabels(resource.namespace, workloadSelector?.labels ?? {});
    for (const service of resources.services.filter(({ namespace }) => namespace === resource.namespace)) {
      const { selector, ports } = service.spec;
      if (Object.keys(selector).length === 0) continue;
      const behind = selected.filter(({ labels }) => hasLabels(labels, selector));
      const shut = ports.flatMap(({ name, targetPort }) => behind.map((one) => one.ports[name] ?? targetPort))
        .find((port) => typeof port === "number" && !open.has(port));
      if (shut === undefined) continue;
      const message =
        `${located(service)} leads to the port ${shut} of its workloads, and only the ports of ` +
        "ingress are open";
      const hint = `add a listener for the port ${shut}`;
      yield warning(CODES.ingressLeftOut, resource, ["spec", "ingress"], message, hint);
    }
  }
};
