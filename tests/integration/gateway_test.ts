/** A gateway as those outside the mesh see it: ports, certificates by server name, hosts, redirects, bytes, reloads. */
import { beforeAll, describe, expect } from "bun:test";
import { X509Certificate } from "node:crypto";
import { mkdirSync } from "node:fs";
import { createServer as createTcpServer } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { join } from "node:path";
import { type Echo, startEcho } from "./apps.ts";
import { afterwards, type Bowline, bowline, endEverythingAfterwards, scenario, until } from "./bowline.ts";
import { OutsideAuthority, replaceFile, shownCertificate } from "./certificates.ts";
import { curl, exchange, RawConnection, runCurl, viaSidecar } from "./clients.ts";
import { gateway, ingress, routes, TO_WEB } from "./gateways.ts";
import { Mesh } from "./mesh.ts";
import { service, workload } from "./resources.ts";

const mesh = new Mesh("127.0.39");
const WEB = mesh.address(11);
const GATEWAY = mesh.address(20);
const CLIENT = mesh.address(12);
const OUTSIDE = mesh.address(30);
let proxy: Bowline;
const PORT = { http: 8080, https: 8443, tcp: 9000, taken: 9001, late: 9002 };

const authority = new OutsideAuthority(mesh.directory, "authority");
const stranger = new OutsideAuthority(mesh.directory, "stranger");
const credentials = join(mesh.directory, "credentials");

endEverythingAfterwards();

const file = (name: string) => join(mesh.directory, name);

const SERVERS = `
- port: { number: ${PORT.http}, name: http, protocol: HTTP }
  hosts: ["plain.test", "shop/scoped.test", "other/elsewhere.test"]
- port: { number: ${PORT.http}, name: redirect, protocol: HTTP }
  hosts: ["secure.test"]
  tls: { httpsRedirect: true }
- port: { number: ${PORT.https}, name: a, protocol: HTTPS }
  hosts: ["a.test"]
  tls: { mode: SIMPLE, serverCertificate: ${file("a.crt")}, privateKey: ${file("a.key")} }
- port: { number: ${PORT.https}, name: b, protocol: HTTPS }
  hosts: ["*.b.test"]
  tls: { mode: SIMPLE, credentialName: b, minProtocolVersion: TLSV1_3 }
- port: { number: ${PORT.https}, name: mutual, protocol: HTTPS }
  hosts: ["mutual.test"]
  tls: { mode: MUTUAL, credentialName: mutual, subjectAltNames: ["client.test"] }
- port: { number: ${PORT.https}, name: optional, protocol: HTTPS }
  hosts: ["optional.test"]
  tls: { mode: OPTIONAL_MUTUAL, credentialName: optional, subjectAltNames: ["client.test"] }
- port: { number: ${PORT.https}, name: both, protocol: HTTPS }
  hosts: ["both.test"]
  tls:
    mode: SIMPLE
    tlsCertificates:
    - { serverCertificate: ${file("rsa.crt")}, privateKey: ${file("rsa.key")} }
    - { serverCertificate: ${file("ec.crt")}, privateKey: ${file("ec.key")} }
- port: { number: ${PORT.https}, name: either, protocol: HTTPS }
  hosts: ["either.test"]
  tls: { mode: MUTUAL, credentialNames: [either-ec, either-rsa] }
- port: { number: ${PORT.https}, name: passed, protocol: TLS }
  hosts: ["passed.test"]
  tls: { mode: PASSTHROUGH }
- port: { number: ${PORT.tcp}, name: tcp, protocol: TCP }
  hosts: ["*"]
`;

function writeCredential(name: string, pair: { chain: string; key: string }, roots?: string): void {
  const directory = join(credentials, name);
  mkdirSync(directory, { recursive: true });
  replaceFile(join(directory, "tls.key"), pair.key);
  replaceFile(join(directory, "tls.crt"), pair.chain);
  if (roots !== undefined) replaceFile(join(directory, "ca.crt"), roots);
}

/** Listens with a server of node. */
function listen(server: ReturnType<typeof createTcpServer>, address: string, port: number): Promise<void> {
  afterwards(() => server.close());
  return new Promise((resolve) => server.listen(port, address, resolve));
}

