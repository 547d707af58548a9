/** What travels: bodies of any length in both directions, many requests at once, and the odd forms of HTTP/1.1. */
import { beforeAll, describe, expect } from "bun:test";
import { readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { type Echo, sha256, startEcho } from "./apps.ts";
import { endEverythingAfterwards, scenario, until } from "./bowline.ts";
import { RawConnection, runCurl, viaSidecar } from "./clients.ts";
import { Mesh } from "./mesh.ts";
import { service, workload } from "./resources.ts";

const BIG_BYTES = 20 * 1024 * 1024;
const PIECE_BYTES = 256 * 1024;
const CONCURRENT = 64;
const REQUESTS_EACH = 20;

const mesh = new Mesh("127.0.3");
const CLIENT = mesh.address(10);
const STORE = mesh.address(11);

const big = pseudoRandomBytes(BIG_BYTES);
const bigHash = sha256(big);

endEverythingAfterwards();

beforeAll(async () => {
  mesh.write("mesh.yaml", service("store"), workload("client", CLIENT), workload("store", STORE));
  await mesh.startControlPlane();
  await Promise.all([
    mesh.startSidecar("shop/client", { at: 10 }),
    mesh.startSidecar("shop/store", { at: 11 }),
    startEcho("store", STORE, answerSpecially),
  ]);
  await mesh.untilSynced(2);
});

/** Answers that are no echo, by path. */
function answerSpecially(request: IncomingMessage, response: ServerResponse): boolean {
  switch (request.url) {
    case "/big/length":
      response.setHeader("content-length", BIG_BYTES);
      sendBig(response);
      return true;
    case "/big/chunked":
      sendBig(response);
      return true;
    case "/etag":
      response.setHeader("etag", '"7"');
      response.statusCode = request.headers["if-none-match"] === '"7"' ? 304 : 200;
      response.end(response.statusCode === 304 ? undefined : "seven");
      return true;
    case "/nothing":
      response.statusCode = 204;
      response.end();
      return true;
    case "/cookies":
      response.setHeader("set-cookie", ["a=1", "b=2"]);
      response.end("two");
      return true;
    case "/breaks-off":
      response.setHeader("content-length", 1_000_000);
      response.write("a beginning", () => setTimeout(() => request.socket.destroy(), 50));
      return true;
    default:
      return false;
  }
}

/** In pieces, as fast as they are taken. */
function sendBig(response: ServerResponse): void {
  let at = 0;
  const send = () => {
    while (at < BIG_BYTES) {
      const piece = big.subarray(at, at += PIECE_BYTES);
      if (!response.write(piece)) {
        response.once("drain", send);
        return;
      }
    }
    response.end();
  };
  send();
}

describe("bodies of 20 MB arrive as they were sent", () => {
  scenario("a request with a length", async () => {
    const file = mesh.file("big.bin", "");
    await Bun.write(file, big);
    const answer = await viaSidecar(CLIENT, "store", "/up", "--data-binary", `@${file}`);
    const echo = JSON.parse(answer.body) as Echo;
    expect(echo).toMatchObject({ method: "POST", bodyBytes: BIG_BYTES, bodyHash: bigHash });
    expect(echo.headers["content-length"]).toBe(String(BIG_BYTES));
  });

  scenario("a request in chunks", async () => {
    const file = mesh.file("big.bin", "");
    await Bun.write(file, big);
    const chunked = ["-T", file, "-H", "Transfer-Encoding: chunked"];
    const answer = await viaSidecar(CLIENT, "store", "/up", ...chunked);
    const echo = JSON.parse(answer.body) as Echo;
    expect(echo).toMatchObject({ method: "PUT", bodyBytes: BIG_BYTES, bodyHash: bigHash });
    expect(echo.headers["transfer-encoding"]).toBe("chunked");
  });

  for (const path of ["/big/length", "/big/chunked"]) {
    scenario(`a response: ${path}`, async () => {
      const file = mesh.file("answer.bin", "");
      const { status, headers } = await viaSidecar(CLIENT, "store", path, "-o", file);
      expect(status).toBe(200);
      expect(headers["content-length"]?.[0]).toBe(path === "/big/length" ? String(BIG_BYTES) : undefined);
      expect(sha256(readFileSync(file))).toBe(bigHash);
    });
  }

  scenario("a slow reader holds the sender back, and gets everything", async () => {
    const file = mesh.file("slow.bin", "");
    const limited = ["--limit-rate", "8M", "-o", file];
    expect((await viaSidecar(CLIENT, "store", "/big/length", ...limited)).status).toBe(200);
    expect(sha256(readFileSync(file))).toBe(bigHash);
  });
});

describe("HTTP/2 in plain text, as gRPC speaks it", () => {
  const H2C = "--http2-prior-knowledge";

  scenario("an answer that does not wait for the body is heard", async () => {
    const file = mesh.file("body.bin", "");
    for (const bytes of [10_000, 300_000]) {
      await Bun.write(file, big.subarray(0, bytes));
      const answer = await viaSidecar(CLIENT, "store", "/%zz", H2C, "--data-binary", `@${file}`);
      expect([bytes, answer.status]).toEqual([bytes, 400]);
    }
  });

  scenario("a request and its answer", async () => {
    const answer = await viaSidecar(CLIENT, "store", "/h2", H2C, "-d", "hello");
    const echo = JSON.parse(answer.body) as Echo;
    expect(echo).toMatchObject({ method: "POST", path: "/h2", bodyBytes: 5 });
    expect(echo.headers["host"]).toBe("store");
  });

  scenario("20 MB up and 20 MB down", async () => {
    const up = mesh.file("up.bin", "");
    const down = mesh.file("down.bin", "");
    await Bun.write(up, big);
    const answer = await viaSidecar(CLIENT, "store", "/up", H2C, "--data-binary", `@${up}`);
    expect(JSON.parse(answer.body)).toMatchObject({ bodyBytes: BIG_BYTES, bodyHash: bigHash });
    await viaSidecar(CLIENT, "store", "/big/chunked", H2C, "-o", down);
    expect(sha256(readFileSync(down))).toBe(bigHash);
  });

  scenario("an answer that breaks off never looks whole", async () => {
    const url = `http://${CLIENT}:15001/breaks-off`;
    const { code, stdout } = await runCurl(["--silent", H2C, "-H", "Host: store", url]);
    expect(stdout).toBe("a beginning");
    // CURLE_HTTP2_STREAM, or CURLE_PARTIAL_FILE.
    expect([92, 18]).toContain(code as number);
  });
});

describe("forms of messages", () => {
  scenario("HEAD: the length of the body, and no body", async () => {
    const { status, headers, body } = await viaSidecar(CLIENT, "store", "/etag", "--head");
    expect(status).toBe(200);
    expect(headers["etag"]).toEqual(['"7"']);
    expect(body).not.toContain("seven");
  });

  scenario("304 and 204 have no body, and the connection goes on", async () => {
    const unchanged = await viaSidecar(CLIENT, "store", "/etag", "-H", 'If-None-Match: "7"');
    expect([unchanged.status, unchanged.body, unchanged.headers["etag"]?.[0]]).toEqual([304, "", '"7"']);
    expect((await viaSidecar(CLIENT, "store", "/etag")).body).toBe("seven");
    expect((await viaSidecar(CLIENT, "store", "/nothing")).status).toBe(204);
  });

  scenario("a field that stands twice arrives twice", async () => {
    expect((await viaSidecar(CLIENT, "store", "/cookies")).headers["set-cookie"]).toEqual(["a=1", "b=2"]);
  });

  scenario("curl's Expect: 100-continue is answered", async () => {
    const answer = await viaSidecar(CLIENT, "store", "/", "-H", "Expect: 100-continue", "-d", "hello");
    expect(JSON.parse(answer.body)).toMatchObject({ bodyBytes: 5 });
  });

  scenario("an answer that breaks off never looks whole", async () => {
    const args = ["--silent", "-H", "Host: store", `http://${CLIENT}:15001/breaks-off`];
    const { code, stdout } = await runCurl(args);
    expect(stdout).toBe("a beginning");
    // CURLE_PARTIAL_FILE, or CURLE_RECV_ERROR.
    expect([18, 56]).toContain(code as number);
  });

  scenario("nobody outside can speak as a proxy: fields of the mesh are taken away", async () => {
    const forged = [
      "-H",
      "x-bowline-peer: admin;admin;v1",
      "-H",
      "x-bowline-port: 22",
      "-H",
      "x-mine: stays",
    ];
    const { headers } = JSON.parse((await viaSidecar(CLIENT, "store", "/", ...forged)).body) as Echo;
    expect(Object.keys(headers).filter((name) => name.startsWith("x-bowline"))).toEqual([]);
    expect(headers["x-mine"]).toBe("stays");
    expect(headers["host"]).toBe("store");
  });
});

describe("connections", () => {
  scenario("one connection carries several requests, one after the other and sent ahead", async () => {
    const connection = new RawConnection(CLIENT, 15001);
    const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: store\r\n\r\n`;
    connection.send(get("/first"));
    expect(await connection.read(/\}$/)).toContain('"path":"/first"');
    connection.send(get("/second") + get("/third"));
    const both = await connection.read(/third[^]*\}$/);
    expect(both.indexOf("/second")).toBeLessThan(both.indexOf("/third"));
    connection.close();
  });

  scenario("HTTP/1.0 gets its answer and the end of the connection", async () => {
    const connection = new RawConnection(CLIENT, 15001);
    connection.send("GET /old HTTP/1.0\r\nHost: store\r\n\r\n");
    expect(await connection.read(/\}$/)).toContain('"path":"/old"');
    connection.close();
  });

  scenario("a caller that goes away in the middle leaves nothing behind", async () => {
    const connection = new RawConnection(CLIENT, 15001);
    connection.send("POST /half HTTP/1.1\r\nHost: store\r\nContent-Length: 1000\r\n\r\nhalf");
    await until("the connection is open", async () => await openConnections() > 0);
    connection.close();
    await until("no connection is open", async () => await openConnections() === 0);
    expect((await viaSidecar(CLIENT, "store")).status).toBe(200);
  });

  scenario("many at once, each with its own answer", async () => {
    let wrong = 0;
    const worker = async (_: unknown, number: number) => {
      for (let i = 0; i < REQUESTS_EACH; i++) {
        const path = `/${number}/${i}`;
        const body = `${path} `.repeat(i * 40);
        const response = await fetch(`http://${CLIENT}:15001${path}`, {
          method: "POST",
          headers: { host: "store" },
          body,
        });
        const echo = await response.json() as Echo;
        if (response.status !== 200 || echo.path !== path || echo.bodyBytes !== body.length) wrong++;
      }
    };
    await Promise.all(Array.from({ length: CONCURRENT }, worker));
    expect(wrong).toBe(0);
  });
});

/** Of clients, at the caller's sidecar. */
async function openConnections(): Promise<number> {
  const text = await (await fetch(`http://${CLIENT}:15090/stats/prometheus`)).text();
  return Number(/^bowline_downstream_connections (\d+)$/m.exec(text)?.[1]);
}

/** The same in every run: xorshift32. */
function pseudoRandomBytes(length: number): Uint8Array {
  const words = new Uint32Array(length / 4);
  let state = 0x2545f491;
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  return new Uint8Array(words.buffer);
}
