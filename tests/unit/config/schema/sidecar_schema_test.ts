/** The traps of Sidecars that show in their schema. */
import { describe, expect, test } from "bun:test";
import { specFaults, specOf } from "../config_texts.ts";

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