beforeAll(async () => {
  const a = authority.issue("DNS:a.test");
  replaceFile(file("a.crt"), a.chain);
  replaceFile(file("a.key"), a.key);
  const pairs = { rsa: authority.issueRsa("DNS:both.test"), ec: authority.issue("DNS:both.test") };
  for (const [name, pair] of Object.entries(pairs)) {
    replaceFile(file(`${name}.crt`), pair.chain);
    replaceFile(file(`${name}.key`), pair.key);
  }
  writeCredential("either-ec", authority.issue("DNS:either.test"), authority.root);
  writeCredential("either-rsa", authority.issueRsa("DNS:either.test"));
  writeCredential("b", authority.issue("DNS:*.b.test"));
  writeCredential("mutual", authority.issue("DNS:mutual.test"), authority.root);
  writeCredential("optional", authority.issue("DNS:optional.test"), authority.root);
  mesh.write(
    "mesh.yaml",
    service("web"),
    service("plain-app", 7000),
    workload("web", WEB),
    workload("client", CLIENT),
    ingress(GATEWAY),
    `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: outside, namespace: shop }
spec:
  hosts: [outside.test]
  ports:
  - { number: 443, name: tls, protocol: TLS, targetPort: 7443 }
  - { number: 7000, name: tcp, protocol: TCP }
  resolution: STATIC
  endpoints: [{ address: ${OUTSIDE} }]
`,
  );
  mesh.write("gateway.yaml", gateway("main", SERVERS));
  const passed = `
tls:
- match: [{ sniHosts: [passed.test], port: ${PORT.https} }]
  route: [{ destination: { host: outside.test, port: { number: 443 } } }]
`;
  const bytes = `
tcp:
- match: [{ port: ${PORT.tcp} }]
  route: [{ destination: { host: outside.test, port: { number: 7000 } } }]
`;
  mesh.write(
    "routes.yaml",
    routes(
      "plain",
      "plain.test",
      `
http:
- match: [{ uri: { prefix: /only-mesh }, gateways: [mesh] }]
  route: [{ destination: { host: nobody } }]
- match: [{ uri: { prefix: /answer } }]
  directResponse: { status: 418 }
- route: [{ destination: { host: web } }]
`,
      "edge/main, mesh",
    ),
    routes("scoped", "scoped.test", TO_WEB),
    routes("elsewhere", "elsewhere.test", TO_WEB),
    routes("a", "a.test", TO_WEB),
    routes("b", "*.b.test", TO_WEB),
    routes("both", "both.test", TO_WEB),
    routes("either", "either.test", TO_WEB),
    routes("mutual", "mutual.test", TO_WEB),
    routes("optional", "optional.test", TO_WEB),
    routes("passed", "passed.test", passed),
    routes("bytes", "bytes.test", bytes),
  );
  const outside = authority.issue("DNS:passed.test");
  await listen(
    createTlsServer({ cert: outside.chain, key: outside.key }, (socket) => socket.end("from outside\n")),
    OUTSIDE,
    7443,
  );
  await listen(createTcpServer((socket) => socket.end("bytes from outside\n")), OUTSIDE, 7000);
  await mesh.startControlPlane();
  [proxy] = await Promise.all([
    mesh.startSidecar("edge/ingress", { at: 20, role: "gateway", credentials, workers: 1 }),
    mesh.startSidecar("shop/web", { at: 11 }),
    mesh.startSidecar("shop/client", { at: 12 }),
    startEcho("web", WEB),
  ]);
  await mesh.untilSynced(3);
});

/** A request to the plain port. */
function plain(host: string, path = "/", ...args: readonly string[]) {
  return curl("-H", `Host: ${host}`, ...args, `http://${GATEWAY}:${PORT.http}${path}`);
}

const secure = (host: string, ...args: readonly string[]) => [
  ...["--resolve", `${host}:${PORT.https}:${GATEWAY}`, "--cacert", authority.rootFile],
  ...[...args, `https://${host}:${PORT.https}/x`],
];

