/** How a client reaches the endpoints of a cluster: over the mesh, with TLS to the workload itself, or in plain text. */
import type { ClientTls } from "../config/schema/client_tls.ts";
import type { UpstreamTls } from "../model/upstream_tls.ts";
import type { MeshService } from "./services.ts";

/**
 * `auto`: over the mesh to whoever has a sidecar, else straight. `straight`: always to the workload's own port. `mesh`:
 * over the mesh or not at all.
 */
export type Reach = "auto" | "straight" | "mesh";

/** What a DestinationRule says outright goes before what the mesh would do by itself. */
export function reachOf(tls: ClientTls | null, autoMtls: boolean): Reach {
  if (tls === null) return autoMtls ? "auto" : "straight";
  return tls.mode === "ISTIO_MUTUAL" ? "mesh" : "straight";
}

/**
 * TLS that ends at the workload; null for every other mode. The server's name, where nothing is said, is the service's
 * host, as Istio takes it from the request. Names of a ServiceEntry count where the DestinationRule has none.
 */
export function upstreamTls(tls: ClientTls | null, service: MeshService): UpstreamTls | null {
  if (tls === null || (tls.mode !== "SIMPLE" && tls.mode !== "MUTUAL")) return null;
  const { clientCertificate, privateKey, caCertificates, caCrl, credentialName, insecureSkipVerify } = tls;
  const host = service.info.host.startsWith("*") ? null : service.info.host;
  const sni = tls.sni ?? host;
  const written = tls.subjectAltNames.length > 0 ? tls.subjectAltNames : service.subjectAltNames;
  const names = written.length > 0 ? written : sni === null ? [] : [sni];
  return {
    sni,
    certificate: tls.mode === "MUTUAL" && clientCertificate !== null && privateKey !== null
      ? { chainFile: clientCertificate, keyFile: privateKey }
      : null,
    rootsFile: caCertificates,
    ...(caCrl === null ? {} : { crlFile: caCrl }),
    ...(credentialName === null
      ? {}
      : { credential: { name: credentialName, withCertificate: tls.mode === "MUTUAL" } }),
    names: insecureSkipVerify ? [] : names,
    insecure: insecureSkipVerify,
  };
}
