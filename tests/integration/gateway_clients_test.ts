/**
 * Who may call a gateway: clients that a server names, by certificate or by public key, until they are revoked, and
 * programs of its own machine, at a socket.
 */
import { beforeAll, expect } from "bun:test";
import { createHash, X509Certificate } from "node:crypto";
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { type Echo, startEcho } from "./apps.ts";
import { type Bowline, endEverythingAfterwards, scenario, until } from "./bowline.ts";
import { OutsideAuthority, type Pair, replaceFile } from "./certificates.ts";
import { curl, runCurl } from "./clients.ts";
import { gateway, ingress, routes, TO_WEB } from "./gateways.ts";
import { Mesh } from "./mesh.ts";
import { service, workload } from "./resources.ts";

const mesh = new Mesh("127.0.55");
const WEB = mesh.address(11);
const GATEWAY = mesh.address(20);
const PORT = 8443;
/** The second is not there at first. */
const SOCKETS = { http: "http.sock", https: "https.sock" } as const;
const authority = new OutsideAuthority(mesh.directory, "authority");
const file = (name: string) => join(mesh.directory, name);

endEverythingAfterwards();

/** Named by certificate, by public key, named and revoked, and not at all. */
const [pinned, renewed, dismissed, unnamed] = Array.from(
  { length: 4 },
  () => authority.issue("DNS:client.test"),
) as [Pair, Pair, Pair, Pair];

/** As openssl shows it. */
function fingerprint({ chain }: Pair): string {
  return new X509Certificate(chain).fingerprint256;
}

function publicKeyHash({ chain }: Pair): string {
  const key = new X509Certificate(chain).publicKey.export({ type: "spki", format: "der" });
  return createHash("sha256").update(key).digest("base64");
}

const SERVERS = `
- port: { number: ${PORT}, name: pinned, protocol: HTTPS }
  hosts: ["pinned.test"]
  tls:
    mode: OPTIONAL_MUTUAL
    serverCertificate: ${file("own.crt")}
    privateKey: ${file("own.key")}
    caCertificates: ${authority.rootFile}
    caCrl: ${file("clients.crl")}
    verifyCertificateHash: ["${fingerprint(pinned)}", "${fingerprint(dismissed)}"]
    verifyCertificateSpki: ["${publicKeyHash(renewed)}"]
    cipherSuites: [ECDHE-ECDSA-AES256-GCM-SHA384]
`;

const OF_THE_MESH = ["ingress", "web"].map((name) => `
- port: { number: ${PORT}, name: mesh-${name}, protocol: HTTPS }
  hosts: ["${name}.mesh.test"]
  tls: { mode: ISTIO_MUTUAL, subjectAltNames: ["spiffe://cluster.local/ns/edge/sa/${name}"] }
`).join("").replaceAll("\n\n", "\n");

const AT_SOCKETS = `
- port: { name: local, protocol: HTTP }
  bind: "unix://${file(SOCKETS.http)}"
  hosts: ["local.test"]
`;

const TLS_AT_SOCKET = `
- port: { number: 0, name: local-tls, protocol: HTTPS }
  bind: "unix://${file(SOCKETS.https)}"
  hosts: ["pinned.test"]
  tls: { mode: SIMPLE, serverCertificate: ${file("own.crt")}, privateKey: ${file("own.key")} }
`;

let edge: Bowline;

beforeAll(async () => {
  const own = authority.issue("DNS:pinned.test");
  replaceFile(file("own.crt"), own.chain);
  replaceFile(file("own.key"), own.key);
  replaceFile(file("clients.crl"), authority.revoke(dismissed));
  mesh.write(
    "mesh.yaml",
    service("web"),
    workload("web", WEB, { serviceAccount: null }),
    ingress(GATEWAY),
    gateway("main", SERVERS + OF_THE_MESH.trimStart()),
    gateway("local", AT_SOCKETS),
    routes("pinned", "pinned.test", TO_WEB, "edge/main, edge/local"),
    routes("mesh", "*.mesh.test", TO_WEB, "edge/main"),
    routes("local", "local.test", TO_WEB, "edge/local"),
  );
  await startEcho("web", WEB);
  await mesh.startControlPlane();
  edge = await mesh.startSidecar("edge/ingress", { at: 20, role: "gateway", workers: 2 });
  await mesh.untilSynced(1);
});

function status(pair: Pair | null, ...args: readonly string[]): Promise<number> {
  return statusAt("pinned.test", pair, ...args);
}