describe("HTTP", () => {
  scenario("a host of the gateway leads into the mesh, over mTLS", async () => {
    const { status, body, headers } = await plain("plain.test", "/x?y=1");
    const echo = JSON.parse(body) as Echo;
    expect([status, echo.app, echo.path]).toEqual([200, "web", "/x?y=1"]);
    expect(echo.headers["x-forwarded-for"]).toBe("127.0.0.1");
    expect(echo.headers["x-forwarded-proto"]).toBe("http");
    expect(echo.headers["x-forwarded-client-cert"]).toContain("ns/edge/sa/ingress");
    expect(Object.keys(headers).filter((name) => name.startsWith("x-bowline"))).toEqual([]);
  });

  scenario("what a client says of itself is not believed", async () => {
    const answer = await plain(
      "plain.test:8080",
      "/",
      ...["-H", "x-forwarded-for: 203.0.113.9", "-H", "x-forwarded-proto: https", "-H", "x-request-id: mine"],
      ...["-H", "x-envoy-original-path: /admin", "-H", "x-bowline-peer: a;b;c"],
      ...["-H", "x-forwarded-client-cert: URI=spiffe://cluster.local/ns/shop/sa/admin"],
    );
    const { headers } = JSON.parse(answer.body) as Echo;
    expect(headers["x-forwarded-for"]).toBe("203.0.113.9,127.0.0.1");
    expect(headers["x-forwarded-proto"]).toBe("http");
    expect(headers["x-request-id"]).not.toBe("mine");
    expect(headers["x-envoy-original-path"]).toBeUndefined();
    expect(headers["x-forwarded-client-cert"]).not.toContain("admin");
  });

  scenario("rules for the mesh are not for the gateway, and the others are", async () => {
    expect((await plain("plain.test", "/only-mesh")).status).toBe(200);
    expect((await plain("plain.test", "/answer")).status).toBe(418);
    expect((await viaSidecar(CLIENT, "plain.test", "/only-mesh")).status).toBe(503);
  });

  scenario("hosts that it does not have, or not for that namespace, are 404", async () => {
    expect((await plain("scoped.test")).status).toBe(200);
    const unknown = await plain("unknown.test");
    expect([unknown.status, unknown.headers["x-bowline-reply"]]).toEqual([404, undefined]);
    expect((await plain("elsewhere.test")).status).toBe(404);
    expect((await plain("a.test")).status).toBe(404);
  });

  scenario("it is no proxy to anywhere", async () => {
    const answer = await exchange(
      GATEWAY,
      PORT.http,
      "CONNECT plain.test:80 HTTP/1.1\r\nhost: plain.test\r\nconnection: close\r\n\r\n",
    );
    expect(answer.text).toStartWith("HTTP/1.1 404 ");
  });

  scenario("plain requests are redirected where the server says so", async () => {
    const { status, headers } = await plain("secure.test", "/x?y=1");
    expect([status, headers["location"]]).toEqual([301, ["https://secure.test/x?y=1"]]);
  });
});

