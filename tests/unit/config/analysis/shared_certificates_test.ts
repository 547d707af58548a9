import { describe, expect, test } from "bun:test";
import { analyze } from "../../../../src/config/analysis/analyzers.ts";
import { resourcesOf, type Written } from "../config_texts.ts";

const server = (host: string, tls: string, port = "{number: 443, name: p, protocol: HTTPS}") =>
  `{hosts: [${host}], port: ${port}, tls: {${tls}}}`;
const gateway = (name: string, servers: string, selector = "{istio: edge}"): Written => [
  "Gateway",
  name,
  `selector: ${selector}\nservers: [${servers}]`,
];

function found(...gateways: Written[]): string[] {
  return analyze(resourcesOf(gateways)).filter(({ code }) => code === "IST0138")
    .map(({ resource, field }) => `${resource} ${field}`);
}

describe("sharedCertificates", () => {
  const CREDENTIAL = "mode: SIMPLE, credentialName: all";
  const first = gateway("a", server("a.com", CREDENTIAL));
  const second = (tls: string, selector?: string, port?: string) =>
    found(first, gateway("b", server("b.com", tls, port), selector));

  test("finds two servers at one port with one certificate", () => {
    const where = ["Gateway tutorial/b spec.servers[0].tls"];
    expect(second(CREDENTIAL)).toEqual(where);
    expect(second(CREDENTIAL, "{istio: edge, tier: public}")).toEqual(where);
    expect(second("mode: SIMPLE, credentialNames: [other, all]")).toEqual(where);
    const pem = "mode: SIMPLE, serverCertificate: /c, privateKey: /k";
    expect(found(gateway("a", server("a.com", pem)), gateway("b", server("b.com", pem)))).toEqual(where);
    const pairs = "mode: SIMPLE, tlsCertificates: [{serverCertificate: /c, privateKey: /k}]";
    expect(found(gateway("a", server("a.com", pem)), gateway("b", server("b.com", pairs)))).toEqual(where);
  });

  test("says nothing of other certificates, gateways, ports and protocols", () => {
    expect(second("mode: SIMPLE, credentialName: b")).toEqual([]);
    expect(second(CREDENTIAL, "{istio: other}")).toEqual([]);
    expect(second(CREDENTIAL, undefined, "{number: 8443, name: p, protocol: HTTPS}")).toEqual([]);
    expect(second(CREDENTIAL, undefined, "{number: 443, name: p, protocol: TLS}")).toEqual([]);
    expect(second("mode: PASSTHROUGH")).toEqual([]);
  });
});
