/** BOW0057: `httpsRedirect` where every request has come over TLS. */
import { CODES } from "../codes.ts";
import { isPlainServer } from "../server_speech.ts";
import { type Analyzer, warning } from "./analyzer.ts";

export const idleRedirects: Analyzer = function* ({ gateways, meshConfigs }) {
  // A proxy before the gateway says what the client spoke.
  const isTold = meshConfigs.some(({ spec }) => spec.defaultConfig.gatewayTopology.numTrustedProxies > 0);
  if (isTold) return;
  for (const resource of gateways) {
    for (const [index, server] of resource.spec.servers.entries()) {
      if (server.tls?.httpsRedirect !== true || isPlainServer(server)) continue;
      yield warning(
        CODES.settingOutdone,
        resource,
        ["spec", "servers", index, "tls", "httpsRedirect"],
        `what comes to a server of the protocol ${server.port.protocol} has come over TLS, and is not redirected`,
        "write it at the server for HTTP",
      );
    }
  }
};
