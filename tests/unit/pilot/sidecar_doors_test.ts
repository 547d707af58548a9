/** Ports that a Sidecar asks for, and the TLS that ends at them. */
import { describe, expect, test } from "bun:test";
import type { ProxySettings } from "../../../src/model/snapshot.ts";
import { caller, load, resource, service, snapshotFor } from "./fixture.ts";

function settings(sidecar: string, ...more: string[]): ProxySettings {
  const resources = load(
    service("web", "shop", "{name: http, port: 80}"),
    resource("Sidecar shop/default", `{${sidecar}}`),
    ...more,
  );
  return snapshotFor(resources, caller("shop", { app: "web" })).get("proxy/self")?.body as ProxySettings;
}

/** The modes of ports of \`web\`. */
function peers(modes: string): string {
  return resource(
    "PeerAuthentication shop/web",
    `{selector: {matchLabels: {app: web}}, portLevelMtls: {${modes}}}`,
  ).replace("networking.istio.io", "security.istio.io");
}

describe("doorsOf()", () => {
  test("only listeners that are not captured are ports of the sidecar's own", () => {
    expect(settings("ingress: [{port: {number: 80}}], egress: [{port: {number: 81}, hosts: [./*]}]").doors)
      .toBeUndefined();
  });

  test("an ingress is at the workload's address, an egress on loopback, unless it says where", () => {
    const { address, doors } = settings(`
      ingress: [{port: {number: 80}, captureMode: NONE}, {port: {number: 82}, captureMode: NONE, bind: 10.0.0.9}],
      egress: [{port: {number: 3306, protocol: MYSQL}, captureMode: NONE, hosts: [./*]},
        {port: {number: 443, protocol: TLS}, captureMode: NONE, bind: 127.0.0.2, hosts: [./*]}, {hosts: [./*]}]`);
    expect(doors).toEqual([
      { side: "inbound", bind: address, port: 80, protocol: "auto" },
      { side: "inbound", bind: "10.0.0.9", port: 82, protocol: "auto" },
      { side: "outbound", bind: "127.0.0.1", port: 3306, protocol: "tcp" },
      { side: "outbound", bind: "127.0.0.2", port: 443, protocol: "tls" },
    ]);
  });
});

describe("doorsOf() at sockets", () => {
  const egress = (protocol: string, host: string) =>
    `egress: [{port: {protocol: ${protocol}}, bind: "unix:///run/a.sock", hosts: ["${host}"]}]`;

  test("there is no port, and bytes are for the only host", () => {
    const socket = { side: "outbound", bind: "unix:///run/a.sock", port: 0 } as const;
    const host = "web.shop.svc.cluster.local";
    expect(settings(egress("HTTP", "./web")).doors).toEqual([{ ...socket, protocol: "http" }]);
    expect(settings(egress("TCP", "./web")).doors).toEqual([{ ...socket, protocol: "tcp", host }]);
    expect(settings(egress("TLS", "./*")).doors).toEqual([{ ...socket, protocol: "tls" }]);
  });

  test("all ports of the hosts are seen", () => {
    const two = service("two", "shop", "{name: http, port: 80}, {name: more, port: 81}");
    const other = '{port: {number: 81}, hosts: ["./web"]}';
    const resources = load(
      two,
      resource("Sidecar shop/default", `{${egress("HTTP", "./two").replace("]}]", `]}, ${other}]`)}}`),
    );
    const hosts = [...snapshotFor(resources, caller("shop", {})).keys()].filter((key) =>
      /^virtualHost/.test(key)
    );
    expect(hosts).toEqual([
      "virtualHost/two.shop.svc.cluster.local:80",
      "virtualHost/two.shop.svc.cluster.local:81",
    ]);
  });
});

describe("inboundPorts() with TLS of ingress", () => {
  const ingress = (protocol: string) =>
    `ingress: [{port: {number: 443, protocol: ${protocol}}, tls: {mode: SIMPLE, credentialName: web}}]`;

  test.each(
    [
      ["HTTPS", "http"],
      ["TLS", "tcp"],
      ["HTTP", "http"],
    ] as const,
  )("of %s is left %s where mutual TLS is off", (protocol, declared) => {
    const [port] = settings(ingress(protocol), peers("443: {mode: DISABLE}")).inbound;
    expect(port).toMatchObject({
      ...{ port: 443, declared },
      tls: { clients: "anonymous", certificate: { type: "credential", name: "web", withRoots: false } },
    });
  });

  test.each(["", "443: {mode: PERMISSIVE}", "443: {mode: STRICT}", "80: {mode: DISABLE}"])(
    "says nothing with %s",
    (modes) => {
      const [port] = settings(ingress("HTTPS"), ...(modes === "" ? [] : [peers(modes)])).inbound;
      expect(port).toMatchObject({ port: 443, declared: "tls" });
      expect(port?.tls).toBeUndefined();
    },
  );
});
