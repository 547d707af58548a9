/** Ports that a Sidecar opens (`captureMode: NONE`): programs dial them, outsiders come by them in plain text or in TLS. */
import { beforeAll, describe, expect } from "bun:test";
import { existsSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { type Echo, startEcho } from "./apps.ts";
import { afterwards, type Bowline, endEverythingAfterwards, scenario, until } from "./bowline.ts";
import { OutsideAuthority } from "./certificates.ts";
import { curl, exchange, runCurl } from "./clients.ts";
import { Mesh } from "./mesh.ts";
import { service, workload } from "./resources.ts";

const mesh = new Mesh("127.0.76");
const FRONT = mesh.address(10);
const WEB = mesh.address(11);
/** What programs dial on the caller's machine. */
const LOCAL = mesh.address(20);
/** What outsiders dial on the callee's. */
const OUTSIDE = mesh.address(21);
const PORT = { app: 8080, other: 8090, bytes: 9000, plain: 8081, tls: 8443, mutual: 8444, taken: 9100 };

const authority = new OutsideAuthority(mesh.directory, "authority");
const file = (name: string) => join(mesh.directory, name);

endEverythingAfterwards();

function sidecar(name: string, spec: string): string {
  return `apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: ${name}, namespace: shop }
spec:
  workloadSelector: { labels: { app: ${name} } }
${spec.trim().split("\n").map((line) => `  ${line}`).join("\n")}
`;
}

const egress = (port: number, protocol: string) =>
  `- { port: { number: ${port}, protocol: ${protocol}, name: p${port} }, captureMode: NONE, bind: ${LOCAL}, ` +
  'hosts: ["./*"] }';

const SOCKET = { http: file("http.sock"), bytes: file("bytes.sock"), taken: file("taken.sock") };

const atSocket = (path: string, protocol: string, host: string) =>
  `- { port: { protocol: ${protocol} }, captureMode: NONE, bind: "unix://${path}", hosts: ["./${host}"] }`;

const EGRESS = `egress:
${egress(PORT.app, "HTTP")}
${egress(PORT.bytes, "TCP")}
${atSocket(SOCKET.http, "HTTP", "*")}
${atSocket(SOCKET.bytes, "TCP", "bytes.shop.svc.cluster.local")}
- hosts: ["./*"]`;

const ingress = (port: number, protocol: string, more = "") =>
  `- { port: { number: ${port}, protocol: ${protocol}, name: p${port} }, captureMode: NONE, bind: ${OUTSIDE}, ` +
  `defaultEndpoint: "0.0.0.0:${PORT.app}"${more} }`;

const CERTIFICATE = `serverCertificate: ${file("door.crt")}, privateKey: ${file("door.key")}`;

const INGRESS = `ingress:
- port: { number: ${PORT.app}, protocol: HTTP, name: http }
${ingress(PORT.plain, "HTTP")}
${ingress(PORT.tls, "HTTPS", `, tls: { mode: SIMPLE, ${CERTIFICATE}, maxProtocolVersion: TLSV1_2 }`)}
${
  ingress(
    PORT.mutual,
    "HTTPS",
    `, tls: { mode: MUTUAL, ${CERTIFICATE}, caCertificates: ${authority.rootFile}, subjectAltNames: [client.test] }`,
  )
}`;

/** `mtls` of each port that differs. */
function authentication(ports: Readonly<Record<number, string>>): string {
  const levels = Object.entries(ports).map(([port, mode]) => `${port}: { mode: ${mode} }`).join(", ");
  return `apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: web, namespace: shop }
spec: { selector: { matchLabels: { app: web } }, portLevelMtls: { ${levels} } }
`;
}

const BYTES = service("bytes", PORT.bytes).replace("name: http", "name: tcp").replace(
  "app: bytes",
  "app: web",
);
const OTHER = service("other", PORT.other).replace("app: other", "app: web").replace(
  `port: ${PORT.other}`,
  `port: ${PORT.other}, targetPort: ${PORT.app}`,
);

function writeMesh(
  options: {
    readonly ingress?: string;
    readonly egress?: string;
    readonly modes?: Readonly<Record<number, string>>;
  } = {},
) {
  const { ingress = INGRESS, egress = EGRESS, modes = { [PORT.tls]: "DISABLE", [PORT.mutual]: "DISABLE" } } =
    options;
  mesh.write(
    "mesh.yaml",
    ...[service("web", PORT.app), BYTES, OTHER, workload("front", FRONT), workload("web", WEB)],
    ...[sidecar("front", egress), sidecar("web", ingress), authentication(modes)],
  );
}

const door = (scheme: string, port: number, ...more: string[]) =>
  curl(
    ...more,
    "--cacert",
    authority.rootFile,
    "--resolve",
    `door.test:${port}:${OUTSIDE}`,
    `${scheme}://door.test:${port}/x`,
  );

/** What the program at the other end was asked. */
const heard = (answer: { readonly body: string }) => JSON.parse(answer.body) as Echo;

let front: Bowline;

beforeAll(async () => {
  const own = authority.issue("DNS:door.test");
  writeFileSync(file("door.crt"), own.chain);
  writeFileSync(file("door.key"), own.key);
  const client = authority.issue("DNS:client.test");
  writeFileSync(file("client.crt"), client.chain);
  writeFileSync(file("client.key"), client.key);
  await startEcho("web", WEB, undefined, PORT.app);
  const bytes = createServer((socket) => socket.on("data", (chunk) => socket.end(`heard ${chunk}`)));
  afterwards(() => bytes.close());
  await new Promise<void>((resolve) => bytes.listen(PORT.bytes, WEB, resolve));
  writeMesh({ ingress: `${INGRESS}\n- port: { number: ${PORT.bytes}, protocol: TCP, name: tcp }` });
  await mesh.startControlPlane();
  front = await mesh.startSidecar("shop/front", { at: 10, workers: 2 });
  await mesh.startSidecar("shop/web", { at: 11 });
  await mesh.untilSynced(2);
});

describe("egress", () => {
  scenario("a request goes to the service that it names, over the mesh", async () => {
    const named = await curl("-H", "Host: web", `http://${LOCAL}:${PORT.app}/a`);
    expect(named.status).toBe(200);
    expect(heard(named)).toMatchObject({ app: "web", path: "/a" });
    expect(heard(named).headers["x-forwarded-client-cert"]).toContain(
      "spiffe://cluster.local/ns/shop/sa/front",
    );
    const full = await curl(
      "-H",
      `Host: web.shop.svc.cluster.local:${PORT.app}`,
      `http://${LOCAL}:${PORT.app}/`,
    );
    expect(full.status).toBe(200);
  });

  scenario("one for the address alone goes to the only service that has the port", async () => {
    const answer = await curl(`http://${LOCAL}:${PORT.app}/b`);
    expect([answer.status, heard(answer).path]).toEqual([200, "/b"]);
  });

  scenario("services with other ports are not reached there, and nothing goes in a circle", async () => {
    const other = await curl("-H", `Host: other:${PORT.other}`, `http://${LOCAL}:${PORT.app}/`);
    expect(other.status).toBe(503);
    const circle = await curl("-H", `Host: ${LOCAL}:${PORT.bytes}`, `http://${LOCAL}:${PORT.app}/`);
    expect([circle.status, circle.headers["x-bowline-reply"]?.[0]]).toEqual([
      404,
      expect.stringMatching(/^NR /),
    ]);
  });

  scenario("bytes go to the service that has the port", async () => {
    const { text } = await exchange(LOCAL, PORT.bytes, "hello");
    expect(text).toBe("heard hello");
  });
});

describe("egress at a socket", () => {
  scenario("a request goes to the service that it names, at any of its ports, over the mesh", async () => {
    expect(statSync(SOCKET.http).mode & 0o777).toBe(0o660);
    for (const url of [`http://web:${PORT.app}/s`, `http://other:${PORT.other}/s`]) {
      for (const version of ["--http1.1", "--http2-prior-knowledge"]) {
        const answer = await curl(version, "--unix-socket", SOCKET.http, url);
        expect([url, answer.status]).toEqual([url, 200]);
        expect(heard(answer)).toMatchObject({ app: "web", path: "/s" });
        expect(heard(answer).headers["x-forwarded-client-cert"]).toContain("/sa/front");
      }
    }
  });

  scenario("bytes go to the one host", async () => {
    const socket = connect({ path: SOCKET.bytes });
    socket.write("hello");
    const said = await new Promise<string>((resolve, reject) => {
      socket.on("data", (chunk) => resolve(String(chunk)));
      socket.on("error", reject);
    });
    socket.destroy();
    expect(said).toBe("heard hello");
  });

  scenario("one whose name is another file's is told, and opened when that is gone", async () => {
    const shut = async () =>
      (await mesh.proxies()).find(({ workload }) => workload === "shop/front")?.shutPorts;
    writeFileSync(SOCKET.taken, "mine");
    writeMesh({ egress: EGRESS.replace("egress:", `egress:\n${atSocket(SOCKET.taken, "HTTP", "*")}`) });
    await until("the socket is told to be shut", async () => (await shut())?.length === 1);
    expect(await shut()).toEqual([{
      port: 0,
      reason: `Cannot listen on ${SOCKET.taken}: there is a file of that name, which is no socket`,
    }]);
    rmSync(SOCKET.taken);
    await until("it is open", async () => (await shut())?.length === 0);
    expect((await curl("--unix-socket", SOCKET.taken, `http://web:${PORT.app}/`)).status).toBe(200);
    writeMesh();
    await until("it is gone", () => Promise.resolve(!existsSync(SOCKET.taken)));
  });
});

describe("ingress", () => {
  scenario("outsiders come in plain text where they may", async () => {
    const answer = await door("http", PORT.plain);
    expect([answer.status, heard(answer).path]).toEqual([200, "/x"]);
    expect(heard(answer).headers).not.toHaveProperty("x-forwarded-client-cert");
  });

  scenario("TLS ends at the sidecar, in either HTTP", async () => {
    for (const [version, spoken] of [["--http1.1", "1.1"], ["--http2", "2"]] as const) {
      const answer = await door("https", PORT.tls, version);
      expect([spoken, answer.status]).toEqual([spoken, 200]);
      expect(heard(answer).headers).toMatchObject({
        "x-forwarded-proto": "https",
        host: `door.test:${PORT.tls}`,
      });
    }
    const newer = await runCurl(["-sk", "--tlsv1.3", `https://${OUTSIDE}:${PORT.tls}/`]);
    expect(newer.code).not.toBe(0);
    expect((await exchange(OUTSIDE, PORT.tls, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")).text).toBe("");
  });

  scenario("who is to show a certificate shows one of the authority, with one of the names", async () => {
    const client = (name: string) => ["--cert", file(`${name}.crt`), "--key", file(`${name}.key`)];
    const answer = await door("https", PORT.mutual, ...client("client"));
    expect(answer.status).toBe(200);
    expect(heard(answer).headers["x-forwarded-client-cert"]).toContain("DNS=client.test");
    const refused = async (...args: string[]) =>
      (await runCurl([
        ...args,
        "-sk",
        "--resolve",
        `door.test:${PORT.mutual}:${OUTSIDE}`,
        `https://door.test:${PORT.mutual}/`,
      ])).code;
    expect(await refused()).not.toBe(0);
    expect(await refused(...client("door"))).not.toBe(0);
  });

  scenario("without DISABLE the port's TLS is nobody's, and with STRICT plain text is refused", async () => {
    writeMesh({ modes: { [PORT.plain]: "STRICT" } });
    await until("plain text is refused", async () => {
      const { code } = await runCurl(["-s", "-o", "/dev/null", `http://${OUTSIDE}:${PORT.plain}/`]);
      return code !== 0;
    });
    // The bytes go on to the program, which speaks none.
    const { code } = await runCurl(["-sk", `https://${OUTSIDE}:${PORT.tls}/`]);
    expect(code).not.toBe(0);
    writeMesh();
    await until(
      "TLS ends again",
      async () => (await runCurl(["-sk", `https://${OUTSIDE}:${PORT.tls}/`])).code === 0,
    );
  });
});

describe("ports", () => {
  const shut = async () =>
    (await mesh.proxies()).find(({ workload }) => workload === "shop/web")?.shutPorts ?? [];

  scenario("one that is taken is told, and opened when it is free; one that is gone is closed", async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(PORT.taken, OUTSIDE, resolve));
    writeMesh({ ingress: `${INGRESS}\n${ingress(PORT.taken, "HTTP")}` });
    await until(
      "the port is told to be shut",
      async () => (await shut()).some(({ port }) => port === PORT.taken),
    );
    expect((await door("http", PORT.plain)).status).toBe(200);
    await new Promise((resolve) => taken.close(resolve));
    await until("the port is open", async () => (await shut()).length === 0);
    expect((await door("http", PORT.taken)).status).toBe(200);
    writeMesh();
    await until("the port is closed", async () => {
      const { code } = await runCurl(["-s", `http://${OUTSIDE}:${PORT.taken}/`]);
      return code === 7;
    });
  });

  scenario("one that would deliver to itself stays shut, and says so", async () => {
    // The program is at the sidecar's own address here, where such a listener is too.
    const circle = `- { port: { number: ${PORT.taken}, protocol: HTTP, name: circle }, captureMode: NONE }`;
    writeMesh({ ingress: `${INGRESS}\n${circle}` });
    await until("the port is told to be shut", async () => (await shut()).length === 1);
    expect(await shut()).toEqual([{
      port: PORT.taken,
      reason: `${WEB}:${PORT.taken} would deliver to itself: give the ingress another defaultEndpoint`,
    }]);
    expect((await door("http", PORT.plain)).status).toBe(200);
    writeMesh();
    await until("nothing is shut", async () => (await shut()).length === 0);
  });
});

describe("a sidecar that ends", () => {
  scenario("leaves no socket behind", async () => {
    expect(await front.end()).toBe(0);
    expect([SOCKET.http, SOCKET.bytes].filter(existsSync)).toEqual([]);
  });
});
