/**
 * TLS sessions that were begun before something changed: whoever takes one up again is let in only if a new handshake would
 * let it in. By openssl, at the mesh port and at ports of a gateway; and sidecars themselves take up none.
 */
import { beforeAll, describe, expect } from "bun:test";
import { join } from "node:path";
import { createServer } from "node:tls";
import { AT, edge, OF_THE_MESH, startAliceAndBob } from "./alice_and_bob.ts";
import { bowline, endEverythingAfterwards, scenario, until } from "./bowline.ts";
import { OutsideAuthority, type Pair, replaceFile } from "./certificates.ts";
import { viaSidecar } from "./clients.ts";
import { Mesh } from "./mesh.ts";

/** Certificates are renewed over a quarter of a minute. */
const RENEWED_MS = 30_000;

const mesh = new Mesh("127.0.88");
const ALICE = mesh.address(AT.alice);
const BOB = mesh.address(AT.bob);
const ROGUE = mesh.address(AT.rogue);
const EDGE = mesh.address(AT.edge);
const PORT = { mesh: 15008, istioMutual: 15443, mutual: 8443 } as const;

const authority = new OutsideAuthority(mesh.directory, "authority");
const successor = new OutsideAuthority(mesh.directory, "successor");
const file = (name: string) => join(mesh.directory, name);

/** Its clients may be named by `names`. */
function gateway(names = ""): string {
  return edge(`${OF_THE_MESH}
- port: { number: ${PORT.mutual}, name: https, protocol: HTTPS }
  hosts: [bob.test]
  tls:
    mode: MUTUAL
    serverCertificate: ${file("own.crt")}
    privateKey: ${file("own.key")}
    caCertificates: ${file("clients.crt")}
    caCrl: ${file("clients.crl")}
    subjectAltNames: [${names}]
`);
}

endEverythingAfterwards();

beforeAll(async () => {
  const own = authority.issue("DNS:bob.test");
  replaceFile(file("own.crt"), own.chain);
  replaceFile(file("own.key"), own.key);
  replaceFile(file("clients.crt"), authority.root);
  replaceFile(file("clients.crl"), authority.revoke());
  mesh.write("gateway.yaml", gateway());
  await startAliceAndBob(mesh);
});

interface Asked {
  /** Null: it was not let in. */
  readonly status: number | null;
  readonly resumed: boolean;
}

/** A client of one port, with a certificate and what it keeps of sessions. */
class Client {
  readonly #target: readonly string[];
  readonly #session: string;

  constructor(name: string, address: string, port: number, { chain, key }: Pair, ...args: readonly string[]) {
    this.#session = file(`${name}.session`);
    this.#target = [
      ...["-connect", `${address}:${port}`, "-servername", "bob.test", "-no_ign_eof", ...args],
      ...["-cert", mesh.file(`${name}.crt`, chain), "-key", mesh.file(`${name}.key`, key)],
    ];
  }

  /** A call in a new session, which is kept. */
  begin(): Promise<Asked> {
    return this.#ask("-sess_out", this.#session);
  }

  /** A call in the session that was kept. */
  resume(): Promise<Asked> {
    return this.#ask("-sess_in", this.#session);
  }

  /** A call in a new session, which is not kept. */
  afresh(): Promise<Asked> {
    return this.#ask();
  }

  async #ask(...args: readonly string[]): Promise<Asked> {
    const child = Bun.spawn(["openssl", "s_client", ...this.#target, ...args], {
      ...{ stdin: "pipe", stdout: "pipe", stderr: "ignore" },
    });
    try {
      child.stdin.write(
        "GET / HTTP/1.1\r\nHost: bob.test\r\nConnection: close\r\nx-bowline-port: 8080\r\n\r\n",
      );
      // Its end would be the client's good-bye before the answer is there.
      await child.stdin.flush();
    } catch (error) {
      // One that is refused may be gone already.
      if ((error as NodeJS.ErrnoException).code !== "EPIPE") throw error;
    }
    const text = await new Response(child.stdout).text();
    child.stdin.end();
    await child.exited;
    const status = /HTTP\/1\.1 (\d+)/.exec(text)?.[1];
    return { status: status === undefined ? null : Number(status), resumed: /^Reused, /m.test(text) };
  }
}

/** Those whose session stands. */
async function begun(...clients: Client[]): Promise<Client[]> {
  for (const client of clients) expect(await client.begin()).toEqual({ status: 200, resumed: false });
  return clients;
}

