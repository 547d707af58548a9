/** ServerTLSSettings in the words of snapshots: of a Gateway's server, and of a Sidecar's ingress. */
import type { ServerTls } from "../config/schema/server_tls.ts";
import type { CertificateSource, GatewayTls } from "../model/gateway_listener.ts";

const CLIENTS = {
  SIMPLE: "anonymous",
  MUTUAL: "required",
  OPTIONAL_MUTUAL: "optional",
  ISTIO_MUTUAL: "mesh",
} as const;

const VERSIONS = { TLSV1_2: "TLSv1.2", TLSV1_3: "TLSv1.3" } as const;

export function terminatedTls(tls: ServerTls): GatewayTls {
  const clients = CLIENTS[tls.mode as keyof typeof CLIENTS];
  const { verifyCertificateHash: certificates, verifyCertificateSpki: publicKeys } = tls;
  return {
    clients,
    certificate: clients === "mesh" ? null : certificateOf(tls, clients !== "anonymous"),
    subjectAltNames: tls.subjectAltNames,
    ...(certificates.length + publicKeys.length === 0 ? {} : { pins: { certificates, publicKeys } }),
    ...(tls.cipherSuites.length === 0 ? {} : { ciphers: tls.cipherSuites }),
    minVersion: VERSIONS[tls.minProtocolVersion],
    maxVersion: VERSIONS[tls.maxProtocolVersion],
  };
}

function certificateOf(tls: ServerTls, withRoots: boolean): CertificateSource {
  const { credentialName, serverCertificate, privateKey, caCertificates, caCrl } = tls;
  if (credentialName !== null) return { type: "credential", name: credentialName, withRoots };
  return {
    type: "files",
    chain: serverCertificate ?? "",
    key: privateKey ?? "",
    roots: withRoots ? caCertificates : null,
    ...(caCrl === null ? {} : { crl: caCrl }),
  };
}
