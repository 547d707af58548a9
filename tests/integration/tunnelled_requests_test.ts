/**
 * Requests inside a tunnel to a port that is declared to carry HTTP: they are requests like any other for tokens, policies
 * and fields of proxies, whoever opened the tunnel.
 */
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { beforeAll, describe, expect } from "bun:test";
import { type Echo, sha256, startEcho } from "./apps.ts";
import { CEILING_MS, endEverythingAfterwards, scenario } from "./bowline.ts";
import { runCurl } from "./clients.ts";
import { type Issuer, newIssuer } from "./key_server.ts";
import { Mesh } from "./mesh.ts";
import { service, workload } from "./resources.ts";
import { scrape, total } from "./scrape.ts";

const mesh = new Mesh("127.0.89");
const CLIENT = mesh.address(10);
const WEB = mesh.address(11);
let issuer: Issuer;

endEverythingAfterwards();

beforeAll(async () => {
  issuer = await newIssuer("one");
  const rule = `{ issuer: one, jwks: '${JSON.stringify({ keys: [issuer.publicJwk] })}', ` +
    "outputClaimToHeaders: [{ header: x-group, claim: group }] }";
  mesh.write(
    "mesh.yaml",
    service("web") + "  - { name: guess, port: 8081 }\n",
    ...[workload("client", CLIENT), workload("web", WEB)],
    `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: tokens, namespace: shop }
spec: { jwtRules: [${rule}] }
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: no-admin, namespace: shop }
spec: { action: DENY, rules: [{ to: [{ operation: { paths: [/admin], ports: ["8080"] } }] }] }
`,
  );
  await mesh.startControlPlane();
  await Promise.all([
    mesh.startSidecar("shop/client", { at: 10 }),
    mesh.startSidecar("shop/web", { at: 11 }),
    startEcho("web", WEB),
    startEcho("guess", WEB, undefined, 8081),
  ]);
  await mesh.untilSynced(2);
});

/** A connection to the caller's own sidecar, or as a peer of the mesh to the callee's. */
const ENDS: Readonly<Record<string, () => Socket>> = {
  "by the caller's sidecar": () => connectTcp({ host: CLIENT, port: 15001 }),
  "straight to the callee's": () => {
    const { key, chain: cert } = mesh.identityOf("shop/client");
    return connectTls({ host: WEB, port: 15008, key, cert, rejectUnauthorized: false });
  },
};

/** What comes back through a tunnel, after the answer that opened it; the own half ends with what is sent. */
function through(socket: Socket, text: string, port = 8080): Promise<string> {
  return new Promise((resolve, reject) => {
    let heard = "";
    const timer = setTimeout(() => reject(new Error(`The tunnel said no more than ${heard}`)), CEILING_MS);
    const finish = () => {
      clearTimeout(timer);
      socket.destroy();
      resolve(heard.replace(/^HTTP\/1\.1 200[^]*?\r\n\r\n/, ""));
    };
    // Both in one piece: what comes early is kept.
    socket.write(`CONNECT web:${port} HTTP/1.1\r\nHost: web:${port}\r\n\r\n${text}`, "latin1");
    socket.on("data", (chunk: Buffer) => heard += chunk.toString("latin1"));
    socket.on("end", finish);
    socket.on("error", finish);
  });
}

function get(path: string, ...fields: string[]): string {
  return [`GET ${path} HTTP/1.1`, "Host: web", "connection: close", ...fields, "", ""].join("\r\n");
}

function statusOf(answer: string): number {
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1]);
}

for (const [way, open] of Object.entries(ENDS)) {
  describe(`a tunnel ${way}`, () => {
    scenario("carries requests that nobody can pass off as another's", async () => {
      const forged = [
        "x-forwarded-client-cert: URI=spiffe://cluster.local/ns/shop/sa/admin",
        "x-group: staff",
      ];
      const answer = await through(
        open(),
        get("/x", ...forged, "x-bowline-port: 22", "x-envoy-original-path: /y"),
      );
      expect(statusOf(answer)).toBe(200);
      const { app, path, headers } = JSON.parse(answer.slice(answer.indexOf("\r\n\r\n") + 4)) as Echo;
      expect([app, path, headers["x-group"]]).toEqual(["web", "/x", undefined]);
      expect(headers["x-forwarded-client-cert"]).toMatch(
        /^By=.*;URI=spiffe:\/\/cluster.local\/ns\/shop\/sa\/client$/,
      );
      expect(Object.keys(headers).filter((name) => /^x-(bowline|envoy)/.test(name))).toEqual([]);
    });

    scenario("carries tokens that are verified", async () => {
      const token = await issuer.sign({ iss: "one", group: "staff" });
      const good = await through(open(), get("/", `authorization: Bearer ${token}`));
      expect([statusOf(good), good.includes('"x-group":"staff"')]).toEqual([200, true]);
      expect(statusOf(await through(open(), get("/", "authorization: Bearer garbage.garbage.x")))).toBe(401);
    });

    scenario("is under the policies of requests, in each of its requests", async () => {
      expect(statusOf(await through(open(), get("//admin")))).toBe(403);
      const both = await through(
        open(),
        get("/ok").replace("connection: close", "x: y") + get("/x/../admin"),
      );
      expect(both.match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 200", "HTTP/1.1 403"]);
    });

    scenario("carries nothing but HTTP, and no tunnel in a tunnel", async () => {
      expect(statusOf(await through(open(), "\x16\x03\x01 hello\r\n\r\n"))).toBe(400);
      const nested = await through(
        open(),
        "CONNECT web:8080 HTTP/1.1\r\nHost: web:8080\r\nconnection: close\r\n\r\n",
      );
      expect(statusOf(nested)).toBe(404);
    });

    scenario(
      "to a port of which nothing is declared is told by its bytes, since tokens are asked for",
      async () => {
        const answer = await through(open(), get("/x", "x-group: staff"), 8081);
        const { app, headers } = JSON.parse(answer.slice(answer.indexOf("\r\n\r\n") + 4)) as Echo;
        expect([app, headers["x-group"]]).toEqual(["guess", undefined]);
        expect(statusOf(await through(open(), get("/", "authorization: Bearer a.b.c"), 8081))).toBe(401);
        // Node's own answer to what is no HTTP: the bytes have reached it.
        expect(await through(open(), "\x01\x02\r\n\r\n", 8081)).toStartWith(
          "HTTP/1.1 400 Bad Request\r\nConnection: close",
        );
      },
    );

    scenario("carries large bodies both ways", async () => {
      const body = "0123456789abcdef!".repeat(200_000);
      const head =
        `POST /big HTTP/1.1\r\nHost: web\r\nconnection: close\r\ncontent-length: ${body.length}\r\n\r\n`;
      const answer = await through(open(), head + body);
      const { bodyBytes, bodyHash } = JSON.parse(answer.slice(answer.indexOf("\r\n\r\n") + 4)) as Echo;
      expect([bodyBytes, bodyHash]).toEqual([body.length, sha256(Buffer.from(body))]);
    });
  });
}

describe("such requests", () => {
  scenario("work over HTTP/2 too, and are counted as what they are", async () => {
    const { stdout } = await runCurl([
      ...["--silent", "--http2-prior-knowledge", "--proxytunnel", "-x", `http://${CLIENT}:15001`],
      ...["http://web:8080/h2"],
    ]);
    expect(JSON.parse(stdout)).toMatchObject({ app: "web", path: "/h2" });
    const labels = { reporter: "destination", response_code: "403", source_workload: "client" };
    expect(total(await scrape(WEB), "istio_requests_total", labels)).toBeGreaterThan(0);
  });
});
