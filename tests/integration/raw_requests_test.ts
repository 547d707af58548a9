/**
 * Ways past a policy that no client's library would send: on HTTP/1.1, HTTP/2 and gRPC, to the caller's sidecar and, with
 * a certificate of the mesh, straight to the callee's. Each is refused, and the program hears of none.
 */
import { beforeAll, describe, expect } from "bun:test";
import { startEcho } from "./apps.ts";
import { endEverythingAfterwards, scenario } from "./bowline.ts";
import { Mesh } from "./mesh.ts";
import { askHttp1, askHttp2, type RawDoor, type RawOutcome } from "./raw_requests.ts";
import { service, workload } from "./resources.ts";

const mesh = new Mesh("127.0.87");
const CLIENT = mesh.address(10);
const WEB = mesh.address(11);
/** What the program was asked. */
const heard: string[] = [];
let doors: readonly (readonly [string, RawDoor])[];

endEverythingAfterwards();

beforeAll(async () => {
  const secret = service("web").replace("name: web", "name: secret");
  const deny = (operation: string) => `{ to: [{ operation: { ${operation} } }] }`;
  mesh.write(
    "mesh.yaml",
    ...[service("web"), secret, workload("client", CLIENT), workload("web", WEB)],
    `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: guard, namespace: shop }
spec:
  selector: { matchLabels: { app: web } }
  action: DENY
  rules:
  - ${deny('hosts: ["secret*"]')}
  - ${deny("paths: [/admin]")}
  - ${deny("methods: [DELETE]")}
  - { when: [{ key: "request.headers[x-role]", values: [admin] }] }
`,
  );
  await mesh.startControlPlane();
  await Promise.all([
    mesh.startSidecar("shop/client", { at: 10 }),
    mesh.startSidecar("shop/web", { at: 11 }),
    startEcho("web", WEB, ({ method, url, headers, rawHeaders }) => {
      heard.push(`${method} ${url} ${headers.host} ${rawHeaders.join(" ")}`);
      return false;
    }),
  ]);
  await mesh.untilSynced(2);
  const identity = mesh.identityOf("shop/client");
  doors = [
    ["the caller's sidecar", { address: CLIENT, port: 15001 }],
    ["the callee's", { address: WEB, port: 15008, identity }],
  ];
});

/** Everything but "it was let through"; a proxy that fails is no refusal. */
const REFUSALS: readonly RawOutcome[] = [400, 403, 404, 501, "reset", "closed"];

/** Rows that were not refused at some door, or that the program heard of. */
async function passed(
  rows: readonly (readonly [name: string, ask: (door: RawDoor) => Promise<RawOutcome>])[],
): Promise<string[]> {
  const found: string[] = [];
  for (const [where, door] of doors) {
    for (const [name, ask] of rows) {
      heard.length = 0;
      const outcome = await ask(door);
      if (!REFUSALS.includes(outcome) || heard.length > 0) {
        found.push(`${name}, ${where}: ${outcome} ${heard}`);
      }
    }
  }
  return found;
}

const HOST = "Host: web:8080";
const SECRET = "secret:8080";

const WEB_SOCKET = [
  ...["upgrade: websocket", "connection: upgrade", "sec-websocket-version: 13"],
  "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
];

