/** WebSocket and raw TCP through the mesh: nothing before the upgrade is granted, every byte after it, each half to its end. */
import { afterAll, beforeAll, describe, expect } from "bun:test";
import { connect, createServer, type Server, type Socket } from "node:net";
import { sha256, startEcho, stopEchoes } from "./apps.ts";
import { endEverythingAfterwards, scenario } from "./bowline.ts";
import { exchange, runCurl } from "./clients.ts";
import { Mesh } from "./mesh.ts";
import { service, workload } from "./resources.ts";

const BIG_BYTES = 50 * 1024 * 1024;

const mesh = new Mesh("127.0.9");
const CLIENT = mesh.address(10);
const STORE = mesh.address(11);

endEverythingAfterwards();

let chat: ReturnType<typeof startChat>;
let database: Server;
/** What the database's connections ended with. */
const endings: string[] = [];

beforeAll(async () => {
  const ports = service("store").replace(
    "port: 8080 }",
    "port: 8080 }\n  - { name: ws, port: 8081 }\n  - { name: tcp-db, port: 5432 }",
  );
  mesh.write("mesh.yaml", ports, workload("client", CLIENT), workload("store", STORE));
  await mesh.startControlPlane();
  chat = startChat();
  database = await startDatabase();
  await Promise.all([
    mesh.startSidecar("shop/client", { at: 10 }),
    mesh.startSidecar("shop/store", { at: 11 }),
    startEcho("store", STORE),
  ]);
  await mesh.untilSynced(2);
});

afterAll(async () => {
  chat.stop(true);
  database.close();
  await stopEchoes();
  mesh.remove();
});

/** Echoes messages; refuses `/refused`. */
function startChat() {
  return Bun.serve({
    hostname: STORE,
    port: 8081,
    fetch(request, server) {
      if (new URL(request.url).pathname === "/refused") return new Response("not you", { status: 403 });
      return server.upgrade(request) ? undefined : new Response("no upgrade asked", { status: 400 });
    },
    websocket: {
      maxPayloadLength: BIG_BYTES,
      message(socket, message) {
        socket.send(message);
        if (message === "good-bye") socket.close(4000, "as you wish");
      },
    },
  });
}

/** Speaks first; when the client has ended its half, says how much came and ends its own. */
async function startDatabase(): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const received: Buffer[] = [];
    socket.write("220 ready\n");
    socket.on("data", (chunk: Buffer) => received.push(chunk));
    socket.on("end", () => {
      const all = Buffer.concat(received);
      if (all.toString() === "big please\n") socket.end(Buffer.alloc(BIG_BYTES, 7));
      else socket.end(`${all.length} ${sha256(all)}\n`);
    });
    socket.on("error", (error: NodeJS.ErrnoException) => endings.push(error.code ?? "error"));
    socket.on("close", (failed) => endings.push(failed ? "broken" : "whole"));
  });
  await new Promise<void>((resolve) => server.listen(5432, STORE, resolve));
  return server;
}

function webSocket(path: string): Promise<WebSocket> {
  const options = { headers: { Host: "store:8081" } } as unknown as string;
  const socket = new WebSocket(`ws://${CLIENT}:15001${path}`, options);
  socket.binaryType = "arraybuffer";
  return new Promise((resolve, reject) => {
    socket.onopen = () => resolve(socket);
    socket.onerror = (event) => reject(new Error((event as ErrorEvent).message));
  });
}

function answerTo(socket: WebSocket, message: string | Uint8Array): Promise<string | ArrayBuffer> {
  return new Promise((resolve) => {
    socket.onmessage = (event) => resolve(event.data);
    socket.send(message as string);
  });
}

/** A connection through CONNECT, after its first line from the database. */
async function tunnel(): Promise<{ socket: Socket; heard: () => Promise<Buffer> }> {
  const socket = connect({ host: CLIENT, port: 15001, allowHalfOpen: true });
  socket.write("CONNECT store:5432 HTTP/1.1\r\nHost: store:5432\r\n\r\n");
  const pieces: Buffer[] = [];
  const ended = new Promise<void>((resolve, reject) => {
    socket.on("data", (chunk: Buffer) => pieces.push(chunk));
    socket.on("end", resolve);
    socket.on("error", reject);
  });
  while (!Buffer.concat(pieces).includes("220 ready\n")) await Bun.sleep(5);
  const greeting = Buffer.concat(pieces).toString();
  expect(greeting).toStartWith("HTTP/1.1 200 OK\r\n");
  const skipped = greeting.length;
  return {
    socket,
    heard: async () => {
      await ended;
      return Buffer.concat(pieces).subarray(skipped);
    },
  };
}

