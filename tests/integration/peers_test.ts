/** Request smuggling against real upstreams: each sees nothing, or exactly the requests that were meant. */
import { beforeAll, describe, expect } from "bun:test";
import { connect } from "node:net";
import { Prng } from "../../src/lib/prng.ts";
import { Smuggler } from "../fuzz/smuggler.ts";
import { type Message, readMessages, values } from "../fuzz/strict_http1.ts";
import { endEverythingAfterwards, scenario, until } from "./bowline.ts";
import { exchange } from "./clients.ts";
import { Mesh } from "./mesh.ts";
import { type Parsed, type Peer, startHaproxy, startNginx, startNode } from "./peers.ts";
import { serviceOf, workload } from "./resources.ts";

const mesh = new Mesh("127.0.32");
const CLIENT = mesh.address(10);
const SERVER = mesh.address(11);
const UPSTREAMS = [
  { name: "node", port: 8081, start: startNode },
  { name: "nginx", port: 8082, start: startNginx },
  { name: "haproxy", port: 8084, start: startHaproxy },
] as const;

const peers = new Map<string, Peer>();
let markers = 0;

endEverythingAfterwards();

beforeAll(async () => {
  const services = UPSTREAMS.map(({ name, port }) => serviceOf("server", name, port));
  mesh.write("mesh.yaml", ...services, workload("client", CLIENT), workload("server", SERVER));
  await mesh.startControlPlane();
  await mesh.startSidecar("shop/client", { at: 10 });
  await mesh.startSidecar("shop/server", { at: 11 });
  for (const { name, port, start } of UPSTREAMS) {
    peers.set(name, await start({ address: SERVER, port, directory: mesh.directory }));
  }
  await mesh.untilSynced(2);
});

/** What must never be understood as a request of its own; hangs behind, or in the body of, every row. */
const SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: HOST\r\n\r\n";
const CHUNKED = "Transfer-Encoding: chunked";
const LAST = "0\r\n\r\n";

/** `HOST` stands for the upstream's name. The client asks for the end of the connection, so that its answer has one. */
function post(lines: readonly string[], body: string, version = "1.1"): string {
  const head = ["Host: HOST", "Connection: close", ...lines].map((line) => `${line}\r\n`).join("");
  return `POST /meant HTTP/${version}\r\n${head}\r\n${body}`;
}

function chunk(body: string): string {
  return `${body.length.toString(16)}\r\n${body}\r\n`;
}

type Row = readonly [name: string, request: string];

