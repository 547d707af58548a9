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
  const [certificate = null, otherCertificate] = clients === "mesh"
    ? []
    : certificatesOf(tls, clients !== "anonymous");
  return {
    clients,
    certificate,
    ...(otherCertificate === undefined ? {} : { otherCertificate }),
    subjectAltNames: tls.subjectAltNames,
    ...(certificates.length + publicKeys.length === 0 ? {} : { pins: { certificates, publicKeys } }),
    ...(tls.cipherSuites.length === 0 ? {} : { ciphers: tls.cipherSuites }),
    minVersion: VERSIONS[tls.minProtocolVersion],
    maxVersion: VERSIONS[tls.maxProtocolVersion],
  };
}

/** Those that a client may be shown; the first has the roots and revocation lists. */
function certificatesOf(tls: ServerTls, withRoots: boolean): readonly CertificateSource[] {
  const { credentialName, credentialNames, tlsCertificates, caCertificates, caCrl } = tls;
  const names = credentialName === null ? credentialNames : [credentialName];
  if (names.length > 0) {
    return names.map((name, index) => ({ type: "credential", name, withRoots: withRoots && index === 0 }));
  }
  const { serverCertificate, privateKey } = tls;
  const pairs = tlsCertificates.length > 0 ? tlsCertificates : [{ serverCertificate, privateKey }];
  return pairs.map(({ serverCertificate, privateKey }, index) => ({
    type: "files",
    chain: serverCertificate ?? "",
    key: privateKey ?? "",
    roots: withRoots && index === 0 ? caCertificates : null,
    ...(caCrl === null || index > 0 ? {} : { crl: caCrl }),
  }));
}
