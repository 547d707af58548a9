/**
 * Certificates that must not be believed, shown to each port that asks for one and by a server that a sidecar calls. All
 * but one are signed by the mesh's own CA, whose key the test has: TLS finds nothing wrong with most of them.
 */
import { beforeAll, describe, expect } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { connect, createServer } from "node:tls";
import { derElement } from "../../src/identity/der_writer.ts";
import { istioFiles, makeAuthority, writeFiles } from "../unit/citadel/authority/plugged_files.ts";
import {
  type OddLeaf,
  SERVER_ONLY,
  TestAuthority,
  type TlsLeaf,
  x509,
} from "../unit/identity/odd_certificates.ts";
import { AT, edge, OF_THE_MESH, startAliceAndBob } from "./alice_and_bob.ts";
import { afterwards, type Bowline, bowline, endEverythingAfterwards, scenario, until } from "./bowline.ts";
import { viaSidecar } from "./clients.ts";
import { Mesh } from "./mesh.ts";
import { authorizationPolicy, meshConfig } from "./resources.ts";

const HOUR_MS = 3_600_000;
const ID = "spiffe://cluster.local/ns/shop/sa/alice";
const ROGUE_ID = "spiffe://cluster.local/ns/shop/sa/rogue";

const mesh = new Mesh("127.0.71");
const CONTROL_PLANE = mesh.address(9);
const ALICE = mesh.address(AT.alice);
const BOB = mesh.address(AT.bob);
const ROGUE = mesh.address(AT.rogue);
const EDGE = mesh.address(AT.edge);

const now = { notBeforeMs: Date.now() - HOUR_MS, notAfterMs: Date.now() + 1_000 * HOUR_MS };
const root = await makeAuthority({ ...now, name: "CN=Example root" });
const plugged = writeFiles(istioFiles(root, root.pem, root.pem));
const authority = TestAuthority.of(root.keys, root.certificate);
const impostor = await TestAuthority.make("CN=Example root");

let alice: Bowline;
let bob: Bowline;

endEverythingAfterwards();
afterwards(() => rmSync(plugged, { recursive: true }));

beforeAll(async () => {
  mesh.write("gateway.yaml", edge(OF_THE_MESH));
  [alice, bob] = await startAliceAndBob(mesh, "--ca", plugged);
});

const uri = (value: string) => ({ type: "url", value }) as const;

function otherName(id: string): x509.Extension {
  const text = derElement(0x0c, new TextEncoder().encode(id));
  const oid = derElement(0x06, Uint8Array.of(0x2a, 0x03));
  return new x509.Extension(
    "2.5.29.17",
    false,
    derElement(0x30, derElement(0xa0, oid, derElement(0xa0, text))),
  );
}

/** By what is wrong with them. */
function oddLeaves(id: string): [what: string, leaf: OddLeaf, by?: TestAuthority][] {
  return [
    ["one that expired", { names: [uri(id)], notAfterMs: Date.now() - 60_000 }],
    ["one of the future", { names: [uri(id)], notBeforeMs: Date.now() + HOUR_MS / 2 }],
    ["one of another CA of the same name", { names: [uri(id)] }, impostor],
    ["one of another trust domain", { names: [uri(id.replace("cluster.local", "other.local"))] }],
    ["one that can sign", { names: [uri(id)], isCa: true }],
    ["one without a purpose", { names: [uri(id)], purposes: [] }],
    ["a DNS name that spells an identity", { names: [{ type: "dns", value: id }] }],
    ["an address of mail that spells one", { names: [{ type: "email", value: id }] }],
    ["an otherName that spells one", { more: [otherName(id)] }],
    ["two identities", { names: [uri(id), uri(`${id}2`)] }],
    ["the same identity twice", { names: [uri(id), uri(id)] }],
    ["a NUL behind the identity", { names: [uri(`${id}\0`)] }],
    ["a NUL within it", { names: [uri(id.replace("/sa/", "/sa/\0"))] }],
    ["no name", {}],
  ];
}