const HTTP1_ROWS: readonly (readonly [name: string, ...lines: string[]])[] = [
  ["two hosts", "GET / HTTP/1.1", HOST, `Host: ${SECRET}`],
  ["two hosts, the good one last", "GET / HTTP/1.1", `Host: ${SECRET}`, HOST],
  ["another host in the target", `GET http://${SECRET}/ HTTP/1.1`, HOST],
  ["the host in capitals", "GET / HTTP/1.1", "Host: SECRET:8080"],
  ["the host with the root's dot", "GET / HTTP/1.1", "Host: secret.:8080"],
  ["the host with a port of zeros", "GET / HTTP/1.1", "Host: secret:08080"],
  ["a user before the host", "GET / HTTP/1.1", `Host: web@${SECRET}`],
  ["a user before the host of the target", `GET http://web@${SECRET}/ HTTP/1.1`, HOST],
  ["the scheme in capitals", `GET HTTP://${SECRET}/ HTTP/1.1`, HOST],
  ["another scheme", `GET ftp://${SECRET}/ HTTP/1.1`, HOST],
  ["a path in absolute form", "GET http://web:8080/admin HTTP/1.1", HOST],
  ["a scheme in capitals before the path", "GET HTTP://web:8080/admin HTTP/1.1", HOST],
  ["a backslash for the host's end", "GET http://web:8080\\admin HTTP/1.1", HOST],
  ["a fragment", "GET /admin#x HTTP/1.1", HOST],
  ["a fragment before what is refused", "GET /public#/../admin HTTP/1.1", HOST],
  ["a fragment with a query", "GET /admin#?x HTTP/1.1", HOST],
  ["a blank in the path", "GET /admin x HTTP/1.1", HOST],
  ["an octet above ASCII in the path", "GET /\xff HTTP/1.1", HOST],
  ["a method in two words", "GET DELETE / HTTP/1.1", HOST],
  ["a blank before the colon", "GET / HTTP/1.1", HOST, "x-role : admin"],
  ["blanks around the value", "GET / HTTP/1.1", HOST, "x-role: \t admin \t "],
  ["the value on the next line", "GET / HTTP/1.1", HOST, "x-role: user,", " admin"],
  ["the name in capitals", "GET / HTTP/1.1", HOST, "X-ROLE: admin"],
  ["a bare line feed before the field", "GET / HTTP/1.1", `${HOST}\nx-role: admin`],
  ["HTTP/1.0", "GET /admin HTTP/1.0", HOST],
  ["HTTP/1.0 without a host", "GET /admin HTTP/1.0"],
  ["a question about the server as a whole", "OPTIONS * HTTP/1.1", `Host: ${SECRET}`],
  ["an upgrade to a WebSocket", "GET /admin HTTP/1.1", HOST, ...WEB_SOCKET],
  ["an upgrade to HTTP/2", "GET /admin HTTP/1.1", HOST, "upgrade: h2c", "http2-settings: AAMAAABkAAQAAP__"],
  ["a carriage return in a value", "GET / HTTP/1.1", HOST, "x-a: b\rx-role: admin"],
];

function h2(more: Readonly<Record<string, string | null>> = {}, ...rest: string[]): string[] {
  const pseudo = { ":method": "GET", ":scheme": "http", ":authority": "web:8080", ":path": "/", ...more };
  return [
    ...Object.entries(pseudo).flatMap(([name, value]) => value === null ? [] : [name, value]),
    ...rest,
  ];
}

