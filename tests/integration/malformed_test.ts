/**
 * What is no HTTP/1 gets its answer, mostly 400, and a closed connection, at every door; nobody else notices. What is odd
 * and yet a request goes on as one.
 */
import { beforeAll, describe, expect } from "bun:test";
import { startEcho } from "./apps.ts";
import { type Bowline, endEverythingAfterwards, scenario } from "./bowline.ts";
import { exchange, RawConnection, viaSidecar } from "./clients.ts";
import { gateway, ingress, routes } from "./gateways.ts";
import { get, MALFORMED_REQUESTS, ODD_REQUESTS, SMUGGLED, TOO_LARGE } from "./malformed_requests.ts";
import { Mesh } from "./mesh.ts";
import { type RawDoor, readToEnd } from "./raw_requests.ts";
import { service, workload } from "./resources.ts";

const mesh = new Mesh("127.0.5");
const CLIENT = mesh.address(10);
const STORE = mesh.address(11);

const GATEWAY = mesh.address(20);
const DOORS = ["the caller's sidecar", "a gateway", "the callee's sidecar"] as const;

let client: Bowline;
let doors: Record<(typeof DOORS)[number], RawDoor>;
/** Paths that the workload was asked for. */
const heard: string[] = [];

endEverythingAfterwards();

beforeAll(async () => {
  mesh.write(
    "mesh.yaml",
    ...[service("store"), workload("client", CLIENT), workload("store", STORE), ingress(GATEWAY)],
    gateway("main", '- { port: { number: 8080, name: http, protocol: HTTP }, hosts: ["*"] }'),
    routes("store", "*", "http: [{ route: [{ destination: { host: store } }] }]"),
  );
  await mesh.startControlPlane();
  client = await mesh.startSidecar("shop/client", { at: 10 });
  await Promise.all([
    mesh.startSidecar("shop/store", { at: 11 }),
    mesh.startSidecar("edge/ingress", { at: 20, role: "gateway" }),
    startEcho("store", STORE, ({ url = "" }) => {
      heard.push(url);
      return false;
    }),
  ]);
  await mesh.untilSynced(3);
  doors = {
    "the caller's sidecar": { address: CLIENT, port: 15001 },
    "a gateway": { address: GATEWAY, port: 8080 },
    "the callee's sidecar": { address: STORE, port: 15008, identity: mesh.identityOf("shop/client") },
  };
});

describe("a message that is no request is answered, and the connection closes", () => {
  for (const where of DOORS) {
    const tooLarge = where === "the callee's sidecar" ? [] : TOO_LARGE;
    for (const [name, request, status = 400] of [...MALFORMED_REQUESTS, ...tooLarge]) {
      scenario(`${name}, at ${where}: ${status}`, async () => {
        // A second request behind it must never be heard: that is how requests are smuggled.
        const text = await readToEnd(doors[where], request + SMUGGLED);
        expect(text.slice(0, 12)).toBe(`HTTP/1.1 ${status}`);
        expect(text.toLowerCase()).toContain("\r\nconnection: close\r\n");
        expect(text.match(/HTTP\/1\.1 /g)).toHaveLength(1);
        expect(heard).not.toContain("/smuggled");
      });
    }
  }

  scenario("the same at the end of a connection that served well", async () => {
    const connection = new RawConnection(CLIENT, 15001);
    connection.send(get());
    await connection.read(/^HTTP\/1\.1 200 [^]*\}$/);
    connection.send("nonsense\r\n\r\n");
    expect(await connection.read(/\r\n\r\n/)).toStartWith("HTTP/1.1 400 ");
    connection.close();
  });

  scenario("three words of another protocol are not answered in this one", async () => {
    for (const where of DOORS) {
      for (const words of ["INVALID CONNECTION PREFACE", "SET key value"]) {
        expect([where, words, await readToEnd(doors[where], `${words}\r\n\r\n${SMUGGLED}`)])
          .toEqual([where, words, ""]);
      }
    }
    expect(heard).not.toContain("/smuggled");
  });

  scenario("a message of which half never comes is no request", async () => {
    const connection = new RawConnection(CLIENT, 15001);
    connection.send("GET / HT");
    connection.close();
    expect((await viaSidecar(CLIENT, "store")).status).toBe(200);
  });
});

describe("an odd request is one all the same, and so is the next", () => {
  for (const where of DOORS) {
    for (const [name, request, bodyBytes = 0] of ODD_REQUESTS) {
      scenario(`${name}, at ${where}`, async () => {
        heard.length = 0;
        const text = await readToEnd(
          doors[where],
          `${request}${get("Connection: close").replace("/", "/next")}`,
        );
        const statuses = [...text.matchAll(/HTTP\/1\.1 ([2-5]\d\d) /g)].map(([, status]) => status);
        expect(statuses).toEqual(["200", "200"]);
        expect(text).toContain(`"bodyBytes":${bodyBytes},`);
        expect(heard).toEqual([expect.stringMatching(/^[/*]$/), "/next"]);
      });
    }
  }
});

describe("whoever dawdles is not waited for", () => {
  scenario("a head that does not end: 408; a handshake that does not begin: closed", async () => {
    const ceilingMs = 30_000;
    const [trickle, half, silent] = await Promise.all([
      exchange(CLIENT, 15001, "G", ceilingMs),
      exchange(CLIENT, 15001, "GET / HTTP/1.1\r\nHost: store\r\n", ceilingMs),
      exchange(STORE, 15008, "", ceilingMs),
    ]);
    for (const answer of [trickle, half]) {
      expect(answer.text).toStartWith("HTTP/1.1 408 ");
      expect(answer.closed).toBe(true);
    }
    expect(silent).toEqual({ text: "", closed: true });
  });
});

scenario("after all of this the same process serves, and has counted every refusal", async () => {
  expect(client.isAlive).toBe(true);
  expect((await viaSidecar(CLIENT, "store")).status).toBe(200);
  const metrics = await (await fetch(`http://${CLIENT}:15090/stats/prometheus`)).text();
  const refused = metrics.split("\n")
    .filter((line) => line.startsWith("istio_requests_total{") && line.includes('response_flags="DPE"'))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
  // The tables, the one on a good connection, two of another protocol, and the two that dawdled.
  expect(refused).toBe(MALFORMED_REQUESTS.length + TOO_LARGE.length + 5);
});
