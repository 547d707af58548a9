/** The traps of Gateways that show in their schema. */
import { describe, expect, test } from "bun:test";
import { specFaults, specOf } from "../config_texts.ts";

describe("Gateway", () => {
  const server = (rest: string) => `selector: {istio: ingress}\nservers: [{${rest}}]`;
  const faults = (rest: string) => specFaults("Gateway", server(rest));
  const port = (protocol: string) => `port: {number: 443, name: a, protocol: ${protocol}}, hosts: ["*"]`;

  test("hosts are whole names, of a namespace that there is", () => {
    const named = (host: string) => faults(`port: {number: 80, name: a, protocol: HTTP}, hosts: ["${host}"]`);
    for (const host of ["a.com", "*", "*.com", "shop/a.com", "./*", "10.0.0.1"]) {
      expect(named(host)).toEqual([]);
    }
    for (const host of ["~/a.com", "a", "shop/a", "a.*.com", "*a.com", "*-dev.a.com"]) {
      expect(named(host)).toHaveLength(1);
    }
  });

  test("a server listens at a port of an address, or at a socket, which has none", () => {
    const bound = (bind: string, number = "number: 80,") =>
      faults(`port: {${number} name: a, protocol: HTTP}, hosts: ["*"], bind: ${bind}`);
    expect(bound("127.0.0.1")).toEqual([]);
    expect(bound("foo.bar")[0]).toStartWith("IST0106 ");
    for (const socket of ['"unix://@gateway"', '"unix:///run/gateway.sock"']) {
      expect(bound(socket, "")).toEqual([]);
      expect(bound(socket, "number: 0,")).toEqual([]);
      expect(bound(socket)).toEqual([expect.stringContaining("a socket has no port")]);
    }
    for (const bind of ["127.0.0.1", "null"]) {
      expect(bound(bind, "number: 0,")).toEqual([expect.stringContaining("the port has no number")]);
    }
    expect(bound('"unix://gateway.sock"', "")).toHaveLength(1);
    expect(bound(`"unix:///${"a".repeat(106)}"`, "")).toEqual([]);
    expect(bound(`"unix:///${"a".repeat(107)}"`, "")).toEqual([
      expect.stringContaining("has 107 bytes at most"),
    ]);
  });

  test("hosts have a namespace, TLS is at least 1.2", () => {
    const spec = server('port: {number: 80, name: http, protocol: http}, hosts: [a.com, ./b.com, "*/*"]');
    expect(specOf("Gateway", spec).servers[0]).toEqual({
      name: null,
      port: { number: 80, protocol: "HTTP", name: "http" },
      bind: null,
      hosts: [
        { namespace: "*", host: "a.com" },
        { namespace: ".", host: "b.com" },
        { namespace: "*", host: "*" },
      ],
      tls: null,
    });
    const files = "serverCertificate: /c, privateKey: /k";
    const tls = specOf("Gateway", server(`${port("HTTPS")}, tls: {mode: SIMPLE, ${files}}`)).servers[0]?.tls;
    expect([tls?.minProtocolVersion, tls?.maxProtocolVersion]).toEqual(["TLSV1_2", "TLSV1_3"]);
    expect(faults(`${port("HTTPS")}, tls: {mode: SIMPLE, ${files}, minProtocolVersion: TLSV1_1}`)[0])
      .toStartWith(
        "BOW0005 ",
      );
  });

  test("a protocol with TLS has settings for it, a plain one only httpsRedirect", () => {
    expect(faults(port("HTTPS"))[0]).toContain("HTTPS needs tls:");
    expect(faults(`${port("HTTP")}, tls: {httpsRedirect: true}`)).toEqual([]);
    expect(faults(`${port("HTTP")}, tls: {mode: SIMPLE, serverCertificate: /c, privateKey: /k}`))
      .toHaveLength(1);
    expect(faults(`${port("TCP")}, tls: {}`)).toHaveLength(1);
    expect(faults(`${port("TLS")}, tls: {}`)).toEqual([]);
  });

  test("each mode has the files that it needs", () => {
    expect(faults(`${port("HTTPS")}, tls: {mode: SIMPLE}`)).toHaveLength(2);
    expect(faults(`${port("HTTPS")}, tls: {mode: SIMPLE, httpsRedirect: true}`)).toHaveLength(2);
    expect(faults(`${port("HTTPS")}, tls: {mode: MUTUAL, serverCertificate: /c, privateKey: /k}`)).toEqual([
      "IST0106 spec.servers[0].tls: the mode MUTUAL needs caCertificates, a path",
    ]);
    expect(faults(`${port("TLS")}, tls: {privateKey: /k}`)[0]).toContain("of no use in the mode PASSTHROUGH");
  });

  test("callers are named by the SHA-256 of their certificates and keys, in the forms that openssl shows", () => {
    const tls = (rest: string, mode = "MUTUAL") =>
      `${
        port("HTTPS")
      }, tls: {mode: ${mode}, serverCertificate: /c, privateKey: /k, caCertificates: /a, ${rest}}`;
    const hash = "AB".repeat(32);
    const colons = Array(32).fill("ab").join(":");
    const base64 = Buffer.from(hash, "hex").toString("base64");
    const all = `verifyCertificateHash: [${hash}, "${colons}"], verifyCertificateSpki: ["${base64}"]`;
    const spec = specOf("Gateway", server(tls(all))).servers[0]?.tls;
    expect([spec?.verifyCertificateHash, spec?.verifyCertificateSpki])
      .toEqual([[hash.toLowerCase(), hash.toLowerCase()], [hash.toLowerCase()]]);
    for (const odd of [hash.slice(2), `${colons}:ab`, hash.replace("AB", "A:"), base64]) {
      expect(faults(tls(`verifyCertificateHash: ["${odd}"]`))[0]).toContain("is no SHA-256 in hex");
    }
    for (const odd of [base64.slice(0, -1), hash, base64.replace("=", " "), "aGFzaA=="]) {
      expect(faults(tls(`verifyCertificateSpki: ["${odd}"]`))[0]).toContain("is no SHA-256 in base64");
    }
    expect(faults(`${port("TLS")}, tls: {verifyCertificateHash: [${hash}]}`)[0]).toContain("of no use");
  });

  test("names of callers are for modes in which they show a certificate", () => {
    const of = (mode: string) =>
      faults(
        `${port("HTTPS")}, tls: {mode: ${mode}, ${
          mode.endsWith("MUTUAL") && mode !== "ISTIO_MUTUAL" || mode === "SIMPLE" ? "credentialName: a, " : ""
        }subjectAltNames: [a.test]}`,
      );
    for (const mode of ["MUTUAL", "OPTIONAL_MUTUAL", "ISTIO_MUTUAL"]) expect(of(mode)).toEqual([]);
    for (const mode of ["SIMPLE", "PASSTHROUGH"]) {
      expect(of(mode)).toEqual([
        `IST0106 spec.servers[0].tls.subjectAltNames: are of no use in the mode ${mode}; callers are asked for no ` +
        "certificate",
      ]);
    }
  });

  test("a revocation list is for those who are asked for certificates", () => {
    const files = "serverCertificate: /c, privateKey: /k, caCertificates: /a, caCrl: /l";
    expect(faults(`${port("HTTPS")}, tls: {mode: MUTUAL, ${files}}`)).toEqual([]);
    expect(faults(`${port("HTTPS")}, tls: {mode: SIMPLE, serverCertificate: /c, privateKey: /k, caCrl: /l}`))
      .toEqual(["IST0106 spec.servers[0].tls.caCrl: is of no use in the mode SIMPLE"]);
    expect(faults(`${port("HTTPS")}, tls: {mode: MUTUAL, credentialName: a, caCrl: /l}`)[0])
      .toContain("name the list ca.crl in the credential's directory");
  });

  test("cipher suites are those with forward secrecy, of TLS 1.2", () => {
    const suites = (names: string, rest = "") =>
      faults(
        `${
          port("HTTPS")
        }, tls: {mode: SIMPLE, serverCertificate: /c, privateKey: /k, cipherSuites: [${names}]${rest}}`,
      );
    expect(suites("ECDHE-ECDSA-AES128-GCM-SHA256, ECDHE-RSA-CHACHA20-POLY1305")).toEqual([]);
    expect(suites("AES128-SHA")[0]).toStartWith("BOW0005 spec.servers[0].tls.cipherSuites[0]: ");
    expect(suites("TLS_AES_128_GCM_SHA256")[0]).toContain("is no cipher suite");
    expect(suites("ECDHE-RSA-AES128-GCM-SHA256", ", minProtocolVersion: TLSV1_3")[0])
      .toContain("of no use in TLS 1.3");
  });

  test("two certificates are for two kinds of keys, in files or as credentials", () => {
    const tls = (text: string) => faults(`${port("HTTPS")}, tls: {${text}}`);
    const pair = (name: string) => `{serverCertificate: /${name}.crt, privateKey: /${name}.key}`;
    const both = `tlsCertificates: [${pair("rsa")}, ${pair("ec")}]`;
    const at = "IST0106 spec.servers[0].tls";
    expect(tls(`mode: SIMPLE, ${both}`)).toEqual([]);
    expect(tls(`mode: SIMPLE, ${both}, caCertificates: /a`)).toEqual([]);
    expect(tls(`mode: MUTUAL, ${both}, caCertificates: /a, caCrl: /l`)).toEqual([]);
    expect(tls(`mode: MUTUAL, ${both}`)).toEqual([`${at}: the mode MUTUAL needs caCertificates, a path`]);
    for (const mode of ["SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL"]) {
      expect(tls(`mode: ${mode}, credentialNames: [rsa, ec]`)).toEqual([]);
    }
    expect(tls("mode: SIMPLE, credentialNames: [a, b, c]")[0]).toContain("has more than 2 certificates");
    expect(tls(`mode: SIMPLE, tlsCertificates: [${pair("a")}, ${pair("b")}, ${pair("c")}]`)[0])
      .toContain("has more than 2 certificates");
    expect(tls("mode: SIMPLE, tlsCertificates: [{serverCertificate: /c}]")).toEqual([
      `${at}.tlsCertificates[0]: the certificate needs privateKey, a path`,
    ]);
    expect(
      tls("mode: SIMPLE, tlsCertificates: [{serverCertificate: /c, privateKey: /k, caCertificates: /a}]"),
    )
      .toHaveLength(1);
  });

  test("a server has its certificates from one place", () => {
    const tls = (text: string) => faults(`${port("HTTPS")}, tls: {${text}}`);
    const at = "IST0106 spec.servers[0].tls";
    const files = "serverCertificate: /c, privateKey: /k";
    const pairs = `tlsCertificates: [{${files}}]`;
    expect(tls(`mode: SIMPLE, credentialName: a, credentialNames: [b]`)).toEqual([
      `${at}.credentialNames: stands beside credentialName, which already says it`,
    ]);
    expect(tls(`mode: SIMPLE, ${pairs}, ${files}`)).toEqual([
      `${at}.serverCertificate: stands beside tlsCertificates, which already says it`,
      `${at}.privateKey: is of no use besides tlsCertificates`,
    ]);
    expect(tls(`mode: MUTUAL, credentialNames: [a], caCrl: /l`)[0])
      .toContain("is of no use besides credentialNames; name the list ca.crl");
    expect(faults(`${port("TLS")}, tls: {credentialNames: [a]}`)[0]).toContain(
      "are of no use in the mode PASSTHROUGH",
    );
    expect(faults(`${port("TLS")}, tls: {${pairs}}`)[0]).toContain("are of no use in the mode PASSTHROUGH");
  });

  test("a credential stands for the files, and nothing else beside it", () => {
    for (const mode of ["SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL"]) {
      expect(faults(`${port("HTTPS")}, tls: {mode: ${mode}, credentialName: a}`)).toEqual([]);
    }
    expect(faults(`${port("HTTPS")}, tls: {mode: SIMPLE, credentialName: a, privateKey: /k}`)).toEqual([
      "IST0106 spec.servers[0].tls.privateKey: is of no use besides credentialName",
    ]);
    expect(faults(`${port("TLS")}, tls: {credentialName: a}`)[0]).toContain(
      "of no use in the mode PASSTHROUGH",
    );
    expect(faults(`${port("HTTPS")}, tls: {mode: SIMPLE, credentialName: ../a}`)).toHaveLength(1);
  });
});