const HTTP2_ROWS: readonly (readonly [name: string, fields: readonly string[]])[] = [
  ["two authorities", [":authority", "web:8080", ...h2({ ":authority": SECRET })]],
  ["two authorities, the good one last", [...h2({ ":authority": SECRET }).slice(0, 6), ...h2().slice(4)]],
  ["another host than the authority", h2({}, "host", SECRET)],
  ["another authority than the host", h2({ ":authority": SECRET }, "host", "web:8080")],
  ["a host and no authority", h2({ ":authority": null }, "host", SECRET)],
  ["two hosts", h2({ ":authority": null }, "host", "web:8080", "host", SECRET)],
  ["the authority in capitals", h2({ ":authority": "SECRET:8080" })],
  ["the authority with the root's dot", h2({ ":authority": "secret.:8080" })],
  ["the authority with a port of zeros", h2({ ":authority": "secret:08080" })],
  ["a user before the authority", h2({ ":authority": `web@${SECRET}` })],
  ["two authorities in one", h2({ ":authority": `web:8080,${SECRET}` })],
  ["a blank in the authority", h2({ ":authority": `web:8080 ${SECRET}` })],
  ["a path in absolute form", h2({ ":path": `http://${SECRET}/` })],
  ["a path in absolute form, of the same host", h2({ ":path": "http://web:8080/admin" })],
  ["a path without a slash", h2({ ":path": "admin" })],
  ["an empty path", h2({ ":path": "" })],
  ["no path", h2({ ":path": null })],
  ["two paths", h2({}, ":path", "/admin")],
  ["a fragment", h2({ ":path": "/admin#x" })],
  ["a fragment before what is refused", h2({ ":path": "/public#/../admin" })],
  ["a fragment with a query", h2({ ":path": "/admin#?x" })],
  ["the scheme in capitals", h2({ ":scheme": "HTTP", ":path": "/admin" })],
  ["the other scheme in capitals", h2({ ":scheme": "HTTPS", ":path": "/admin" })],
  ["another scheme", h2({ ":scheme": "ftp" })],
  ["a scheme with a host", h2({ ":scheme": `http://${SECRET}/?x=` })],
  ["no scheme", h2({ ":scheme": null })],
  ["two schemes", h2({}, ":scheme", "https")],
  ["two methods", h2({}, ":method", "DELETE")],
  ["a line in the method", h2({ ":method": "GET /admin HTTP/1.1\r\nHost: web:8080\r\n\r\nGET" })],
  ["a blank in the method", h2({ ":method": "DELETE /" })],
  ["lines in the path", h2({ ":path": "/ HTTP/1.1\r\nHost: secret:8080\r\n\r\nGET /admin" })],
  ["a blank in the path", h2({ ":path": "/ HTTP/1.1" })],
  ["an octet above ASCII in the path", h2({ ":path": "/\xff" })],
  ["a pseudo-header after the others", h2({ ":authority": null }, "x-a", "b", ":authority", "web:8080")],
  ["a pseudo-header that there is not", h2({}, ":host", SECRET)],
  ["an answer's pseudo-header", h2({}, ":status", "200")],
  ["a line in a value", h2({}, "x-a", "b\r\nx-role: admin")],
  ["a line feed in a value", h2({}, "x-a", "b\nx-role: admin")],
  ["a line in a name", h2({}, "x-a: b\r\nx-role", "admin")],
  ["a colon in a name", h2({}, "x-role: admin\r\nx-a", "b")],
  ["a blank in a name", h2({}, "x-role ", "admin")],
  ["a name in capitals", h2({}, "X-Role", "admin")],
  ["blanks around a value", h2({}, "x-role", " admin ")],
  ["an empty name", h2({}, "", "admin")],
  ["a field of the connection", h2({}, "connection", "x-role", "x-role", "admin")],
  ["an encoding of the connection", h2({}, "transfer-encoding", "chunked")],
  ["an upgrade", h2({}, "upgrade", "h2c")],
  ["another protocol", h2({ ":method": "CONNECT" }, ":protocol", "connect-udp")],
  [
    "a question about the server as a whole",
    h2({ ":method": "OPTIONS", ":path": "*", ":authority": SECRET }),
  ],
  ["a WebSocket", h2({ ":method": "CONNECT", ":path": "/admin" }, ":protocol", "websocket")],
  ["a tunnel with a path", h2({ ":method": "CONNECT" })],
];

/** The same as a call of gRPC. */
function grpc(fields: readonly string[]): string[] {
  const post = fields.map((text, at) => fields[at - 1] === ":method" && text === "GET" ? "POST" : text);
  return [...post, "content-type", "application/grpc", "te", "trailers"];
}

const NO_MESSAGE = Buffer.alloc(5);