describe("WebSocket", () => {
  scenario("messages go both ways, small and large", async () => {
    const socket = await webSocket("/chat");
    expect(await answerTo(socket, "hello")).toBe("hello");
    const large = new Uint8Array(5_000_000).map((_, i) => i * 31);
    const echoed = await answerTo(socket, large) as ArrayBuffer;
    expect(sha256(new Uint8Array(echoed))).toBe(sha256(large));
    socket.close();
  });

  scenario("the server's close code and reason arrive", async () => {
    const socket = await webSocket("/chat");
    const closed = new Promise<CloseEvent>((resolve) => socket.onclose = resolve);
    socket.send("good-bye");
    expect(await closed).toMatchObject({ code: 4000, reason: "as you wish" });
  });

  scenario("a refused upgrade is an ordinary answer, and no tunnel", async () => {
    const { status, body } = await askUpgrade("/refused");
    expect([status, body]).toEqual([403, "not you"]);
  });

  scenario("bytes before the 101 reach nobody when the upgrade is refused", async () => {
    const { text: heard } = await exchange(
      CLIENT,
      15001,
      "GET /refused HTTP/1.1\r\nHost: store:8081\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n" +
        "GET /smuggled HTTP/1.1\r\nHost: store\r\n\r\n",
    );
    expect(heard).toContain("403");
    expect(heard).not.toContain("smuggled");
    expect(heard.match(/HTTP\/1\.1/g)).toHaveLength(1);
  });

  scenario("fifty at once keep apart", async () => {
    const sockets = await Promise.all(Array.from({ length: 50 }, () => webSocket("/chat")));
    const answers = await Promise.all(sockets.map((socket, i) => answerTo(socket, `message ${i}`)));
    expect(answers).toEqual(sockets.map((_, i) => `message ${i}`));
    for (const socket of sockets) socket.close();
  });
});

describe("TCP through CONNECT", () => {
  scenario(
    "a server that speaks first is heard, and what the client says arrives byte for byte",
    async () => {
      const sent = Buffer.alloc(BIG_BYTES, "0123456789abcdef!");
      const { socket, heard } = await tunnel();
      socket.end(sent);
      expect((await heard()).toString()).toBe(`${sent.length} ${sha256(sent)}\n`);
    },
  );

  scenario("after the client's half has ended, the server's half goes on to its end", async () => {
    const { socket, heard } = await tunnel();
    socket.end("big please\n");
    expect((await heard()).equals(Buffer.alloc(BIG_BYTES, 7))).toBe(true);
  });

  scenario("a client's reset is a reset for the server, not an end", async () => {
    endings.length = 0;
    const { socket } = await tunnel();
    socket.on("error", () => {});
    socket.write("half a mess");
    await Bun.sleep(100);
    socket.resetAndDestroy();
    while (endings.length === 0) await Bun.sleep(10);
    expect(endings).not.toContain("whole");
  });

  scenario("an unknown host is passed through", async () => {
    const { stdout } = await runCurl(
      ["--silent", "--proxytunnel", "-x", `http://${CLIENT}:15001`, `http://${STORE}:8080/x`],
    );
    expect(JSON.parse(stdout)).toMatchObject({ app: "store", path: "/x" });
  });

  scenario("HTTP inside a tunnel to a service works too", async () => {
    const { stdout } = await runCurl(
      ["--silent", "--proxytunnel", "-x", `http://${CLIENT}:15001`, "http://store:8080/y"],
    );
    expect(JSON.parse(stdout)).toMatchObject({ app: "store", path: "/y" });
  });

  scenario("where nobody listens: 503 UF", async () => {
    const request = `CONNECT ${STORE}:9 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;
    expect((await exchange(CLIENT, 15001, request)).text).toMatch(/^HTTP\/1\.1 503 [^]*x-bowline-reply: UF/);
  });
});

/** Asks for an upgrade with curl, which shows the answer whatever it is. */
async function askUpgrade(path: string): Promise<{ status: number; body: string }> {
  const fields = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"];
  const { stdout } = await runCurl([
    ...["--silent", "--max-time", "5", "--write-out", "\n%{http_code}", "-H", "Host: store:8081"],
    ...fields.flatMap((field) => ["-H", field]),
    ...["-H", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", `http://${CLIENT}:15001${path}`],
  ]);
  const lines = stdout.split("\n");
  return { status: Number(lines.at(-1)), body: lines.slice(0, -1).join("\n") };
}
