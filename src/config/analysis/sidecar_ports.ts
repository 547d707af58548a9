/**
 * BOW0070: a port of a Sidecar's own, or a socket, for bytes that several services have: nothing tells them apart, and the
 * first gets all, or at a socket nobody.
 */
import { CODES } from "../codes.ts";
import { isUnixAddress } from "../schema/scalars.ts";
import { type Analyzer, warning } from "./analyzer.ts";
import { definedHosts, seenBy } from "./sidecar_egress.ts";
import { speechOf } from "./port_speech.ts";

export const sidecarPorts: Analyzer = function* (resources) {
  const all = [...definedHosts(resources)];
  for (const resource of resources.sidecars) {
    for (const [index, { bind, captureMode, hosts, port }] of resource.spec.egress.entries()) {
      const isSocket = bind !== null && isUnixAddress(bind);
      if ((captureMode !== "NONE" && !isSocket) || port === null) continue;
      // By HTTP and TLS they say whom they mean.
      if (speechOf({ name: null, appProtocol: port.protocol }) !== "bytes") continue;
      const seen = seenBy(hosts, all, resource.namespace);
      const path = ["spec", "egress", index, "hosts"];
      if (isSocket) {
        const [only, ...others] = hosts.filter(({ excluded }) => !excluded);
        const isOne = others.length === 0 && only !== undefined && !only.host.startsWith("*");
        if (isOne && seen.every(({ ports }) => ports.length === 1)) continue;
        const message =
          "bytes do not say whom they mean, and at a socket they go to one host with one port: " +
          "these are closed";
        yield warning(CODES.doorForSeveral, resource, path, message, "name one host that has one port");
        continue;
      }
      const there = seen.filter(({ ports }) => ports.includes(port.number));
      if (new Set(there.map(({ host }) => host)).size < 2) continue;
      yield warning(
        CODES.doorForSeveral,
        resource,
        path,
        `${
          there.map(({ host }) => host).join(", ")
        } have the port ${port.number}, and bytes do not say whom they mean: ` +
          "the first gets all",
        "name one host",
      );
    }
  }
};
