/** The traps of the kinds about services, workloads, gateways and the mesh that show in their schemas. */
import { describe, expect, test } from "bun:test";
import { specFaults, specOf } from "../config_texts.ts";

describe("ServiceEntry", () => {
  const faults = (spec: string) => specFaults("ServiceEntry", spec);
  const HTTP = "ports: [{number: 80, name: http, protocol: HTTP}]";
  const TCP = "ports: [{number: 9000, name: tcp, protocol: TCP}]";

  test("each resolution takes the endpoints that it can use", () => {
    expect(faults(`hosts: [a.com]\n${HTTP}\nresolution: DNS`)).toEqual([]);
    expect(faults(`hosts: [a.com]\n${HTTP}\nresolution: STATIC\nendpoints: [{address: b.com}]`)[0]).toContain(
      "resolution STATIC does not look up",
    );
    expect(faults(`hosts: ["*.a.com"]\n${HTTP}\nresolution: DNS`)[0]).toContain("cannot be looked up in DNS");
    expect(faults(`hosts: ["*.a.com"]\n${HTTP}\nresolution: DYNAMIC_DNS`)).toEqual([]);
    expect(faults(`hosts: [a.com]\n${HTTP}\nresolution: DNS\naddresses: [10.0.0.0/8]`)).toHaveLength(1);
    const two = "endpoints: [{address: b.com}, {address: c.com}]";
    expect(faults(`hosts: [a.com]\n${HTTP}\nresolution: DNS_ROUND_ROBIN\n${two}`)).toHaveLength(1);
  });

  test("several hosts on a TCP port are told apart by nothing", () => {
    expect(faults(`hosts: [a.com, b.com]\n${TCP}\nresolution: STATIC`)[0]).toContain(
      "spec.ports[0]: nothing tells",
    );
    expect(faults(`hosts: [a.com, b.com]\n${TCP}`)).toEqual([]);
    expect(faults(`hosts: [a.com, b.com]\n${HTTP}\nresolution: STATIC`)).toEqual([]);
  });

  test("an endpoint's ports are those of the service", () => {
    const endpoint = "resolution: STATIC\nendpoints: [{address: 10.0.0.1, ports: {https: 1}}]";
    expect(faults(`hosts: [a.com]\n${HTTP}\n${endpoint}`)).toEqual([
      'IST0106 spec.endpoints[0].ports.https: the service has no port "https"; it has http',
    ]);
  });

  test("a protocol that is empty is one that is not said", () => {
    const spec = 'hosts: [a.com]\nports: [{number: 1, name: a, protocol: ""}]';
    expect(specOf("ServiceEntry", spec).ports[0]?.protocol).toBe("TCP");
  });

  test("a socket stands for the one port of a service, and is not looked up", () => {
    const socket = (rest: string) => `hosts: [a.com]\nendpoints: [{address: unix:///run/a${rest}}]`;
    expect(faults(`${socket("")}\n${HTTP}\nresolution: STATIC`)).toEqual([]);
    expect(faults(`${socket(", ports: {http: 1}")}\n${HTTP}\nresolution: STATIC`)[0]).toContain(
      "has no ports",
    );
    expect(faults(`${socket("")}\n${HTTP}\nresolution: DNS`)[0]).toContain("of no use with resolution DNS");
    const two = "ports: [{number: 1, name: a}, {number: 2, name: b}]";
    expect(faults(`${socket("")}\n${two}\nresolution: STATIC`)[0]).toContain("stands for one port");
  });

  test("ports have names of letters, digits and dashes, 63 of them at most", () => {
    const named = (name: string) => faults(`hosts: [a.com]\nports: [{number: 1, name: ${name}}]`);
    expect(named("Http-1")).toEqual([]);
    expect(named("a".repeat(63))).toEqual([]);
    for (const name of ["a".repeat(64), '"a b"', '"@"', "a-", '""']) expect(named(name)).toHaveLength(1);
    expect(specFaults("WorkloadEntry", 'address: 1.2.3.4\nports: {"@": 1}')).toHaveLength(1);
  });
});

