/** What is no HTTP gets its answer, mostly 400, and a closed connection; nobody else notices. */
import { beforeAll, describe, expect } from "bun:test";
import { startEcho } from "./apps.ts";
import { type Bowline, endEverythingAfterwards, scenario } from "./bowline.ts";
import { exchange, RawConnection, viaSidecar } from "./clients.ts";
import { Mesh } from "./mesh.ts";
import { service, workload } from "./resources.ts";

const mesh = new Mesh("127.0.5");
const CLIENT = mesh.address(10);
const STORE = mesh.address(11);

let client: Bowline;

endEverythingAfterwards();

beforeAll(async () => {
  mesh.write("mesh.yaml", service("store"), workload("client", CLIENT), workload("store", STORE));
  await mesh.startControlPlane();
  client = await mesh.startSidecar("shop/client", { at: 10 });
  await mesh.startSidecar("shop/store", { at: 11 });
  await startEcho("store", STORE);
  await mesh.untilSynced(2);
});

const HOST = "Host: store\r\n";

/** A GET with more lines in its head. */
function get(...lines: readonly string[]): string {
  return `GET / HTTP/1.1\r\n${HOST}${lines.map((line) => `${line}\r\n`).join("")}\r\n`;
}

/** A POST with these lines in its head, and this body. */
function post(lines: readonly string[], body: string): string {
  return `POST / HTTP/1.1\r\n${HOST}${lines.map((line) => `${line}\r\n`).join("")}\r\n${body}`;
}

const CHUNKED = "Transfer-Encoding: chunked";

/** What it is called, what is sent, the status that comes back. @default 400 */
const TABLE: readonly (readonly [name: string, request: string, status?: number])[] = [
  ["noise", "\x00\x01\x02\x03\xff\xfe\r\n\r\n"],
  ["a word", "hello\r\n\r\n"],
  ["a method alone", "GET\r\n\r\n"],
  ["HTTP/0.9", `GET /\r\n${HOST}\r\n`],
  ["two blanks before the target", `GET  / HTTP/1.1\r\n${HOST}\r\n`],
  ["two blanks before the version", `GET /  HTTP/1.1\r\n${HOST}\r\n`],
  ["a blank before the method", ` GET / HTTP/1.1\r\n${HOST}\r\n`],
  ["a blank behind the version", `GET / HTTP/1.1 \r\n${HOST}\r\n`],
  ["a blank in the target", `GET /a b HTTP/1.1\r\n${HOST}\r\n`],
  ["a tab for a blank", `GET\t/\tHTTP/1.1\r\n${HOST}\r\n`],
  ["a version in lower case", `GET / http/1.1\r\n${HOST}\r\n`],
  ["HTTP/1.2", `GET / HTTP/1.2\r\n${HOST}\r\n`, 505],
  ["HTTP/2.0 in a line", `GET / HTTP/2.0\r\n${HOST}\r\n`, 505],
  ["a method that is no token", `G(T / HTTP/1.1\r\n${HOST}\r\n`],
  ["a target without a slash", `GET index HTTP/1.1\r\n${HOST}\r\n`],
  ["an asterisk for GET", `GET * HTTP/1.1\r\n${HOST}\r\n`],
  ["a fragment in the target", `GET /#top HTTP/1.1\r\n${HOST}\r\n`],
  ["a control character in the target", `GET /\x01 HTTP/1.1\r\n${HOST}\r\n`],
  ["a byte above ASCII in the target", `GET /\xe9 HTTP/1.1\r\n${HOST}\r\n`],
  ["a target of another scheme", `GET ftp://store/ HTTP/1.1\r\n${HOST}\r\n`],
  ["CONNECT to a path", `CONNECT / HTTP/1.1\r\n${HOST}\r\n`],
  ["CONNECT without a port", `CONNECT store HTTP/1.1\r\n${HOST}\r\n`],
  ["a request line that never ends", `GET /${"a".repeat(17_000)} HTTP/1.1\r\n${HOST}\r\n`, 414],
  ["no Host", "GET / HTTP/1.1\r\n\r\n"],
  ["two Hosts", get("Host: store")],
  ["a Host with a path", "GET / HTTP/1.1\r\nHost: store/path\r\n\r\n"],
  ["a Host with a user", "GET / HTTP/1.1\r\nHost: me@store\r\n\r\n"],
  ["a Host with a port that is none", "GET / HTTP/1.1\r\nHost: store:http\r\n\r\n"],
  ["two Hosts in one", "GET / HTTP/1.1\r\nHost: store, other\r\n\r\n"],
  ["a blank before the colon", get("X-A : b")],
  ["a line without a colon", get("nonsense")],
  ["a field without a name", get(": value")],
  ["a name that is no token", get("X[A]: b")],
  ["a folded line", get("X-A: b", " continued")],
  ["a NUL in a value", get("X-A: a\x00b")],
  ["a carriage return in a value", get("X-A: a\rb")],
  ["lines that end in LF alone", `GET / HTTP/1.1\nHost: store\n\n`],
  ["one line that ends in LF alone", `GET / HTTP/1.1\r\nHost: store\nX-A: b\r\n\r\n`],
  ["101 fields", get(...Array.from({ length: 101 }, (_, i) => `x-${i}: ${i}`)), 431],
  ["a head of 70 KiB", get(`X-A: ${"a".repeat(70_000)}`), 431],
  ["a length and chunks", post(["Content-Length: 5", CHUNKED], "0\r\n\r\n")],
  ["two lengths that differ", post(["Content-Length: 5", "Content-Length: 6"], "hello")],
  ["two lengths in one", post(["Content-Length: 5, 6"], "hello")],
  ["a negative length", post(["Content-Length: -5"], "hello")],
  ["a length with a sign", post(["Content-Length: +5"], "hello")],
  ["a length in hexadecimal", post(["Content-Length: 0x5"], "hello")],
  ["an empty length", post(["Content-Length:"], "hello")],
  ["a length beyond all numbers", post([`Content-Length: ${"9".repeat(30)}`], "hello")],
  ["a coding that tells no end", post(["Transfer-Encoding: gzip"], "hello")],
  ["a coding below the chunks", post(["Transfer-Encoding: gzip, chunked"], "0\r\n\r\n"), 501],
  ["chunked twice", post([CHUNKED, CHUNKED], "0\r\n\r\n")],
  ["a coding that is no token", post(["Transfer-Encoding: \x0bchunked"], "0\r\n\r\n")],
  ["chunks in HTTP/1.0", `POST / HTTP/1.0\r\n${HOST}${CHUNKED}\r\n\r\n0\r\n\r\n`],
  ["a chunk size that is no number", post([CHUNKED], "five\r\nhello\r\n0\r\n\r\n")],
  ["a chunk size with a sign", post([CHUNKED], "+5\r\nhello\r\n0\r\n\r\n")],
  ["a chunk size in 0x", post([CHUNKED], "0x5\r\nhello\r\n0\r\n\r\n")],
  ["a chunk size beyond all numbers", post([CHUNKED], "fffffffffffffffff\r\nhello\r\n0\r\n\r\n")],
  ["a chunk longer than its size", post([CHUNKED], "3\r\nhello\r\n0\r\n\r\n")],
  ["a chunk that ends in LF alone", post([CHUNKED], "5\r\nhello\n0\r\n\r\n")],
  ["a size line that never ends", post([CHUNKED], `5;${"a".repeat(1_000)}\r\nhello\r\n0\r\n\r\n`)],
];

