/** BOW0054: settings about requests for ports that carry bytes, and about bytes for ports that carry requests. */
import { CODES } from "../codes.ts";
import { type Analyzer, isWritten, warning } from "./analyzer.ts";
import { policies } from "./policies.ts";
import { isUnread, speakingPorts } from "./port_speech.ts";

export const policiesForRequests: Analyzer = function* (resources) {
  const known = speakingPorts(resources);
  for (const { resource, host, path, policy, port } of policies(resources)) {
    const ports = (known.get(host) ?? []).filter(({ number }) => port === null || number === port);
    if (ports.length === 0) continue;
    const where = port === null ? `no port of ${host} carries` : `the port ${port} of ${host} does not carry`;
    if (ports.every(({ speech }) => isUnread(speech))) {
      const fields: (readonly string[])[] = [];
      const key = policy.loadBalancer?.consistentHash?.key.type;
      if (key !== undefined && key !== "sourceIp") fields.push(["loadBalancer", "consistentHash"]);
      if (policy.connectionPool !== null) fields.push(["connectionPool", "http"]);
      if ("retryBudget" in policy) fields.push(["retryBudget"]);
      for (const field of fields.filter((field) => isWritten(resource, [...path, ...field]))) {
        const message = `${where} requests that can be read, so this has no effect`;
        yield warning(CODES.policyOfOtherSpeech, resource, [...path, ...field], message, null);
      }
    }
    if (!("tunnel" in policy) || policy.tunnel === null) continue;
    if (ports.some(({ speech }) => speech !== "requests")) continue;
    yield warning(
      CODES.policyOfOtherSpeech,
      resource,
      [...path, "tunnel"],
      `${where} bytes alone, and requests go to the endpoints as they are, past the tunnel`,
      "say by the port's name or protocol that it carries tcp or tls",
    );
  }
};