/** Nobody gets in who would not in a new handshake. */
async function shutOut(clients: readonly Client[]): Promise<void> {
  for (const client of clients) {
    await until(
      "a new handshake is refused",
      async () => (await client.afresh()).status === null,
      RENEWED_MS,
    );
    expect((await client.resume()).status).toBe(null);
    expect((await client.resume()).status).toBe(null);
  }
}

describe("a session of a client from outside", () => {
  const VERSIONS = ["-tls1_2", "-tls1_3"] as const;

  function outside(name: string): Client[] {
    const pair = authority.issue("DNS:client.test");
    return VERSIONS.map((version) => new Client(name + version, EDGE, PORT.mutual, pair, version));
  }

  scenario("is taken up again, or is not, but is no worse than a new one", async () => {
    for (const client of await begun(...outside("good"))) expect((await client.resume()).status).toBe(200);
  });

  scenario("lets nobody in whose name is asked for no more", async () => {
    const clients = await begun(...outside("renamed"));
    mesh.write("gateway.yaml", gateway("other.test"));
    await shutOut(clients);
    mesh.write("gateway.yaml", gateway());
    for (const client of clients) {
      await until("it is let in again", async () => (await client.afresh()).status === 200);
      expect((await client.resume()).status).toBe(200);
    }
  });

  scenario("lets nobody in who was revoked", async () => {
    const pair = authority.issue("DNS:client.test");
    const revoked = VERSIONS.map((version) =>
      new Client(`revoked${version}`, EDGE, PORT.mutual, pair, version)
    );
    await begun(...revoked);
    replaceFile(file("clients.crl"), authority.revoke(pair));
    await shutOut(revoked);
    replaceFile(file("clients.crl"), authority.revoke());
  });

  scenario("lets nobody in of a CA that is trusted no more", async () => {
    const [first] = outside("old");
    await until("the list is read", async () => (await (first as Client).afresh()).status === 200);
    const clients = await begun(...outside("old"));
    replaceFile(file("clients.crl"), successor.revoke());
    replaceFile(file("clients.crt"), successor.root);
    await shutOut(clients);
  });
});

describe("a session of a peer of the mesh", () => {
  scenario("lets nobody in with a certificate of a root that is gone", async () => {
    const old = mesh.identityOf("shop/alice");
    const clients = await begun(
      new Client("old-mesh", BOB, PORT.mesh, old),
      new Client("old-edge", EDGE, PORT.istioMutual, old),
    );
    for (const client of clients) expect((await client.resume()).status).toBe(200);
    const rotate = (step: string) => bowline(["ca", "rotate", step, "--data", mesh.controlPlaneData]);
    expect((await rotate("start")).code).toBe(0);
    await until("the rollover can end", async () => (await rotate("finish")).code === 0, RENEWED_MS);
    await shutOut(clients);
    expect((await viaSidecar(ALICE, "bob")).status).toBe(200);
  });

  scenario("lets nobody in who was revoked", async () => {
    const own = mesh.identityOf("shop/alice");
    const clients = await begun(
      new Client("revoked-mesh", BOB, PORT.mesh, own),
      new Client("revoked-edge", EDGE, PORT.istioMutual, own),
    );
    const revoke = [
      "cert",
      "revoke",
      "spiffe://cluster.local/ns/shop/sa/alice",
      "--data",
      mesh.controlPlaneData,
    ];
    expect((await bowline(revoke)).code).toBe(0);
    await shutOut(clients);
  });
});

describe("a sidecar that calls", () => {
  scenario("takes up no session: each server proves itself anew", async () => {
    const resumed: boolean[] = [];
    const sidecar = await mesh.startSidecar("shop/rogue", { at: 12 });
    await sidecar.end();
    const { key, chain } = mesh.identityOf("shop/rogue");
    const server = createServer({ key, cert: chain, ALPNProtocols: ["h2"] }, (socket) => {
      resumed.push(socket.isSessionReused());
      socket.on("error", () => {});
      socket.on("data", () => socket.destroy());
    });
    await new Promise<void>((resolve) => server.listen(15008, ROGUE, resolve));
    for (let i = 0; i < 5; i++) expect((await viaSidecar(BOB, "rogue")).status).toBe(503);
    await new Promise((resolve) => server.close(resolve));
    expect(resumed.length).toBeGreaterThan(1);
    expect(resumed).not.toContain(true);
  });
});