describe("TLS", () => {
  const client = (name: string, pair: { chain: string; key: string }) => [
    ...["--cert", mesh.file(`${name}.crt`, pair.chain), "--key", mesh.file(`${name}.key`, pair.key)],
  ];

  scenario("each server name has its own certificate, and HTTP/2 by ALPN", async () => {
    for (const [host, version] of [["a.test", "--http2"], ["x.b.test", "--http1.1"]] as const) {
      const { status, body } = await curl(...secure(host, version));
      const echo = JSON.parse(body) as Echo;
      expect([status, echo.headers["x-forwarded-proto"]]).toEqual([200, "https"]);
    }
    const { stdout } = await runCurl(["-s", "-o", "/dev/null", "-w", "%{http_version}", ...secure("a.test")]);
    expect(stdout).toBe("2");
  });

  scenario("a server name that no server has is closed, and a host of another server is 404", async () => {
    expect((await runCurl(["-sk", ...secure("nobody.test")])).code).not.toBe(0);
    expect((await curl(...secure("a.test", "-H", "Host: mutual.test"))).status).toBe(404);
  });

  scenario("of two certificates a client is shown one whose key it can verify", async () => {
    const kindShown = async (host: string, ...args: readonly string[]) =>
      new X509Certificate(await shownCertificate(GATEWAY, PORT.https, host, ...args)).publicKey
        .asymmetricKeyType;
    for (const version of ["-tls1_2", "-tls1_3"]) {
      expect(await kindShown("both.test", version, "-sigalgs", "RSA-PSS+SHA256:RSA+SHA256")).toBe("rsa");
      expect(await kindShown("both.test", version, "-sigalgs", "ECDSA+SHA256")).toBe("ec");
    }
    expect((await curl(...secure("both.test"))).status).toBe(200);
    const good = client("either", authority.issue("DNS:client.test"));
    for (const algorithm of ["RSA-PSS+SHA256", "ECDSA+SHA256"]) {
      expect(await kindShown("either.test", "-sigalgs", algorithm)).toBe(
        algorithm.startsWith("RSA") ? "rsa" : "ec",
      );
    }
    expect((await curl(...secure("either.test", ...good))).status).toBe(200);
    expect((await runCurl(["-s", ...secure("either.test")])).code).not.toBe(0);
  });

  scenario("a server that asks for TLS 1.3 takes no older one, and others take 1.2", async () => {
    expect((await runCurl(["-s", "--tls-max", "1.2", ...secure("x.b.test")])).code).not.toBe(0);
    expect((await curl(...secure("a.test", "--tls-max", "1.2"))).status).toBe(200);
    expect((await runCurl(["-s", "--tls-max", "1.1", ...secure("a.test")])).code).not.toBe(0);
  });

  scenario("MUTUAL lets in who shows a certificate of the CA with one of the names", async () => {
    const good = client("good", authority.issue("DNS:client.test"));
    const { status, body } = await curl(...secure("mutual.test", ...good));
    expect(status).toBe(200);
    const { headers } = JSON.parse(body) as Echo;
    expect(headers["x-forwarded-client-cert"]).toMatch(/^Hash=\w{64};[^,]*DNS=client\.test,By=spiffe:/);
    const wrongName = client("wrong", authority.issue("DNS:other.test"));
    const wrongAuthority = client("stranger", stranger.issue("DNS:client.test"));
    for (const bad of [[], wrongName, wrongAuthority]) {
      expect((await runCurl(["-s", ...secure("mutual.test", ...bad)])).code).not.toBe(0);
    }
  });

  scenario("OPTIONAL_MUTUAL also lets in who shows none, but nobody who shows a bad one", async () => {
    const good = client("good", authority.issue("DNS:client.test"));
    for (const shown of [good, []]) {
      expect((await curl(...secure("optional.test", ...shown))).status).toBe(200);
    }
    const wrongName = client("wrong", authority.issue("DNS:other.test"));
    const wrongAuthority = client("stranger", stranger.issue("DNS:client.test"));
    for (const bad of [wrongName, wrongAuthority]) {
      expect((await runCurl(["-s", ...secure("optional.test", ...bad)])).code).not.toBe(0);
    }
  });

  scenario("PASSTHROUGH leads to where the server name says, and decrypts nothing", async () => {
    const { stdout } = await runCurl([...secure("passed.test", "-s", "--http0.9")]);
    expect(stdout).toBe("from outside\n");
  });

  scenario("plain text and silence at a port of TLS are closed", async () => {
    const { text, closed } = await exchange(GATEWAY, PORT.https, "GET / HTTP/1.1\r\nhost: a.test\r\n\r\n");
    expect([text, closed]).toEqual(["", true]);
  });
});

describe("TCP", () => {
  scenario("bytes go where the rule for the port says", async () => {
    expect((await exchange(GATEWAY, PORT.tcp, "hello")).text).toBe("bytes from outside\n");
  });
});

describe("policies of the gateway's own workload", () => {
  const rule = (name: string, rule: string) =>
    `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ${name}, namespace: edge }
spec: { selector: { matchLabels: { istio: ingressgateway } }, action: DENY, rules: [${rule}] }
`;
  const from = (address: string) => ["--interface", address];
  const BLOCKED = mesh.address(41);
  const HIDDEN = mesh.address(42);

  scenario("refuse by path, address and name in TLS, whatever the client says, and bytes too", async () => {
    mesh.write(
      "policies.yaml",
      rule("path", '{ to: [{ operation: { paths: ["/secret"] } }] }'),
      rule("peer", `{ from: [{ source: { ipBlocks: [${BLOCKED}] } }] }`),
      rule("client", `{ from: [{ source: { remoteIpBlocks: [${HIDDEN}] } }] }`),
      rule("sni", '{ when: [{ key: connection.sni, values: ["Y.b.test"] }] }'),
      rule("port", `{ to: [{ operation: { ports: ["${PORT.tcp}"] } }] }`),
    );
    await until("the policies hold", async () => (await plain("plain.test", "/secret")).status === 403);
    for (const version of ["--http1.1", "--http2-prior-knowledge"]) {
      for (const path of ["/secret", "/x/../secret", "//secret", "/secret;a=b", "/%73ecret"]) {
        expect([path, (await plain("plain.test", path, version, "--path-as-is")).status]).toEqual([
          path,
          403,
        ]);
      }
      for (const address of [BLOCKED, HIDDEN]) {
        const claim = ["-H", "X-Forwarded-For: 10.0.0.1", version, ...from(address)];
        expect((await plain("plain.test", "/", ...claim)).status).toBe(403);
      }
      expect((await plain("plain.test", "/", version, "-H", `X-Forwarded-For: ${HIDDEN}`)).status).toBe(200);
    }
    const grpc = ["--http2-prior-knowledge", "-X", "POST", "-H", "content-type: application/grpc"];
    expect((await plain("plain.test", "/secret", ...grpc)).headers["grpc-status"]).toEqual(["7"]);
    expect((await curl(...secure("y.b.test"))).status).toBe(403);
    expect((await curl(...secure("x.b.test"))).status).toBe(200);
    expect((await exchange(GATEWAY, PORT.tcp, "hello")).text).toBe("");
    mesh.write("policies.yaml", "");
    await until("the policies are gone", async () => (await plain("plain.test", "/secret")).status === 200);
    expect((await exchange(GATEWAY, PORT.tcp, "hello")).text).toBe("bytes from outside\n");
  });
});

