/** BOW0070: a port of a Sidecar's own for bytes that several services have: nothing tells them apart, and the first gets all. */
import { CODES } from "../codes.ts";
import { type Analyzer, warning } from "./analyzer.ts";
import { definedHosts, seenBy } from "./sidecar_egress.ts";
import { speechOf } from "./port_speech.ts";

export const sidecarPorts: Analyzer = function* (resources) {
  const all = [...definedHosts(resources)];
  for (const resource of resources.sidecars) {
    for (const [index, { captureMode, hosts, port }] of resource.spec.egress.entries()) {
      if (captureMode !== "NONE" || port === null) continue;
      // By HTTP and TLS they say whom they mean.
      if (speechOf({ name: null, appProtocol: port.protocol }) !== "bytes") continue;
      const seen = seenBy(hosts, all, resource.namespace).filter(({ ports }) => ports.includes(port.number));
      if (new Set(seen.map(({ host }) => host)).size < 2) continue;
      yield warning(
        CODES.doorForSeveral,
        resource,
        ["spec", "egress", index, "hosts"],
        `${
          seen.map(({ host }) => host).join(", ")
        } have the port ${port.number}, and bytes do not say whom they mean: ` +
          "the first gets all",
        "name one host",
      );
    }
  }
};
