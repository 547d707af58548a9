import { describe, expect, test } from "bun:test";
import type { Cluster, Endpoint, EndpointSet } from "../../../src/model/cluster.ts";
import {
  caller,
  cluster,
  FQDN,
  load,
  meshConfig,
  resource,
  service,
  snapshotFor,
  workloadEntry,
} from "./fixture.ts";

const MEMBERS = [
  workloadEntry("in", "shop", "{address: 10.0.0.1, labels: {app: web}, serviceAccount: web}"),
  workloadEntry("out", "shop", "{address: 10.0.0.2, labels: {app: web}}"),
];

function endpointsOf(...documents: string[]): readonly Endpoint[] {
  const snapshot = snapshotFor(load(service("web", "shop"), ...MEMBERS, ...documents), caller("shop"));
  return (snapshot.get(`endpoints/outbound|8080||${FQDN}`)?.body as EndpointSet).endpoints;
}

function rule(tls: string, host = FQDN): string {
  return resource("DestinationRule shop/web", `{host: '${host}', trafficPolicy: {tls: ${tls}}}`);
}

const MESH_OFF = meshConfig("{enableAutoMtls: false}");

describe("reachOf()", () => {
  const meshPorts = (...documents: string[]) => endpointsOf(...documents).map(({ meshPort }) => meshPort);

  test("auto mTLS reaches whoever has a sidecar over the mesh", () => {
    expect(meshPorts()).toEqual([15_008, null]);
  });

  test("a rule's DISABLE and SIMPLE go straight to the workload's own port, sidecar or not", () => {
    expect(meshPorts(rule("{mode: DISABLE}"))).toEqual([null, null]);
    expect(meshPorts(rule("{mode: SIMPLE}"))).toEqual([null, null]);
    expect(endpointsOf(rule("{mode: DISABLE}"))[0]?.port).toBe(8080);
  });

  test("ISTIO_MUTUAL insists on the mesh, with the identity that the workload would have", () => {
    expect(meshPorts(rule("{mode: ISTIO_MUTUAL}"))).toEqual([15_008, 15_008]);
    expect(endpointsOf(rule("{mode: ISTIO_MUTUAL}"))[1]?.workload.principal).toBe(
      "spiffe://cluster.local/ns/shop/sa/out",
    );
  });

  test("ISTIO_MUTUAL asks at its own port who has nobody before it", () => {
    const gateway = workloadEntry(
      "edge",
      "shop",
      "{address: 10.0.0.3, labels: {app: web, security.istio.io/tlsMode: disabled}, serviceAccount: edge}",
    );
    const [edge, sidecar] = endpointsOf(gateway, rule("{mode: ISTIO_MUTUAL}"));
    expect(edge).toMatchObject({ port: 8080, meshPort: 8080, direct: true });
    expect(edge?.workload.principal).toBe("spiffe://cluster.local/ns/shop/sa/edge");
    expect(sidecar?.direct).toBeUndefined();
    expect(meshPorts(gateway)).toEqual([null, 15_008, null]);
  });

  test("without auto mTLS only a rule leads over the mesh", () => {
    expect(meshPorts(MESH_OFF)).toEqual([null, null]);
    expect(meshPorts(MESH_OFF, rule("{mode: ISTIO_MUTUAL}"))).toEqual([15_008, 15_008]);
  });
});