describe("WorkloadGroup", () => {
  const group = (rest: string) => `template: {serviceAccount: a}\n${rest}`;

  test("annotations are read, and a probe comes out with Istio's defaults: period 10 s, timeout 1 s, failures 3, successes 1", () => {
    expect(specOf("WorkloadGroup", group("metadata: {annotations: {a: b}}")).metadata.annotations).toEqual({
      a: "b",
    });
    expect(specOf("WorkloadGroup", group("probe: {httpGet: {port: 80}}")).probe).toEqual({
      initialDelaySeconds: 0,
      timeoutSeconds: 1,
      periodSeconds: 10,
      successThreshold: 1,
      failureThreshold: 3,
      method: { type: "httpGet", path: "/", port: 80, host: null, scheme: "HTTP", httpHeaders: [] },
    });
  });

  test("a probe has exactly one method", () => {
    const methodOf = (probe: string) => specOf("WorkloadGroup", group(`probe: {${probe}}`)).probe?.method;
    expect(methodOf("tcpSocket: {port: 1}")).toEqual({ type: "tcpSocket", host: null, port: 1 });
    expect(methodOf("exec: {command: [a, b]}")).toEqual({ type: "exec", command: ["a", "b"] });
    expect(methodOf("grpc: {port: 1}")).toEqual({ type: "grpc", port: 1, service: "" });
    expect(specFaults("WorkloadGroup", group("probe: {}"))).toHaveLength(1);
    expect(specFaults("WorkloadGroup", group("probe: {tcpSocket: {port: 1}, grpc: {port: 1}}"))).toHaveLength(
      1,
    );
    expect(specFaults("WorkloadGroup", group("probe: {exec: {command: []}}"))).toHaveLength(1);
  });

  test("an httpGet probe has nothing in its path or headers that would end the line", () => {
    const httpGet = (rest: string) =>
      specFaults("WorkloadGroup", group(`probe: {httpGet: {port: 80, ${rest}}}`));
    for (const path of ['"/a b"', '"/a\\r\\nx: y"', "/ä"]) expect(httpGet(`path: ${path}`)).toHaveLength(1);
    expect(httpGet('httpHeaders: [{name: a, value: "b\\nc: d"}]')).toHaveLength(1);
    expect(httpGet('httpHeaders: [{name: "a b", value: c}]')).toHaveLength(1);
    expect(httpGet('path: "/a?b=%20", httpHeaders: [{name: a, value: "b c"}]')).toEqual([]);
  });

  test("a template has no address, and labels that those of the metadata go before", () => {
    expect(specFaults("WorkloadGroup", "template: {address: 1.2.3.4}")).toHaveLength(1);
    const labelled = "metadata: {labels: {a: own}}\ntemplate: {labels: {a: x, b: y}}";
    expect(specOf("WorkloadGroup", labelled).metadata.labels).toEqual({ a: "own", b: "y" });
    expect(specFaults("WorkloadGroup", "metadata: {}")[0]).toContain('"template" is required');
  });
});

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