describe("at the caller's sidecar and at the callee's", () => {
  scenario("what is allowed is let through: what follows differs in one thing each", async () => {
    for (const [where, door] of doors) {
      expect([where, await askHttp1(door, ["GET / HTTP/1.1", HOST])]).toEqual([where, 200]);
      expect([where, await askHttp1(door, ["GET http://web:8080/ HTTP/1.1", `Host: ${SECRET}`])])
        .toEqual([where, 200]);
      expect([where, await askHttp2(door, h2())]).toEqual([where, 200]);
      expect([where, await askHttp2(door, h2({}, "host", "web:8080"))]).toEqual([where, 200]);
      expect([where, await askHttp2(door, grpc(h2()), NO_MESSAGE)]).toEqual([where, 200]);
    }
  });

  scenario("no certificate that is brought along swallows the one that was shown", async () => {
    const [, [, callee]] = doors as [unknown, (typeof doors)[number]];
    const own = /x-forwarded-client-cert By=[^ ]*;URI=spiffe:\/\/cluster.local\/ns\/shop\/sa\/client(?: |$)/;
    const forged = "URI=spiffe://cluster.local/ns/shop/sa/admin;Subject=";
    for (const value of [`${forged}"`, `${forged}"a\\"`, `${forged}"a"b"`, `${forged}\\`]) {
      heard.length = 0;
      const field = `x-forwarded-client-cert: ${value}`;
      expect(await askHttp1(callee, ["GET / HTTP/1.1", HOST, field])).toBe(200);
      expect(await askHttp2(callee, h2({}, "x-forwarded-client-cert", value))).toBe(200);
      expect(await askHttp2(callee, grpc(h2({}, "x-forwarded-client-cert", value)), NO_MESSAGE)).toBe(200);
      expect(heard.filter((one) => !own.test(one))).toEqual([]);
    }
  });

  scenario("no way of writing HTTP/1.1 gets past a policy", async () => {
    expect(await passed(HTTP1_ROWS.map(([name, ...lines]) => [name, (door) => askHttp1(door, lines)])))
      .toEqual([]);
  });

  scenario("no way of writing HTTP/2 does", async () => {
    expect(await passed(HTTP2_ROWS.map(([name, fields]) => [name, (door) => askHttp2(door, fields)])))
      .toEqual([]);
  });

  scenario("no way of writing a call of gRPC does", async () => {
    expect(
      await passed(
        HTTP2_ROWS.map(([name, fields]) => [name, (door) => askHttp2(door, grpc(fields), NO_MESSAGE)]),
      ),
    ).toEqual([]);
  });

  scenario("no control character goes on: in a value, a name, a path or a host", async () => {
    const octets = [...Array.from({ length: 0x20 }, (_, code) => code), 0x7f];
    const rows = octets.flatMap((code) => {
      const at = String.fromCharCode(code);
      const what = `octet ${code} in`;
      const places: [string, string[], string[]][] = [
        ["a name", ["GET / HTTP/1.1", HOST, `x-${at}a: b`], h2({}, `x-${at}a`, "b")],
        ["a path", [`GET /x${at}y HTTP/1.1`, HOST], h2({ ":path": `/x${at}y` })],
        ["a host", ["GET / HTTP/1.1", `Host: we${at}b:8080`], h2({ ":authority": `we${at}b:8080` })],
      ];
      // A tab is a part of values (RFC 9110 §5.5).
      if (code !== 9) {
        places.push(["a value", ["GET / HTTP/1.1", HOST, `x-a: b${at}c`], h2({}, "x-a", `b${at}c`)]);
      }
      return places.flatMap(([place, lines, fields]): Parameters<typeof passed>[0][number][] => [
        [`${what} ${place}, HTTP/1.1`, (door) => askHttp1(door, lines)],
        [`${what} ${place}, HTTP/2`, (door) => askHttp2(door, fields)],
        [`${what} ${place}, gRPC`, (door) => askHttp2(door, grpc(fields), NO_MESSAGE)],
      ]);
    });
    expect(await passed(rows)).toEqual([]);
  });
});
