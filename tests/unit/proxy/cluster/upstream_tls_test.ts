/** Connections to real TLS servers outside the mesh: who is let in, who is refused, and which files are read when. */
import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server, type TlsOptions } from "node:tls";
import { type AddressInfo, createServer as createPlainServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { UpstreamTls } from "../../../../src/model/upstream_tls.ts";
import { ConnectAttempt, type HostAddress } from "../../../../src/proxy/cluster/connect_attempt.ts";
import { TlsFiles } from "../../../../src/proxy/cluster/tls_files.ts";
import { systemClock } from "../../../../src/lib/clock.ts";
import { connect } from "../../../../src/runtime/socket.ts";
import { NOBODY, type TlsWire } from "../../../../src/runtime/wire.ts";
import { TestAuthority, type TlsLeaf } from "../../identity/odd_certificates.ts";

const directory = mkdtempSync(join(tmpdir(), "bowline-tls-"));
const authority = await TestAuthority.make();
const stranger = await TestAuthority.make("CN=stranger");
const names = [{ type: "dns", value: "api.test" }] as const;
const good = await authority.issue({ names: [...names] });
const another = await authority.issue({});
const servers: (Server | ReturnType<typeof createPlainServer>)[] = [];

afterAll(() => {
  for (const server of servers) server.close();
  rmSync(directory, { recursive: true });
});

function file(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

const ROOTS = file("roots.pem", authority.roots);

/** A server with a certificate; what clients ask for by SNI is written down. */
async function serve(
  leaf: TlsLeaf,
  more: TlsOptions = {},
): Promise<{ port: number; asked: (string | false)[] }> {
  const asked: (string | false)[] = [];
  const server = createServer({ key: leaf.key, cert: leaf.chain, ...more }, (socket) => {
    asked.push((socket as unknown as { servername: string | false }).servername);
    socket.on("error", () => {});
    socket.write("hello");
  });
  server.on("tlsClientError", () => {});
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { port: (server.address() as AddressInfo).port, asked };
}

const warnings: string[] = [];

/** `ok PROTOCOL`, or why there was no connection. */
async function attempt(
  port: number,
  tls: Partial<UpstreamTls> = {},
  { protocol = "http1", files = new TlsFiles() }: { protocol?: HostAddress["protocol"]; files?: TlsFiles } =
    {},
): Promise<string> {
  warnings.length = 0;
  const full = {
    sni: "api.test",
    certificate: null,
    rootsFile: ROOTS,
    names: ["api.test"],
    insecure: false,
    ...tls,
  };
  const context = {
    clock: systemClock,
    connect,
    trustDomain: "mesh.test",
    tlsMaterial: () => null,
    tlsFiles: files,
    warn: (message: string) => void warnings.push(message),
  };
  const address = { hostname: "127.0.0.1", port, spiffeId: null, protocol, tls: full } as const;
  const { promise, resolve } = Promise.withResolvers<string>();
  new ConnectAttempt(context, address, {
    ready: (wire) => {
      // A server that refuses our certificate says so only after the handshake, in TLS 1.3.
      const alpn = (wire as TlsWire).alpnProtocol;
      return {
        ...NOBODY,
        onData: () => {
          resolve(`ok ${alpn || "-"}`);
          wire.terminate();
        },
        onEnd: () => resolve("closed"),
        onClose: () => resolve("closed"),
      };
    },
    failed: (reason) => resolve(reason),
  }).start(5_000);
  return await promise;
}

describe("TLS to a server outside the mesh", () => {
  test("a good certificate is accepted, and the server hears the name", async () => {
    const { port, asked } = await serve(good);
    expect(await attempt(port)).toBe("ok -");
    expect(asked).toEqual(["api.test"]);
  });

  test("ALPN offers what the cluster speaks, and HTTP/2 must be agreed on", async () => {
    const both = await serve(good, { ALPNProtocols: ["h2", "http/1.1"] });
    expect(await attempt(both.port)).toBe("ok http/1.1");
    expect(await attempt(both.port, {}, { protocol: "http2" })).toBe("ok h2");
    const none = await serve(good);
    expect(await attempt(none.port, {}, { protocol: "http2" })).toBe("protocol-error");
  });

  test("TLS 1.2 is accepted, 1.1 is not", async () => {
    const old = await serve(good, { minVersion: "TLSv1.2", maxVersion: "TLSv1.2" });
    expect(await attempt(old.port)).toBe("ok -");
    const older = await serve(good, { minVersion: "TLSv1", maxVersion: "TLSv1.1" });
    expect(await attempt(older.port)).toBe("peer-refused");
  });

  test("another authority, an expired certificate, another name are refused", async () => {
    const foreign = await serve(await stranger.issue({ names: [...names] }));
    expect(await attempt(foreign.port)).toBe("peer-refused");
    expect(warnings[0]).toContain("(handshake_failed): TLS does not trust the server's certificate: ");
    const expired = await serve(
      await authority.issue({ names: [...names], notAfterMs: Date.now() - 60_000 }),
    );
    expect(await attempt(expired.port)).toBe("peer-refused");
    expect(warnings[0]).toContain("CERT_HAS_EXPIRED");
    const { port } = await serve(good);
    expect(await attempt(port, { sni: "other.test", names: ["other.test"] })).toBe("peer-refused");
    expect(warnings[0]).toContain("(name_differs)");
    expect(await attempt(port, { names: ["other.test"] })).toBe("peer-refused");
    expect(await attempt(port, { sni: "other.test", names: ["api.test"] })).toBe("ok -");
  });

  test("a name to verify is needed, unless nothing is verified", async () => {
    const { port } = await serve(good);
    expect(await attempt(port, { sni: null, names: [] })).toBe("peer-refused");
    expect(await attempt(port, { sni: null, names: [], rootsFile: null, insecure: true })).toBe("ok -");
  });

  test("without a file of roots the machine's authorities are trusted", async () => {
    const { port } = await serve(good);
    expect(await attempt(port, { rootsFile: null })).toBe("peer-refused");
    const missing = join(directory, "no-such-bundle.pem");
    expect(await attempt(port, { rootsFile: null }, { files: new TlsFiles({ systemRoots: [missing] }) }))
      .toBe(
        "peer-refused",
      );
    expect(
      await attempt(port, { rootsFile: null }, { files: new TlsFiles({ systemRoots: [missing, ROOTS] }) }),
    ).toBe(
      "ok -",
    );
  });

  test("a server that asks for a certificate gets the one on the disk, a new one as soon as it is there", async () => {
    const asks = { requestCert: true, rejectUnauthorized: true, ca: authority.roots };
    const { port } = await serve(good, asks);
    const files = new TlsFiles();
    const wrong = await stranger.issue({});
    const certificate = { chainFile: file("c.pem", wrong.chain), keyFile: file("c.key", wrong.key) };
    expect(await attempt(port)).not.toStartWith("ok");
    expect(await attempt(port, { certificate }, { files })).not.toStartWith("ok");
    const right = await authority.issue({});
    file("c.pem", right.chain);
    file("c.key", right.key);
    expect(await attempt(port, { certificate }, { files })).toBe("ok -");
  });

  test("a key that every user of the machine can read is told, once", async () => {
    const { port } = await serve(good);
    const own = await authority.issue({});
    const certificate = { chainFile: file("own.pem", own.chain), keyFile: file("open.key", own.key) };
    const told: string[] = [];
    const files = new TlsFiles({ warn: (message) => told.push(message) });
    chmodSync(certificate.keyFile, 0o644);
    for (let i = 0; i < 2; i++) expect(await attempt(port, { certificate }, { files })).toBe("ok -");
    expect(told).toEqual([
      `Every user of this machine can read a private key; run: chmod 600 ${certificate.keyFile}`,
    ]);
  });

  test("a file that is not there fails the connection and says which; one that was there goes on", async () => {
    const { port } = await serve(good);
    const rootsFile = join(directory, "missing.pem");
    expect(await attempt(port, { rootsFile })).toBe("connect-failure");
    expect(warnings[0]).toContain(`Cannot read ${rootsFile}: there is no such file`);
    const files = new TlsFiles();
    const passing = file("passing.pem", authority.roots);
    expect(await attempt(port, { rootsFile: passing }, { files })).toBe("ok -");
    rmSync(passing);
    expect(await attempt(port, { rootsFile: passing }, { files })).toBe("ok -");
  });

  test("a certificate on a revocation list is refused, from the moment that the list says so", async () => {
    const { port } = await serve(good);
    const files = new TlsFiles();
    const crlFile = file("list.pem", await authority.revoke());
    expect(await attempt(port, { crlFile }, { files })).toBe("ok -");
    file("list.pem", await authority.revoke(good));
    expect(await attempt(port, { crlFile }, { files })).toBe("peer-refused");
    expect(warnings[0]).toContain("CERT_REVOKED");
    file("list.pem", await stranger.revoke() + await authority.revoke());
    expect(await attempt(port, { crlFile }, { files })).toBe("ok -");
  });

  test.each([
    ["of another authority", () => stranger.revoke(), "UNABLE_TO_GET_CRL"],
    ["that is out of date", () => authority.revoke({ nextUpdateMs: Date.now() - 1_000 }), "CRL_HAS_EXPIRED"],
  ])("a list %s vouches for nobody", async (_, list, code) => {
    const { port } = await serve(good);
    expect(await attempt(port, { crlFile: file("odd.pem", await list()) })).toBe("peer-refused");
    expect(warnings[0]).toContain(code);
  });

  test("a file without a list fails the connection and says so", async () => {
    const { port } = await serve(good);
    const crlFile = file("none.pem", authority.roots);
    expect(await attempt(port, { crlFile })).toBe("connect-failure");
    expect(warnings[0]).toEndWith(`Cannot use ${crlFile}: it has no "BEGIN X509 CRL"`);
  });

  test("a credential is a directory: roots, with MUTUAL a certificate, and a list where there is one", async () => {
    mkdirSync(join(directory, "partner"), { recursive: true });
    const asks = { requestCert: true, rejectUnauthorized: true, ca: authority.roots };
    const { port } = await serve(good, asks);
    const files = new TlsFiles({ credentials: directory });
    const own = await authority.issue({});
    const credential = { name: "partner", withCertificate: true };
    expect(await attempt(port, { credential }, { files })).toBe("connect-failure");
    expect(warnings[0]).toContain("partner/tls.crt: there is no such file");
    file("partner/ca.crt", authority.roots);
    file("partner/tls.crt", own.chain);
    file("partner/tls.key", own.key);
    expect(await attempt(port, { rootsFile: null, credential }, { files })).toBe("ok -");
    const bare = { credential: { ...credential, withCertificate: false } };
    expect(await attempt(port, bare, { files })).not.toStartWith("ok");
    file("partner/ca.crl", await authority.revoke(good));
    expect(await attempt(port, { credential }, { files })).toBe("peer-refused");
    file("partner/tls.key", "none");
    expect(await attempt(port, { credential }, { files })).toBe("connect-failure");
    expect(warnings[0]).toContain("partner/tls.key: the key is no PEM private key");
    expect(await attempt(port, { credential }, { files: new TlsFiles() })).toBe("connect-failure");
    expect(warnings[0]).toContain("start with --credentials");
  });

  test.each([
    ["no PEM\n", good.key, "bad.pem: the certificate is no PEM certificate"],
    [good.chain, "none\n", "bad.key: the key is no PEM private key"],
    [good.chain, another.key, "bad.key: the key is not that of the certificate"],
  ])(
    "a certificate and a key that do not hold fail the connection, and the log says which file and why",
    async (chain, key, why) => {
      const { port } = await serve(good);
      const certificate = { chainFile: file("bad.pem", chain), keyFile: file("bad.key", key) };
      expect(await attempt(port, { certificate })).toBe("connect-failure");
      expect(warnings).toEqual([`No TLS to 127.0.0.1:${port}: ${directory}/${why}`]);
    },
  );

  test("a server that nobody is at is no fault of a certificate", async () => {
    expect(await attempt(1, {})).toBe("connect-failure");
    expect(warnings).toEqual([]);
  });
});

test.each([
  ["in the file system", join(directory, "app.sock"), join(directory, "app.sock")],
  ["with an abstract name", `\0bowline-test-${process.pid}`, `@bowline-test-${process.pid}`],
])("connect() reaches a socket %s", async (_, path, name) => {
  const server = createPlainServer((socket) => void socket.end("here"));
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const { promise, resolve } = Promise.withResolvers<string>();
  connect({ hostname: `unix://${name}`, port: 80 }, null, {
    opened: () => ({ ...NOBODY, onData: (chunk: Buffer) => resolve(String(chunk)) }),
    failed: (error) => resolve(error.message),
  });
  expect(await promise).toBe("here");
});
