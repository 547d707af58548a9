/** The mesh port lets in whoever proves an identity of the trust domain, to the ports that a service declares. */
import { beforeAll, describe, expect } from "bun:test";
import { startEcho } from "./apps.ts";
import { type Bowline, endEverythingAfterwards, scenario, until } from "./bowline.ts";
import { curl, exchange, viaSidecar } from "./clients.ts";
import { Mesh } from "./mesh.ts";
import { service, workload } from "./resources.ts";

const mesh = new Mesh("127.0.4");
const CONTROL_PLANE = mesh.address(9);
const ALICE = mesh.address(10);
const BOB = mesh.address(11);
const CAROL = mesh.address(12);
const GET = "GET / HTTP/1.1\r\nHost: bob\r\nConnection: close\r\n";

let alice: Bowline;
let bob: Bowline;

endEverythingAfterwards();

beforeAll(async () => {
  writeMesh(BOB, CAROL);
  await mesh.startControlPlane();
  [alice, bob] = await Promise.all([
    mesh.startSidecar("shop/alice", { at: 10 }),
    mesh.startSidecar("shop/bob", { at: 11 }),
    mesh.startSidecar("shop/carol", { at: 12 }),
  ]);
  await startEcho("bob", BOB);
  await startEcho("bob's secret", BOB, undefined, 9999);
  await startEcho("carol", CAROL);
  await mesh.untilSynced(3);
});

function writeMesh(bobAt: string, carolAt: string): void {
  mesh.write(
    "mesh.yaml",
    ...[service("bob"), service("carol"), workload("alice", ALICE)],
    ...[workload("bob", bobAt), workload("carol", carolAt)],
  );
}

/** Files with what a sidecar shows: its certificate, its key, the roots. */
function credentials(name: string): string[] {
  const { key, chain, roots } = mesh.identityOf(`shop/${name}`);
  return [
    ...["-cert", mesh.file(`${name}.crt`, chain), "-key", mesh.file(`${name}.key`, key)],
    ...["-CAfile", mesh.file(`${name}.roots`, roots), "-verify_return_error"],
  ];
}

/** A certificate for alice's identity that another authority signed. */
async function forged(): Promise<string[]> {
  const key = mesh.file("forged.key", "");
  const certificate = mesh.file("forged.crt", "");
  await openssl(
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"],
    ...["-keyout", key, "-out", certificate, "-subj", "/O=forger"],
    ...["-addext", "subjectAltName=critical,URI:spiffe://cluster.local/ns/shop/sa/alice"],
  );
  return ["-cert", certificate, "-key", key];
}