/** What a client with this certificate gets; 0: no connection. */
async function statusAt(
  host: string,
  pair: Pick<Pair, "chain" | "key"> | null,
  ...args: readonly string[]
): Promise<number> {
  replaceFile(file("me.crt"), pair?.chain ?? "");
  replaceFile(file("me.key"), pair?.key ?? "");
  const shown = pair === null ? [] : ["--cert", file("me.crt"), "--key", file("me.key")];
  const { stdout } = await runCurl([
    ...["-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", authority.rootFile],
    ...["--resolve", `${host}:${PORT}:${GATEWAY}`, ...shown, ...args, `https://${host}:${PORT}/`],
  ]);
  return Number(stdout);
}

scenario("clients are let in by certificate or public key, and not once they are revoked", async () => {
  expect([await status(pinned), await status(renewed), await status(null)]).toEqual([200, 200, 200]);
  expect([await status(unnamed), await status(dismissed)]).toEqual([0, 0]);
  replaceFile(file("clients.crl"), authority.revoke(dismissed, renewed));
  await until("the new list is read", async () => await status(renewed) === 0);
  expect(await status(pinned)).toBe(200);
});

scenario(
  "workloads of the mesh are let in by their SPIFFE ID, where a server names those that it wants",
  async () => {
    const own = mesh.identityOf("edge/ingress");
    expect(await statusAt("ingress.mesh.test", own, "--insecure")).toBe(200);
    expect(await statusAt("web.mesh.test", own, "--insecure")).toBe(0);
    expect(await statusAt("ingress.mesh.test", null, "--insecure")).toBe(0);
  },
);

scenario("no PeerAuthentication speaks of a gateway's ports", async () => {
  const peers = (namespace: string) =>
    "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\n" +
    `metadata: { name: peers, namespace: ${namespace} }\nspec: { mtls: { mode: STRICT } }\n`;
  mesh.write("peers.yaml", peers("edge"), peers("istio-system"));
  await mesh.controlPlane.says('"generation":2');
  await mesh.untilSynced(1);
  expect([await status(pinned), await status(null)]).toEqual([200, 200]);
});

scenario("programs of the machine come by a socket, and are nobody's address", async () => {
  const path = file(SOCKETS.http);
  expect(statSync(path).mode & 0o777).toBe(0o660);
  for (const version of ["--http1.1", "--http2-prior-knowledge"]) {
    const said = ["-H", "x-forwarded-for: 10.1.2.3"];
    const answer = await curl(version, ...said, "--unix-socket", path, "http://local.test/s");
    const heard = JSON.parse(answer.body) as Echo;
    expect([answer.status, heard.path]).toEqual([200, "/s"]);
    // What a client says of itself is never the last.
    expect(heard.headers["x-forwarded-for"]).toBe("10.1.2.3,unknown");
  }
  expect((await curl("--unix-socket", path, "http://pinned.test/")).status).toBe(404);
});

scenario("a socket comes and goes with its server, with TLS too, and policies hold there", async () => {
  const path = file(SOCKETS.https);
  const ask = () => curl("--unix-socket", path, "--cacert", authority.rootFile, "https://pinned.test/t");
  mesh.write("local.yaml", gateway("tls", TLS_AT_SOCKET), routes("tls", "pinned.test", TO_WEB, "edge/tls"));
  await until("the socket is there", () => Promise.resolve(existsSync(path)));
  expect((await ask()).status).toBe(200);
  const policy = (block: string) =>
    `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: known, namespace: edge }
spec: { action: ALLOW, rules: [{ from: [{ source: { ${block} } }] }] }
`;
  mesh.write("policy.yaml", policy('remoteIpBlocks: ["0.0.0.0/0"]'));
  await until("who has no address is refused", async () => (await ask()).status === 403);
  mesh.write("policy.yaml", policy('notRemoteIpBlocks: ["10.0.0.0/8"]'));
  await until("who is not in a network is let in", async () => (await ask()).status === 200);
  mesh.write("local.yaml");
  mesh.write("policy.yaml");
  await until("the socket is gone", () => Promise.resolve(!existsSync(path)));
});

scenario("TLS 1.2 has the suites that are named, and no other", async () => {
  const suite = (name: string) => status(pinned, "--tls-max", "1.2", "--ciphers", name);
  expect(await suite("ECDHE-ECDSA-AES256-GCM-SHA384")).toBe(200);
  expect(await suite("ECDHE-ECDSA-AES128-GCM-SHA256")).toBe(0);
});

scenario("a gateway that ends leaves no socket behind", async () => {
  expect(await edge.end()).toBe(0);
  expect(existsSync(file(SOCKETS.http))).toBe(false);
});
