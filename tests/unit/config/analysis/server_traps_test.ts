/** What a Gateway's server, or a Sidecar's listener, asks for in vain. */
import { describe, expect, test } from "bun:test";
import { analyze } from "../../../../src/config/analysis/analyzers.ts";
import { resourcesOf, type Written } from "../config_texts.ts";
import { A, findings } from "../found.ts";

function gateway(server: string): Written {
  return ["Gateway", "front", `selector: {app: edge}\nservers: [{hosts: ["*"], ${server}}]`];
}

function codes(code: string, ...written: Written[]): string[] {
  return findings(...written).filter((one) => one.startsWith(code));
}

describe("ownPorts", () => {
  const at = (number: number, more = "") =>
    codes("BOW0074", gateway(`port: {number: ${number}, name: a, protocol: HTTP}${more}`));

  test.each([15_000, 15_021, 15_090])("a gateway has the port %d for itself", (number) => {
    expect(at(number)).toEqual(["BOW0074 spec.servers[0].port.number"]);
  });

  test.each([15_001, 15_006, 15_008, 15_020, 80])("a server may have the port %d", (number) => {
    expect(at(number)).toEqual([]);
  });

  test("a socket is no port", () => {
    expect(codes("BOW0074", gateway("port: {name: a, protocol: HTTP}, bind: 'unix:///a'"))).toEqual([]);
  });

  test.each([15_000, 15_001, 15_006, 15_008, 15_021, 15_090])(
    "a sidecar has the port %d for itself",
    (number) => {
      const port = `port: {number: ${number}, name: a, protocol: HTTP}`;
      const sidecar = (spec: string): Written => ["Sidecar", "s", spec];
      const ingress = `ingress: [{${port}, defaultEndpoint: "127.0.0.1:8080"}]`;
      expect(codes("BOW0074", sidecar(ingress))).toEqual(["BOW0074 spec.ingress[0].port.number"]);
      const egress = (mode: string) => sidecar(`egress: [{${port}, captureMode: ${mode}, hosts: ["*/*"]}]`);
      expect(codes("BOW0074", egress("NONE"))).toEqual(["BOW0074 spec.egress[0].port.number"]);
      expect(codes("BOW0074", egress("DEFAULT"))).toEqual([]);
    },
  );
});

describe("idleRedirects", () => {
  const redirecting = (protocol: string, tls: string) =>
    gateway(`port: {number: 443, name: a, protocol: ${protocol}}, tls: {httpsRedirect: true${tls}}`);

  test.each([["HTTPS", ", mode: SIMPLE, credentialName: a"], ["TLS", ""]])(
    "%s redirects nobody, and has rules of its own as any other",
    (protocol, tls) => {
      expect(findings(redirecting(protocol, tls)).filter((one) => one.startsWith("BOW"))).toEqual([
        "BOW0057 spec.servers[0].tls.httpsRedirect",
        "BOW0072 spec.servers[0].hosts",
      ]);
    },
  );

  test("HTTP does, and HTTPS behind a proxy that says what the client spoke", () => {
    expect(codes("BOW0057", redirecting("HTTP", ""))).toEqual([]);
    const mesh: Written = ["MeshConfig", "mesh", "defaultConfig: {gatewayTopology: {numTrustedProxies: 1}}"];
    expect(codes("BOW0057", mesh, redirecting("HTTPS", ", mode: SIMPLE, credentialName: a"))).toEqual([]);
  });
});

describe("sidecarEgress", () => {
  const hints = (namespace: string) =>
    analyze(resourcesOf([A, ["Sidecar", "s", `egress: [{hosts: ["${namespace}/*"]}]`]]))
      .filter(({ code }) => code === "IST0101").map(({ hint }) => hint);

  test("a namespace without services is told where its name looks like another's, else there may be nothing yet", () => {
    expect(hints("tutoral")).toEqual(['did you mean "tutorial/*"?']);
    for (const namespace of ["tutorial", ".", "*", "~", "istio-system"]) expect(hints(namespace)).toEqual([]);
  });
});