const BY_CLIENTS: typeof BY_SERVERS = [
  ...oddLeaves(ID),
  ["one for servers only", { names: [uri(ID)], purposes: SERVER_ONLY }],
];
const BY_SERVERS = [
  ...oddLeaves(ROGUE_ID),
  ["one for clients only", { names: [uri(ROGUE_ID)], purposes: [x509.ExtendedKeyUsage.clientAuth] }],
  ["one of another workload", { names: [uri(ID)] }],
] as ReturnType<typeof oddLeaves>;

/** All that a TLS server answers to a request; empty where it refused the client. */
function overTls(
  host: string,
  port: number,
  leaf: Pick<TlsLeaf, "key" | "chain"> | null,
  request: string,
): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    const own = leaf === null ? {} : { key: leaf.key, cert: leaf.chain };
    const servername = "bob.test";
    const socket = connect({ host, port, servername, ca: root.pem, ...own, rejectUnauthorized: false });
    socket.on("data", (chunk: Uint8Array) => text += new TextDecoder("latin1").decode(chunk));
    socket.on("secureConnect", () => socket.write(request));
    socket.on("error", () => {});
    socket.on("close", () => resolve(text));
  });
}

/** What a caller gets by its sidecar, and how many requests the server was sent. */
async function callThrough(leaf: TlsLeaf): Promise<{ status: number; flags: string; bytes: number }> {
  let bytes = 0;
  const server = createServer({
    ...{ key: leaf.key, cert: leaf.chain, ca: root.pem },
    ...{ requestCert: true, rejectUnauthorized: false, ALPNProtocols: ["h2"] },
  }, (socket) => {
    socket.on("error", () => {});
    socket.on("data", (chunk: Uint8Array) => {
      bytes += chunk.length;
      socket.destroy();
    });
  });
  await new Promise<void>((resolve) => server.listen(15008, ROGUE, resolve));
  try {
    const { status, headers } = await viaSidecar(ALICE, "rogue");
    return { status, flags: headers["x-bowline-reply"]?.[0]?.split(" ")[0] ?? "", bytes };
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}

const CALL = "GET / HTTP/1.1\r\nHost: bob:8080\r\nConnection: close\r\n\r\n";
const CALL_IN = CALL.replace("bob:8080", "bob.test");
const REPORT = "POST /v1/report HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\nConnection: close\r\n\r\n" +
  '{"edges":[]}';

describe("a client of the mesh port, of the control plane and of a gateway", () => {
  scenario(
    "with a good certificate of that CA is let in: what follows differs in one thing each",
    async () => {
      const good = await authority.issue({ names: [uri(ID)] });
      expect(await overTls(BOB, 15008, good, CALL)).toStartWith("HTTP/1.1 200 ");
      expect(await overTls(CONTROL_PLANE, 15012, good, REPORT)).toStartWith("HTTP/1.1 204 ");
      expect(await overTls(EDGE, 15443, good, CALL_IN)).toStartWith("HTTP/1.1 200 ");
    },
  );

  scenario("without a certificate gets nothing of them", async () => {
    expect(await overTls(BOB, 15008, null, CALL)).toBe("");
    expect(await overTls(CONTROL_PLANE, 15012, null, REPORT)).toStartWith("HTTP/1.1 401 ");
    expect(await overTls(EDGE, 15443, null, CALL_IN)).toBe("");
  });

  for (const [what, leaf, by = authority] of BY_CLIENTS) {
    scenario(`with ${what} gets nothing of them`, async () => {
      const odd = await by.issue(leaf);
      expect(await overTls(BOB, 15008, odd, CALL)).toBe("");
      expect(await overTls(CONTROL_PLANE, 15012, odd, REPORT)).not.toMatch(/^HTTP\/1\.1 2/);
      expect(await overTls(EDGE, 15443, odd, CALL_IN)).toBe("");
    });
  }
});

describe("a server that a sidecar takes for a workload", () => {
  for (const [what, leaf, by = authority] of BY_SERVERS) {
    scenario(`with ${what} is sent no request`, async () => {
      const { status, flags, bytes } = await callThrough(await by.issue(leaf));
      expect({ status, flags: flags.split(",")[0], bytes }).toEqual({ status: 503, flags: "UF", bytes: 0 });
    });
  }

  scenario("and the good workload is called as before", async () => {
    expect((await viaSidecar(ALICE, "bob")).status).toBe(200);
    expect([alice.isAlive, bob.isAlive]).toEqual([true, true]);
  });
});

describe("another name of the trust domain", () => {
  const aliased = ID.replace("cluster.local", "old.local");
  const named = (aliases: string) =>
    meshConfig(`{ trustDomain: cluster.local, trustDomainAliases: [${aliases}] }`);

  scenario("is believed once the MeshConfig says so, by callers, by callees and by policies", async () => {
    mesh.write("mesh-config.yaml", named("old.local"));
    mesh.write(
      "policy.yaml",
      authorizationPolicy(
        "a",
        "{ rules: [{ from: [{ source: { principals: [cluster.local/ns/shop/sa/alice] } }] }] }",
      ),
    );
    const leaf = await authority.issue({ names: [uri(aliased)] });
    await until(
      "the alias is let in",
      async () => (await overTls(BOB, 15008, leaf, CALL)).startsWith("HTTP/1.1 200 "),
    );
    const other = await authority.issue({ names: [uri(aliased.replace("alice", "mallory"))] });
    await until(
      "the policy holds for others of the alias",
      async () => (await overTls(BOB, 15008, other, CALL)).startsWith("HTTP/1.1 403 "),
    );
    const server = await authority.issue({ names: [uri(ROGUE_ID.replace("cluster.local", "old.local"))] });
    await until("the caller takes the alias too", async () => (await callThrough(server)).bytes > 0);
  });

  scenario("is refused again when it is no more", async () => {
    mesh.write("mesh-config.yaml", named(""));
    mesh.write("policy.yaml", "");
    const leaf = await authority.issue({ names: [uri(aliased)] });
    await until("the alias is refused", async () => await overTls(BOB, 15008, leaf, CALL) === "");
  });

  scenario("of another mesh is refused as an edit", async () => {
    mesh.write(
      "mesh-config.yaml",
      named("").replace("trustDomain: cluster.local", "trustDomain: x.test"),
    );
    await mesh.controlPlane.says("BOW0034");
    mesh.write("mesh-config.yaml", named(""));
  });
});

describe("a TLS session", () => {
  const session = join(mesh.directory, "session.pem");

  /** Sends a call with alice's own certificate by openssl, which takes up the session if there is one. */
  async function callByOpenssl(...args: readonly string[]): Promise<string> {
    const { key, chain } = mesh.identityOf("shop/alice");
    const credentials = ["-cert", mesh.file("alice.crt", chain), "-key", mesh.file("alice.key", key)];
    const child = Bun.spawn(
      ["openssl", "s_client", "-connect", `${BOB}:15008`, "-no_ign_eof", ...credentials, ...args],
      { stdin: "pipe", stdout: "pipe", stderr: "ignore" },
    );
    child.stdin.write(CALL);
    child.stdin.flush();
    const text = await new Response(child.stdout).text();
    child.stdin.end();
    await child.exited;
    return text;
  }

  scenario("is not resumed past a revocation", async () => {
    expect(await callByOpenssl("-sess_out", session)).toContain("HTTP/1.1 200 ");
    expect(await callByOpenssl("-sess_in", session)).toContain("HTTP/1.1 200 ");
    expect(await overTls(EDGE, 15443, mesh.identityOf("shop/alice"), CALL_IN)).toStartWith("HTTP/1.1 200 ");
    const revoked = await bowline(["cert", "revoke", ID, "--data", mesh.controlPlaneData]);
    expect(revoked.code).toBe(0);
    await until("a new handshake is refused", async () => !(await callByOpenssl()).includes("HTTP/1.1 "));
    expect(await callByOpenssl("-sess_in", session)).not.toContain("HTTP/1.1 ");
    const { key, chain } = mesh.identityOf("shop/alice");
    await until(
      "a gateway refuses it too",
      async () => await overTls(EDGE, 15443, { key, chain }, CALL_IN) === "",
    );
  });
});