describe("changes", () => {
  scenario("a renewed certificate is shown without a failed request, and a broken one is not", async () => {
    let failed = 0;
    let done = 0;
    let over = false;
    const load = Array.from({ length: 3 }, async () => {
      while (!over) {
        if ((await runCurl(["-sf", "-o", "/dev/null", ...secure("a.test")])).code !== 0) failed++;
        done++;
      }
    });
    const shown = async () => await shownCertificate(GATEWAY, PORT.https, "a.test");
    const first = await shown();
    const next = authority.issue("DNS:a.test");
    replaceFile(file("a.crt"), next.chain);
    replaceFile(file("a.key"), next.key);
    await until("the new certificate is shown", async () => (await shown()) !== first);
    const second = await shown();
    replaceFile(file("a.key"), "broken");
    await proxy.says("the key is no PEM private key");
    expect(await shown()).toBe(second);
    over = true;
    await Promise.all(load);
    expect(failed).toBe(0);
    expect(done).toBeGreaterThan(10);
  });

  scenario(
    "ports open and close with Gateways; one that is taken is shown, and keeps no other shut",
    async () => {
      const occupied = createTcpServer((socket) => socket.end("occupied"));
      await listen(occupied, GATEWAY, PORT.taken);
      const server = (name: string, number: number) =>
        `- port: { number: ${number}, name: ${name}, protocol: HTTP }\n  hosts: ["plain.test"]\n`;
      mesh.write(
        "late.yaml",
        gateway("late", server("taken", PORT.taken) + server("late", PORT.late)),
        routes("late", "plain.test", TO_WEB, "edge/late"),
      );
      const late = () => runCurl(["-s", "-H", "Host: plain.test", `http://${GATEWAY}:${PORT.late}/`]);
      await until("the late port serves", async () => (await late()).code === 0);
      expect((await exchange(GATEWAY, PORT.taken, "")).text).toBe("occupied");
      expect((await plain("plain.test")).status).toBe(200);
      await until("the control plane shows the port that is shut", async () => {
        const [gateway] = (await mesh.proxies()).filter(({ address }) => address === GATEWAY);
        return gateway?.shutPorts[0]?.port === PORT.taken;
      });
      const shown = await bowline(["proxy-status", "--data", mesh.controlPlaneData]);
      expect(shown.stderr).toContain(
        `has its port ${PORT.taken} shut: Cannot listen on ${GATEWAY}:${PORT.taken}: another process already does`,
      );
      const idle = new RawConnection(GATEWAY, PORT.late);
      const busy = new RawConnection(GATEWAY, PORT.late);
      idle.send("GET / HTTP/1.1\r\nHost: plain.test\r\n\r\n");
      expect(await idle.read(/"app"/)).not.toContain("connection: close");
      busy.send("POST / HTTP/1.1\r\nHost: plain.test\r\nContent-Length: 4\r\n\r\nha");
      mesh.write("late.yaml", "");
      await until("the late port is closed", async () => (await late()).code === 7);
      await until("what was idle is closed", () => idle.closed);
      busy.send("lf");
      expect(await busy.read(/"app"/)).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*\r\nconnection: close\r\n/);
      await until("what was busy is closed too", () => busy.closed);
      await until("no port is shut any more", async () => {
        const [gateway] = (await mesh.proxies()).filter(({ address }) => address === GATEWAY);
        return gateway?.shutPorts.length === 0;
      });
      expect((await plain("plain.test")).status).toBe(200);
    },
  );
});