/** Ambiguous: refused, and nobody behind the sidecar ever hears of it. */
const REFUSED: readonly (readonly [...Row, status?: number])[] = [
  ["CL.TE", post(["Content-Length: 6", CHUNKED], `${LAST}X`)],
  ["TE.CL", post([CHUNKED, "Content-Length: 4"], chunk(SMUGGLED) + LAST)],
  ["two lengths that differ", post(["Content-Length: 0", `Content-Length: ${SMUGGLED.length}`], "")],
  ["two equal lengths", post(["Content-Length: 5", "Content-Length: 5"], "hello")],
  ["two equal lengths in one field", post(["Content-Length: 5, 5"], "hello")],
  ["a length with a sign", post(["Content-Length: +5"], "hello")],
  ["a length with a vertical tab", post(["Content-Length: 5\x0b"], "hello")],
  ["a length with a blank before the colon", post(["Content-Length : 5"], "hello")],
  ["a length on a folded line", post(["Content-Length:", " 5"], "hello")],
  ["xchunked", post(["Transfer-Encoding: xchunked"], LAST)],
  ["identity", post(["Transfer-Encoding: identity", "Content-Length: 5"], "hello")],
  ["chunked, identity", post(["Transfer-Encoding: chunked, identity"], LAST)],
  ["identity behind chunked", post([CHUNKED, "Transfer-Encoding: identity"], LAST)],
  ["chunked behind identity", post(["Transfer-Encoding: identity", CHUNKED], LAST)],
  ["chunked in quotes", post(['Transfer-Encoding: "chunked"'], LAST)],
  ["chunked with a parameter", post(["Transfer-Encoding: chunked;q=1"], LAST)],
  ["chunked behind a vertical tab", post(["Transfer-Encoding: \x0bchunked"], LAST)],
  ["chunked behind a no-break space", post(["Transfer-Encoding: \xa0chunked"], LAST)],
  ["an empty coding", post(["Transfer-Encoding:", "Content-Length: 5"], "hello")],
  ["an unknown coding below chunked", post(["Transfer-Encoding: x, chunked"], LAST), 501],
  ["Transfer-Encoding with a blank before the colon", post(["Transfer-Encoding : chunked"], LAST)],
  ["Transfer-Encoding on a folded line", post(["Transfer-Encoding:", " chunked"], LAST)],
  [
    "Transfer-Encoding folded into another field",
    post(["X-A: b", ` ${CHUNKED}`, "Content-Length: 5"], "hello"),
  ],
  ["Transfer-Encoding behind a bare line feed", post([`X-A: b\n${CHUNKED}`, "Content-Length: 5"], "hello")],
  ["Transfer-Encoding behind a bare carriage return", post([`X-A: b\r${CHUNKED}`], LAST)],
  ["Transfer-Encoding behind a NUL", post([`\0${CHUNKED}`, "Content-Length: 5"], "hello")],
  ["chunks in HTTP/1.0", post([CHUNKED], LAST, "1.0")],
  ["a chunk size with a sign", post([CHUNKED], `+5\r\nhello\r\n${LAST}`)],
  ["a chunk size in 0x", post([CHUNKED], `0x5\r\nhello\r\n${LAST}`)],
  ["a chunk size behind a blank", post([CHUNKED], ` 5\r\nhello\r\n${LAST}`)],
  ["a chunk size before a blank", post([CHUNKED], `5 \r\nhello\r\n${LAST}`)],
  ["a chunk size of 2^64 + 5", post([CHUNKED], `10000000000000005\r\nhello\r\n${LAST}`)],
  ["an extension with a bare line feed", post([CHUNKED], `5;a\nhello\r\n${LAST}`)],
  ["an extension with a bare carriage return", post([CHUNKED], `5;a\rb\r\nhello\r\n${LAST}`)],
  ["a chunk that ends in a line feed alone", post([CHUNKED], `5\r\nhello\n${LAST}`)],
  ["a chunk that ends in two other bytes", post([CHUNKED], `5\r\nhelloXX${LAST}`)],
  ["a last chunk that ends in a line feed alone", post([CHUNKED], `${chunk("hello")}0\n\n`)],
  ["a length among the trailers", post([CHUNKED], `0\r\nContent-Length: 5\r\n\r\n`)],
  ["a coding among the trailers", post([CHUNKED], `0\r\n${CHUNKED}\r\n\r\n`)],
  ["a folded trailer", post([CHUNKED], `0\r\nX-A: b\r\n c\r\n\r\n`)],
  ["two Hosts", post(["Host: other", "Content-Length: 0"], "")],
  ["an absolute target with a user", "GET http://HOST@other/ HTTP/1.1\r\nHost: HOST\r\n\r\n"],
  ["an absolute target without a host", "GET http:///meant HTTP/1.1\r\nHost: HOST\r\n\r\n"],
  ["an absolute target and no Host", "GET http://HOST/meant HTTP/1.1\r\n\r\n"],
];

/** Without the placeholder, so that its length is what it seems. */
const BODY = `${SMUGGLED.replace("HOST", "node")}tail`;
const LENGTH = `Content-Length: ${BODY.length}`;

/** Odd, and yet it can be read in one way only: one request, with this body. */
const MEANT: readonly (readonly [...Row, body: string, method?: string])[] = [
  ["a request in a body by length", post([LENGTH], BODY), BODY],
  ["a request in a body of chunks", post([CHUNKED], chunk(BODY) + LAST), BODY],
  ["a request over many chunks", post([CHUNKED], [...BODY].map(chunk).join("") + LAST), BODY],
  ["ChUnKeD", post(["tRANSFER-eNCODING: ChUnKeD"], chunk(BODY) + LAST), BODY],
  ["chunked between tabs and blanks", post(["Transfer-Encoding:\t chunked\t "], chunk(BODY) + LAST), BODY],
  ["chunk sizes with zeros in front", post([CHUNKED], `0005\r\nhello\r\n000\r\n\r\n`), "hello"],
  ["chunk extensions", post([CHUNKED], `5;a="0\\"b";c\r\nhello\r\n0;d\r\n\r\n`), "hello"],
  ["trailers", post([CHUNKED], `${chunk("hello")}0\r\nX-A: b\r\n\r\n`), "hello"],
  ["Transfer_Encoding", post(["Transfer_Encoding: chunked", LENGTH], BODY), BODY],
  ["Content_Length", post(["Content_Length: 0", LENGTH], BODY), BODY],
  ["X-Transfer-Encoding", post(["X-Transfer-Encoding: chunked", LENGTH], BODY), BODY],
  ["Connection names the length", post(["Connection: Content-Length", LENGTH], BODY), BODY],
  ["Connection names the coding", post(["Connection: Transfer-Encoding", CHUNKED], chunk(BODY) + LAST), BODY],
  ["Connection names the Host", post(["Connection: Host", LENGTH], BODY), BODY],
  ["TE: trailers, chunked", post(["TE: trailers, chunked", LENGTH], BODY), BODY],
  [
    "an upgrade to h2c",
    post(["Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA", LENGTH], BODY),
    BODY,
  ],
  ["an expectation that does not wait", post(["Expect: 100-continue", LENGTH], BODY), BODY],
  ["a body in HTTP/1.0", post([LENGTH], BODY, "1.0"), BODY],
  ["a GET with a body", post([LENGTH], BODY).replace("POST", "GET"), BODY, "GET"],
  ["a length with zeros in front", post(["Content-Length: 005"], "hello"), "hello"],
  [
    "an absolute target against the Host",
    post([LENGTH], BODY)
      .replace("/meant", "http://HOST/meant").replace("Host: HOST", "Host: smuggled"),
    BODY,
  ],
];