describe("Sidecar", () => {
  test("egress hosts have a namespace, and may be taken out", () => {
    const hosts = specOf("Sidecar", 'egress: [{hosts: ["./*", "*/a.com", "~/*", "~ns/*"]}]').egress[0]?.hosts;
    expect(hosts).toEqual([
      { namespace: ".", host: "*", excluded: false },
      { namespace: "*", host: "a.com", excluded: false },
      { namespace: "~", host: "*", excluded: false },
      { namespace: "ns", host: "*", excluded: true },
    ]);
    for (const host of ["a.com", "./*-dev.a.com", "./*a.com"]) {
      expect(specFaults("Sidecar", `egress: [{hosts: ["${host}"]}]`)[0]).toContain(
        "is not a host with its namespace",
      );
    }
  });

  test("a listener without a port is the last, and the only one", () => {
    const any = '{hosts: ["*/*"]}';
    const one = '{port: {number: 80}, hosts: ["*/*"]}';
    expect(specFaults("Sidecar", `egress: [${one}, ${any}]`)).toEqual([]);
    expect(specFaults("Sidecar", `egress: [${any}, ${one}]`)).toHaveLength(1);
    expect(specFaults("Sidecar", `egress: [${one}, ${one}]`)[0]).toContain("the port 80 has two listeners");
  });

  test("a default endpoint is on the loopback, on the workload's address, or a socket", () => {
    const endpointOf = (text: string) =>
      specOf("Sidecar", `ingress: [{port: {number: 80}, defaultEndpoint: "${text}"}]`).ingress[0]
        ?.defaultEndpoint;
    expect(endpointOf("127.0.0.1:8080")).toEqual({ type: "port", host: "127.0.0.1", port: 8080 });
    expect(endpointOf("0.0.0.0:1")).toEqual({ type: "port", host: "workload", port: 1 });
    expect(endpointOf("[::1]:65535")).toEqual({ type: "port", host: "::1", port: 65_535 });
    expect(endpointOf("unix:///run/a.sock")).toEqual({ type: "unix", path: "/run/a.sock" });
    for (const text of ["10.0.0.1:80", "127.0.0.1:0", "127.0.0.1:65536", "unix://a/"]) {
      expect(() => endpointOf(text)).toThrow("is no endpoint of the workload");
    }
  });

  test.each([
    ["egress", 'bind: 127.0.0.5, captureMode: NONE, hosts: ["./*"]', null],
    ["egress", 'bind: 127.0.0.5, hosts: ["./*"]', "add captureMode: NONE"],
    ["egress", 'bind: 127.0.0.5, captureMode: IPTABLES, hosts: ["./*"]', "add captureMode: NONE"],
    ["ingress", "bind: 10.0.0.1", "add captureMode: NONE"],
    // Programs listen on loopback, where nothing else is said.
    ["ingress", "captureMode: NONE", null],
    ["ingress", "captureMode: NONE, bind: 10.0.0.1", null],
    ["ingress", "captureMode: NONE, bind: 127.0.0.1", "would deliver to itself"],
    ["ingress", "captureMode: NONE, bind: 0.0.0.0", "would deliver to itself"],
    ["ingress", 'captureMode: NONE, bind: "::"', "would deliver to itself"],
    ["ingress", 'captureMode: NONE, bind: 0.0.0.0, defaultEndpoint: "127.0.0.1:81"', null],
    ["ingress", 'captureMode: NONE, bind: 0.0.0.0, defaultEndpoint: "unix:///run/a"', null],
    ["ingress", 'captureMode: NONE, defaultEndpoint: "0.0.0.0:80"', "would deliver to itself"],
    ["ingress", 'captureMode: NONE, bind: 127.0.0.5, defaultEndpoint: "0.0.0.0:80"', null],
  ])("%s of the port 80 with %s", (field, rest, fault) => {
    const found = specFaults("Sidecar", `${field}: [{port: {number: 80}, ${rest}}]`);
    if (fault === null) expect(found).toEqual([]);
    else expect(found).toEqual([expect.stringContaining(fault)]);
  });

  test.each([
    ["{protocol: HTTP}", 'bind: "unix:///run/a.sock", captureMode: NONE', null],
    ["{protocol: HTTP}", 'bind: "unix:///run/a.sock"', null],
    ["{number: 0, protocol: TCP}", 'bind: "unix://@a"', null],
    ["{protocol: HTTP}", `bind: "unix:///${"a".repeat(106)}"`, null],
    ["{protocol: HTTP}", `bind: "unix:///${"a".repeat(107)}"`, "has 107 bytes at most"],
    ["{protocol: HTTP}", 'bind: "unix://a"', "is neither an IP address nor a socket"],
    ["{protocol: HTTP}", 'bind: "unix:///run/a.sock", captureMode: IPTABLES', "never comes to a socket"],
    ["{number: 80}", 'bind: "unix:///run/a.sock"', "a socket has no port"],
    ["null", 'bind: "unix:///run/a.sock"', "a socket needs port"],
    ["{protocol: HTTP}", "captureMode: NONE", "the port has no number"],
    ["{number: 65536}", "captureMode: NONE", "a port is a whole number"],
  ])("an egress of the port %s with %s", (port, rest, fault) => {
    const found = specFaults("Sidecar", `egress: [{port: ${port}, ${rest}, hosts: ["./*"]}]`);
    if (fault === null) expect(found).toEqual([]);
    else expect(found).toEqual([expect.stringContaining(fault)]);
  });

  test("a socket has one listener, and an ingress none", () => {
    const at = (path: string) => `{port: {protocol: HTTP}, bind: "unix://${path}", hosts: ["./*"]}`;
    expect(specFaults("Sidecar", `egress: [${at("/a")}, ${at("/b")}]`)).toEqual([]);
    expect(specFaults("Sidecar", `egress: [${at("/a")}, ${at("/a")}]`)).toEqual([
      expect.stringContaining("the socket has two listeners"),
    ]);
    const ingress = 'ingress: [{port: {number: 80}, captureMode: NONE, bind: "unix:///a"}]';
    expect(specFaults("Sidecar", ingress)[0]).toContain("is not an IPv4 or IPv6 address");
  });

  test("what is dialled has a port", () => {
    expect(specFaults("Sidecar", 'egress: [{captureMode: NONE, hosts: ["./*"]}]')).toEqual([
      expect.stringContaining("captureMode: NONE needs port"),
    ]);
  });

  test("TLS of ingress is SIMPLE or MUTUAL, for a port that says what the workload gets", () => {
    const faults = (tls: string, port = "{number: 443, protocol: HTTPS}") =>
      specFaults("Sidecar", `ingress: [{port: ${port}, tls: {${tls}}}]`);
    const files = "serverCertificate: /c, privateKey: /k";
    expect(faults(`mode: SIMPLE, ${files}`)).toEqual([]);
    expect(faults("mode: SIMPLE, credentialName: a")).toEqual([]);
    expect(faults(`mode: MUTUAL, ${files}, caCertificates: /a`)).toEqual([]);
    expect(faults(`mode: MUTUAL, ${files}`)[0]).toContain("needs caCertificates");
    for (const mode of ["PASSTHROUGH", "ISTIO_MUTUAL", "AUTO_PASSTHROUGH"]) {
      expect(faults(`mode: ${mode}`)).toEqual([expect.stringContaining("is for gateways alone")]);
    }
    expect(faults("mode: SIMPLE, credentialName: a, httpsRedirect: true")).toHaveLength(1);
    expect(faults("mode: SIMPLE, credentialName: a", "{number: 443}")[0]).toContain("write HTTPS or TLS");
  });
});