describe("upstreamTls()", () => {
  test("the sni of ISTIO_MUTUAL is what a gateway is asked for", () => {
    const named = (tls: string) =>
      cluster(
        snapshotFor(load(service("web", "shop"), ...MEMBERS, rule(tls)), caller("shop")),
        `outbound|8080||${FQDN}`,
      )?.meshServerName;
    expect(named("{mode: ISTIO_MUTUAL, sni: a.com}")).toBe("a.com");
    expect(named("{mode: SIMPLE, sni: a.com}")).toBeUndefined();
  });

  const entry = (host: string, rest = "") =>
    resource(
      "ServiceEntry shop/api",
      `{hosts: ['${host}'], resolution: ${host.startsWith("*") ? "NONE" : "DNS"}, ` +
        `ports: [{number: 80, name: http, protocol: HTTP}]${rest}}`,
    );
  const tlsOf = (tls: string, host = "api.example.com", rest = "") =>
    (cluster(
      snapshotFor(load(entry(host, rest), rule(tls, host)), caller("shop")),
      `outbound|80||${host}`,
    ) as Cluster).tls;

  test("SIMPLE asks for the service's host and verifies it", () => {
    expect(tlsOf("{mode: SIMPLE}")).toEqual({
      sni: "api.example.com",
      certificate: null,
      rootsFile: null,
      names: ["api.example.com"],
      insecure: false,
    });
  });

  test("sni is what is asked for and verified, subjectAltNames are verified instead", () => {
    expect(tlsOf("{mode: SIMPLE, sni: other.example.com}")).toMatchObject({
      sni: "other.example.com",
      names: ["other.example.com"],
    });
    expect(tlsOf("{mode: SIMPLE, sni: b.example.com, subjectAltNames: [c.example.com]}")).toMatchObject({
      sni: "b.example.com",
      names: ["c.example.com"],
    });
  });

  test("the ServiceEntry's subjectAltNames count where the rule has none", () => {
    const names = ", subjectAltNames: [e.example.com]";
    expect(tlsOf("{mode: SIMPLE}", "api.example.com", names)?.names).toEqual(["e.example.com"]);
    expect(tlsOf("{mode: SIMPLE, subjectAltNames: [r.example.com]}", "api.example.com", names)?.names)
      .toEqual(
        ["r.example.com"],
      );
  });

  test("MUTUAL brings the files, SIMPLE leaves them", () => {
    const files = "clientCertificate: /c.pem, privateKey: /k.pem, caCertificates: /ca.pem";
    expect(tlsOf(`{mode: MUTUAL, ${files}}`)).toMatchObject({
      certificate: { chainFile: "/c.pem", keyFile: "/k.pem" },
      rootsFile: "/ca.pem",
    });
  });

  test("a revocation list is a path, a credential a name, with a certificate for MUTUAL alone", () => {
    expect(tlsOf("{mode: SIMPLE, caCrl: /crl.pem}")?.crlFile).toBe("/crl.pem");
    for (const mode of ["SIMPLE", "MUTUAL"]) {
      expect(tlsOf(`{mode: ${mode}, credentialName: partner}`)?.credential)
        .toEqual({ name: "partner", withCertificate: mode === "MUTUAL" });
    }
  });

  test("insecureSkipVerify verifies no name", () => {
    expect(tlsOf("{mode: SIMPLE, insecureSkipVerify: true}")).toMatchObject({ names: [], insecure: true });
  });

  test("a wildcard leaves the name to the request", () => {
    expect(tlsOf("{mode: SIMPLE}", "*.example.com")).toMatchObject({ sni: null, names: [] });
  });

  test("the modes of the mesh are no TLS of their own", () => {
    expect(tlsOf("{mode: DISABLE}")).toBeUndefined();
    expect(tlsOf("{mode: ISTIO_MUTUAL}")).toBeUndefined();
  });
});

describe("resolution", () => {
  const of = (resolution: string, rest = "") => {
    const document = resource(
      "ServiceEntry shop/api",
      `{hosts: [api.example.com], resolution: ${resolution}, ports: [{number: 80, name: http, protocol: HTTP, ` +
        `targetPort: 8443}]${rest}}`,
    );
    const snapshot = snapshotFor(load(document), caller("shop"));
    const set = snapshot.get("endpoints/outbound|80||api.example.com")?.body as EndpointSet;
    const found = cluster(snapshot, "outbound|80||api.example.com");
    return [found?.resolution, ...set.endpoints.map(({ address, port }) => `${address}:${port}`)];
  };

  test("without endpoints the host itself is looked up, but never for STATIC", () => {
    expect(of("DNS")).toEqual([undefined, "api.example.com:8443"]);
    expect(of("DNS_ROUND_ROBIN")).toEqual(["LOGICAL_DNS", "api.example.com:8443"]);
    expect(of("DYNAMIC_DNS")).toEqual([undefined, "api.example.com:8443"]);
    expect(of("NONE")).toEqual(["ON_DEMAND", "api.example.com:8443"]);
    expect(of("STATIC")).toEqual([undefined]);
  });

  test("written endpoints are looked up instead", () => {
    expect(of("DNS", ", endpoints: [{address: a.example.com}, {address: b.example.com, ports: {http: 81}}]"))
      .toEqual([undefined, "a.example.com:8443", "b.example.com:81"]);
  });
});