async function openssl(...args: readonly string[]): Promise<string> {
  const child = Bun.spawn(["openssl", ...args], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (child.exitCode !== 0) throw new Error(`openssl ${args[0]}: ${stderr}`);
  return stdout;
}

/** Sends a request over TLS, by OpenSSL's own client, and returns what came back of it. */
async function overTls(
  address: string,
  port: number,
  args: readonly string[],
  request: string,
): Promise<string> {
  const child = Bun.spawn(
    ["openssl", "s_client", "-connect", `${address}:${port}`, "-quiet", "-no_ign_eof", ...args],
    { stdin: "pipe", stdout: "pipe", stderr: "ignore" },
  );
  child.stdin.write(request);
  // Its end would be the client's good-bye before the answer is there.
  child.stdin.flush();
  const text = await new Response(child.stdout).text();
  child.stdin.end();
  await child.exited;
  return text;
}

describe("port 15008 in front of a workload", () => {
  scenario("a call from sidecar to sidecar arrives", async () => {
    const answer = await viaSidecar(ALICE, "bob");
    expect([answer.status, JSON.parse(answer.body).app]).toEqual([200, "bob"]);
  });

  scenario("a peer with a certificate of the mesh gets through to a declared port", async () => {
    const answer = await overTls(BOB, 15008, credentials("alice"), `${GET}x-bowline-port: 8080\r\n\r\n`);
    expect(answer).toStartWith("HTTP/1.1 200 ");
    expect(answer).toContain('"app":"bob"');
  });

  scenario("and the same over HTTP/2", async () => {
    const [, certificate, , key] = credentials("alice") as [string, string, string, string];
    const { body, headers } = await curl(
      ...["--http2", "--insecure", "--cert", certificate, "--key", key, "-H", "x-bowline-port: 8080"],
      ...["--write-out", '%{stderr}{"status":%{http_code},"headers":{"version":["%{http_version}"]}}'],
      `https://${BOB}:15008/`,
    );
    expect([JSON.parse(body).app, headers["version"]]).toEqual(["bob", ["2"]]);
  });

  scenario("a port that no service declares is refused, for a peer of the mesh too", async () => {
    for (const port of ["9999", "15000", "22", "0", "-1", ""]) {
      const answer = await overTls(
        ...[BOB, 15008, credentials("alice"), `${GET}x-bowline-port: ${port}\r\n\r\n`] as const,
      );
      expect(answer).toStartWith("HTTP/1.1 404 ");
      expect(answer).toContain("x-bowline-reply: NR route_not_found; inbound shop/bob");
    }
    // Who names no port means the only one that there is.
    expect(await overTls(BOB, 15008, credentials("alice"), `${GET}\r\n`)).toStartWith("HTTP/1.1 200 ");
  });

  scenario("plain text gets no answer and a closed connection", async () => {
    const { text, closed } = await exchange(BOB, 15008, `${GET}x-bowline-port: 8080\r\n\r\n`);
    expect(closed).toBe(true);
    expect(text).not.toContain("HTTP/");
  });

  scenario("TLS without a client certificate is refused", async () => {
    expect(await overTls(BOB, 15008, [], `${GET}x-bowline-port: 8080\r\n\r\n`)).toBe("");
  });

  scenario("a certificate of another authority is refused, whatever identity it claims", async () => {
    expect(await overTls(BOB, 15008, await forged(), `${GET}x-bowline-port: 8080\r\n\r\n`)).toBe("");
  });

  scenario("and after all that bob still answers", async () => {
    expect((await viaSidecar(ALICE, "bob")).status).toBe(200);
    expect(bob.isAlive).toBe(true);
  });
});

describe("port 15012 of the control plane", () => {
  const post = (path: string) =>
    `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}`;

  scenario("without a certificate there is the trust bundle, and nothing more", async () => {
    const bundle = await overTls(
      ...[
        CONTROL_PLANE,
        15012,
        [],
        "GET /v1/trust-bundle HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
      ] as const,
    );
    expect(bundle).toContain("BEGIN CERTIFICATE");
    expect(bundle).not.toContain("PRIVATE KEY");
    for (const path of ["/v1/discovery", "/v1/report", "/v1/renew"]) {
      expect(await overTls(CONTROL_PLANE, 15012, [], post(path))).toStartWith("HTTP/1.1 401 ");
    }
  });

  scenario("a certificate of another authority is refused", async () => {
    expect(await overTls(CONTROL_PLANE, 15012, await forged(), post("/v1/report"))).toBe("");
  });

  scenario("TLS 1.2 is refused, here and at a workload", async () => {
    expect(await overTls(CONTROL_PLANE, 15012, ["-tls1_2"], post("/v1/report"))).toBe("");
    const peer = [...credentials("alice"), "-tls1_2"];
    expect(await overTls(BOB, 15008, peer, `${GET}x-bowline-port: 8080\r\n\r\n`)).toBe("");
  });

  scenario("a workload cannot speak for another: its stream is refused", async () => {
    const hello = JSON.stringify({
      ...{ type: "hello", protocol: 1, version: "0", role: "sidecar", workload: "shop/bob" },
      ...{ address: ALICE, meshPort: 15008, known: {} },
    }) + "\n";
    const head =
      `POST /v1/discovery HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: ${hello.length}`;
    const answer = await overTls(CONTROL_PLANE, 15012, credentials("alice"), `${head}\r\n\r\n${hello}`);
    expect(answer).toContain('"type":"refusal"');
    expect(answer).not.toContain('"type":"push"');
  });
});

describe("the caller checks who answers", () => {
  scenario("a peer with another identity than discovery says: 503 UF, and a line in the log", async () => {
    writeMesh(CAROL, BOB);
    await until("the swapped addresses are live", async () => {
      return (await viaSidecar(ALICE, "bob")).status === 503;
    });
    const { headers, body } = await viaSidecar(ALICE, "bob");
    expect(headers["x-bowline-reply"]?.[0]).toStartWith("UF");
    expect(body).not.toContain("carol");
    await alice.says(`Refused the peer at ${CAROL}:15008`);
    expect(alice.stderr).toContain("spiffe://cluster.local/ns/shop/sa/carol");
  });

  scenario("and with the right addresses calls arrive again", async () => {
    writeMesh(BOB, CAROL);
    await until("bob answers", async () => (await viaSidecar(ALICE, "bob")).status === 200);
  });
});