describe("a message that is no request is answered, and the connection closes", () => {
  for (const [name, request, status = 400] of TABLE) {
    scenario(`${name}: ${status}`, async () => {
      // A second request behind it must never be heard: that is how requests are smuggled.
      const { text, closed } = await exchange(CLIENT, 15001, request + get());
      expect(text.slice(0, 12)).toBe(`HTTP/1.1 ${status}`);
      expect(text.toLowerCase()).toContain("\r\nconnection: close\r\n");
      expect(text.match(/HTTP\/1\.1 /g)).toHaveLength(1);
      expect(closed).toBe(true);
    });
  }

  scenario("the same at the end of a connection that served well", async () => {
    const connection = new RawConnection(CLIENT, 15001);
    connection.send(get());
    await connection.read(/^HTTP\/1\.1 200 [^]*\}$/);
    connection.send("nonsense\r\n\r\n");
    expect(await connection.read(/\r\n\r\n/)).toStartWith("HTTP/1.1 400 ");
    connection.close();
  });

  scenario("a message of which half never comes is no request", async () => {
    const connection = new RawConnection(CLIENT, 15001);
    connection.send("GET / HT");
    connection.close();
    expect((await viaSidecar(CLIENT, "store")).status).toBe(200);
  });
});

describe("whoever dawdles is not waited for", () => {
  scenario("a head that does not end: 408; a handshake that does not begin: closed", async () => {
    const ceilingMs = 30_000;
    const [trickle, half, silent] = await Promise.all([
      exchange(CLIENT, 15001, "G", ceilingMs),
      exchange(CLIENT, 15001, `GET / HTTP/1.1\r\n${HOST}`, ceilingMs),
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
  // The table, the one on a good connection, and the two that dawdled.
  expect(refused).toBe(TABLE.length + 3);
});
