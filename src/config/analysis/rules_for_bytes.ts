/** BOW0047 and BOW0061: rules about requests for a host whose ports carry bytes, and rules about bytes for one of requests. */
import { CODES } from "../codes.ts";
import { resolveHost } from "../host.ts";
import { MESH_GATEWAY } from "../schema/gateway_name.ts";
import { type Analyzer, warning } from "./analyzer.ts";
import { isUnread, type PortSpeech, speakingPorts } from "./port_speech.ts";

export const rulesForBytes: Analyzer = function* (resources) {
  const known = speakingPorts(resources);
  for (const resource of resources.virtualServices) {
    const { namespace, spec } = resource;
    if (!spec.gateways.includes(MESH_GATEWAY)) continue;
    const hosts = spec.hosts.map((written) => resolveHost(written, namespace));
    /** The first host that is known to have ports of this kind alone. */
    const hostOf = (isSuch: (speech: PortSpeech) => boolean) =>
      hosts.find((host) => known.get(host)?.every(({ speech }) => isSuch(speech)));
    const unread = spec.http.length === 0 ? undefined : hostOf(isUnread);
    if (unread !== undefined) {
      yield warning(
        CODES.rulesForBytes,
        resource,
        ["spec", "http"],
        `no port of ${unread} carries HTTP that can be read, so these rules are for nobody`,
        "use tcp: or tls:, or say the port's protocol by its name or appProtocol",
      );
    }
    for (const field of ["tcp", "tls"] as const) {
      const read = spec[field].length === 0 ? undefined : hostOf((speech) => speech === "requests");
      if (read === undefined) continue;
      const message = `every port of ${read} carries requests, which these rules are not for`;
      yield warning(CODES.bytesForRules, resource, ["spec", field], message, "use http:");
    }
    const plain = spec.tls.length === 0 ? undefined : hostOf((speech) => speech === "bytes");
    if (plain === undefined) continue;
    const message = `no port of ${plain} carries TLS, of which these rules ask for the name`;
    yield warning(
      CODES.bytesForRules,
      resource,
      ["spec", "tls"],
      message,
      "use tcp:, or say that the port is tls",
    );
  }
};
