/** A gateway's server that lets in the clients that it names, by certificate or by public key, until they are revoked. */
import { afterAll, beforeAll, expect } from "bun:test";
import { createHash, X509Certificate } from "node:crypto";
import { join } from "node:path";
import { startEcho, stopEchoes } from "./apps.ts";
import { endEverythingAfterwards, scenario, until } from "./bowline.ts";
import { OutsideAuthority, type Pair, replaceFile } from "./certificates.ts";
import { runCurl } from "./clients.ts";
import { gateway, ingress, routes, TO_WEB } from "./gateways.ts";
import { Mesh } from "./mesh.ts";
import { service, workload } from "./resources.ts";

const mesh = new Mesh("127.0.55");
const WEB = mesh.address(11);
const GATEWAY = mesh.address(20);
const PORT = 8443;
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
    gateway("main", SERVERS),
    routes("pinned", "pinned.test", TO_WEB),
  );
  await startEcho("web", WEB);
  await mesh.startControlPlane();
  await mesh.startSidecar("edge/ingress", { at: 20, role: "gateway", workers: 1 });
  await mesh.untilSynced(1);
});

afterAll(async () => {
  await stopEchoes();
  mesh.remove();
});

/** What a client with this certificate gets; 0: no connection. */
async function status(pair: Pair | null, ...args: readonly string[]): Promise<number> {
  replaceFile(file("me.crt"), pair?.chain ?? "");
  replaceFile(file("me.key"), pair?.key ?? "");
  const shown = pair === null ? [] : ["--cert", file("me.crt"), "--key", file("me.key")];
  const { stdout } = await runCurl([
    ...["-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", authority.rootFile],
    ...["--resolve", `pinned.test:${PORT}:${GATEWAY}`, ...shown, ...args, `https://pinned.test:${PORT}/`],
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

scenario("no PeerAuthentication speaks of a gateway's ports", async () => {
  const peers = (namespace: string) =>
    "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\n" +
    `metadata: { name: peers, namespace: ${namespace} }\nspec: { mtls: { mode: STRICT } }\n`;
  mesh.write("peers.yaml", peers("edge"), peers("istio-system"));
  await mesh.controlPlane.says('"generation":2');
  await mesh.untilSynced(1);
  expect([await status(pinned), await status(null)]).toEqual([200, 200]);
});

scenario("TLS 1.2 has the suites that are named, and no other", async () => {
  const suite = (name: string) => status(pinned, "--tls-max", "1.2", "--ciphers", name);
  expect(await suite("ECDHE-ECDSA-AES256-GCM-SHA384")).toBe(200);
  expect(await suite("ECDHE-ECDSA-AES128-GCM-SHA256")).toBe(0);
});