/** Connections that bring what a smuggler writes by chance. */
const CHANCES = Number(process.env["FUZZ_RUNS"] ?? 100);
const SEED = Number(process.env["FUZZ_SEED"] ?? 1);

/** Sends all of it, ends its own half, and reads until the proxy has closed. */
function sayAll(text: string): Promise<string> {
  return new Promise((resolve) => {
    let answers = "";
    const socket = connect({ host: CLIENT, port: 15001, allowHalfOpen: true });
    socket.on("connect", () => socket.end(Buffer.from(text, "latin1")));
    socket.on("data", (chunk: Buffer) => answers += chunk.toString("latin1"));
    socket.on("error", () => {});
    socket.on("close", () => resolve(answers));
  });
}

/** What two readers must find the same in a request; not every log keeps other octets. */
function essence(method: string, path: string, body: string): string {
  return `${method} ${path} ${body.replace(/[^!-~]/g, "")}`;
}

/** A message as the proxy sends it on: in origin-form. */
function forwarded({ line: [method, target], body }: Message): string {
  const path = target.replace(/^https?:\/\/[^/?]+/i, "");
  return essence(method, path.startsWith("/") || path === "*" ? path : `/${path}`, body);
}

for (const { name } of UPSTREAMS) {
  const send = (request: string) => exchange(CLIENT, 15001, request.replaceAll("HOST", name));

  /** Everything that the upstream has understood since the last look. */
  const heard = async (): Promise<Parsed[]> => {
    const path = `/marker-${++markers}`;
    const marker = await send(`GET ${path} HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n`);
    // A poisoned connection would answer something else, or with more than one answer.
    expect(marker.text).toStartWith("HTTP/1.1 200 ");
    expect(marker.text.match(/HTTP\/1\.1 /g)).toHaveLength(1);
    const peer = peers.get(name) as Peer;
    await until(`${name} has logged ${path}`, () => peer.requests().some((parsed) => parsed.path === path));
    const all = peer.requests();
    const from = all.findLastIndex((parsed) => parsed.path === `/marker-${markers - 1}`) + 1;
    return all.slice(from).filter((parsed) => parsed.path !== path);
  };

  describe(`${name} behind the mesh`, () => {
    scenario("hears what is ordinary", async () => {
      expect(await heard()).toEqual([]);
    });

    for (const [row, request, status = 400] of REFUSED) {
      scenario(`${row}: ${status}, and nothing is heard`, async () => {
        const { text, closed } = await send(request + SMUGGLED);
        expect(text.slice(0, 12)).toBe(`HTTP/1.1 ${status}`);
        expect(text.match(/HTTP\/1\.1 /g)).toHaveLength(1);
        expect(closed).toBe(true);
        expect(await heard()).toEqual([]);
      });
    }

    for (const [row, request, body, method = "POST"] of MEANT) {
      scenario(`${row}: one request is heard`, async () => {
        const { text, closed } = await send(request);
        expect(text.replace("HTTP/1.1 100 Continue\r\n\r\n", "")).toStartWith("HTTP/1.1 200 ");
        expect(closed).toBe(true);
        const meant = { method, path: "/meant", host: name, body };
        expect(await heard()).toEqual([meant]);
      });
    }

    // It answers what was broken off as if it were whole, and says so to nobody but its log.
    if (name === "haproxy") return;
    scenario(
      "hears of what is written by chance what a strict reader does, and each is answered",
      async () => {
        const smuggler = new Smuggler(new Prng(SEED), name);
        for (let i = 0; i < CHANCES; i++) {
          const sent = smuggler.pipeline(10 * i);
          const answers = await sayAll(sent);
          const { messages } = readMessages(sent, true);
          const whole = readMessages(answers, true, [...messages.map(({ line: [method] }) => method), "GET"]);
          const good = whole.messages.filter(({ line: [, status], fields }) =>
            status === "200" && values(fields, "x-bowline-reply").length === 0
          );
          const seen = (await heard()).map(({ method, path, body }) => essence(method, path, body));
          const wanted = messages.map(forwarded);
          const meant = wanted.filter((one) => seen.includes(one));
          expect({ sent, answers, left: whole.left, seen, good: good.length })
            .toEqual({ sent, answers, left: "nothing", seen: meant, good: seen.length });
        }
      },
    );
  });
}