describe("MeshConfig", () => {
  test("comes out with Istio's defaults", () => {
    expect(specOf("MeshConfig", "trustDomainAliases: [old.local]")).toEqual({
      outboundTrafficPolicy: { mode: "ALLOW_ANY" },
      defaultHttpRetryPolicy: null,
      localityLbSetting: null,
      pathNormalization: { normalization: "DEFAULT" },
      protocolDetectionTimeout: null,
      connectTimeout: 10_000,
      tcpKeepalive: null,
      enableAutoMtls: true,
      trustDomain: null,
      trustDomainAliases: ["old.local"],
      rootNamespace: "istio-system",
      defaultServiceExportTo: [],
      defaultVirtualServiceExportTo: [],
      defaultDestinationRuleExportTo: [],
      extensionProviders: [],
      defaultConfig: {
        concurrency: null,
        gatewayTopology: { numTrustedProxies: 0, forwardClientCertDetails: "UNDEFINED" },
      },
    });
  });

  test("has what stands before gateways", () => {
    const faults = (topology: string) =>
      specFaults("MeshConfig", `defaultConfig: {gatewayTopology: {${topology}}}`);
    expect(faults("numTrustedProxies: 2, forwardClientCertDetails: APPEND_FORWARD")).toEqual([]);
    expect(faults("numTrustedProxies: -1")).toHaveLength(1);
    expect(faults("numTrustedProxies: 1.5")).toHaveLength(1);
    expect(faults("forwardClientCertDetails: FORWARD")).toHaveLength(1);
    expect(faults("proxyProtocol: {}")[0]).toStartWith("BOW0004");
  });

  test("what it does not do is refused by name", () => {
    expect(
      specFaults("MeshConfig", "accessLogFile: /dev/stdout\nenabelAutoMtls: true").map((fault) =>
        fault.slice(0, 7)
      ),
    )
      .toEqual(["BOW0004", "BOW0003"]);
  });
});

test("ProxyConfig has a concurrency", () => {
  expect(specOf("ProxyConfig", "concurrency: 0")).toEqual({ selector: null, concurrency: 0 });
  expect(specFaults("ProxyConfig", "concurrency: -1")).toHaveLength(1);
});
