/**
 * IST0138: servers with one certificate at a port. Browsers that have a connection to one of them use it for hosts of the
 * other, since the certificate is for both, and are answered 404: the connection is for the first server's hosts.
 */
import { mayBeOne } from "../../model/labels.ts";
import { CODES } from "../codes.ts";
import type { ConfigResource } from "../resource.ts";
import type { GatewayServer, GatewaySpec } from "../schema/gateway.ts";
import { listenerName, placeOf } from "../server_place.ts";
import { type Analyzer, located, notice } from "./analyzer.ts";

type Gateway = ConfigResource<GatewaySpec>;

export const sharedCertificates: Analyzer = function* ({ gateways }) {
  /** By port and certificate. */
  const earlier = new Map<string, Gateway[]>();
  for (const gateway of gateways) {
    for (const [index, server] of gateway.spec.servers.entries()) {
      const keys = certificatesOf(server).map((name) => `${listenerName(server)} ${name}`);
      const others = keys.flatMap((key) => earlier.get(key) ?? []);
      for (const key of keys) earlier.set(key, [...earlier.get(key) ?? [], gateway]);
      const other = others.find((one) => mayBeOne(one.spec.selector, gateway.spec.selector));
      if (other === undefined) continue;
      const message = `${located(other)} has the same certificate at ${placeOf(server)}: ` +
        "clients that use a connection of HTTP/2 for hosts of both are answered 404";
      const path = ["spec", "servers", index, "tls"];
      yield notice(
        CODES.sharedCertificate,
        gateway,
        path,
        message,
        "make one server of them, with all hosts",
      );
    }
  }
};

/** None where HTTP/2 has no part in it. */
function certificatesOf({ port, tls }: GatewayServer): readonly string[] {
  if (port.protocol !== "HTTPS" || tls === null) return [];
  const { credentialName, credentialNames, serverCertificate, tlsCertificates } = tls;
  const paths = tlsCertificates.map((pair) => pair.serverCertificate);
  return [credentialName ?? [], credentialNames, serverCertificate ?? [], paths].flat();
}
