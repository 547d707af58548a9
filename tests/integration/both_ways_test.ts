/** What has to cross two sidecars whole: answers before the answer, expectations, old and new HTTP, and halves of tunnels. */
import { beforeAll, describe, expect } from "bun:test";
import { connect as connectHttp2, createServer as createHttp2, type ServerHttp2Stream } from "node:http2";
import { connect, createServer, type Socket } from "node:net";
import { afterwards, endEverythingAfterwards, scenario, until } from "./bowline.ts";
import { exchange, RawConnection } from "./clients.ts";
import { ok, startFaulty } from "./faulty_upstream.ts";
import { Mesh } from "./mesh.ts";
import { NAMESPACE, workload } from "./resources.ts";
import { startChat } from "./tunnel_peers.ts";

const mesh = new Mesh("127.0.63");
const CLIENT = mesh.address(10);
const STORE = mesh.address(11);
const PORTS = { http: 8080, ws: 8081, http2: 8082, "http-patient": 8083, "tcp-db": 5432 };
/** More than two connections between proxies carry, at 100 streams each. */
const HELD = 250;

/** Those who asked for `/held`. */
const held: Socket[] = [];
/** What had come when 100 was said. */
const patience: string[] = [];
/** Connections to the database, which does what a test says. */
const tunnels: Socket[] = [];
const http2 = createHttp2();

endEverythingAfterwards();

beforeAll(async () => {
  const ports = Object.entries(PORTS).map(([name, port]) => `  - { name: ${name}, port: ${port} }\n`);
  const service = `apiVersion: v1
kind: Service
metadata: { name: store, namespace: ${NAMESPACE} }
spec:
  selector: { app: store }
  ports:
${ports.join("")}`;
  mesh.write("mesh.yaml", service, workload("client", CLIENT), workload("store", STORE));
  await mesh.startControlPlane();
  await mesh.startSidecar("shop/client", { at: 10 });
  await mesh.startSidecar("shop/store", { at: 11 });
  await startFaulty(STORE, PORTS.http, (socket, { path }) => {
    if (path === "/hints") socket.write(`HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n${ok("page")}`);
    else if (path === "/held") held.push(socket);
    else socket.write(ok(path));
  });
  const patient = createServer((socket) => {
    socket.once("data", (head: Buffer) => {
      patience.push(head.toString());
      socket.write("HTTP/1.1 100 Continue\r\n\r\n");
      socket.once("data", (body: Buffer) => void socket.write(ok(`heard ${body}`)));
    });
  }).listen(PORTS["http-patient"], STORE);
  const database = createServer({ allowHalfOpen: true }, (socket) => {
    tunnels.push(socket.on("error", () => {}));
  }).listen(PORTS["tcp-db"], STORE);
  http2.on("stream", (stream: ServerHttp2Stream) => {
    stream.respond({ ":status": 200 });
    stream.end("in HTTP/2");
  });
  http2.listen(PORTS.http2, STORE);
  for (const server of [patient, database, http2]) afterwards(() => server.close());
  startChat(STORE, PORTS.ws);
  await mesh.untilSynced(2);
});

describe("before the answer", () => {
  scenario("103 arrives, and then the answer", async () => {
    const request = "GET /hints HTTP/1.1\r\nHost: store\r\nConnection: close\r\n\r\n";
    const [hints, head, body] = (await exchange(CLIENT, 15001, request)).text.split("\r\n\r\n");
    expect(hints).toBe("HTTP/1.1 103 Early Hints\r\nlink: </a.css>");
    expect(head).toStartWith("HTTP/1.1 200 OK\r\n");
    expect(body).toBe("page");
  });

  scenario("who waits for 100 gets the workload's, and what it sends then arrives", async () => {
    const connection = new RawConnection(CLIENT, 15001);
    connection.send(
      "POST / HTTP/1.1\r\nHost: store:8083\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
    );
    expect(await connection.read(/\r\n\r\n$/)).toBe("HTTP/1.1 100 Continue\r\n\r\n");
    // The workload has the head, and no more of it.
    expect(patience.at(-1)).toMatch(/\r\nexpect: 100-continue\r\n[^]*\r\n\r\n$/);
    connection.send("hello");
    expect(await connection.read(/heard .*$/)).toEndWith("\r\n\r\nheard hello");
    connection.close();
  });
});

describe("versions of HTTP", () => {
  scenario("HTTP/1.0 hears the end of the connection, unless it asks to keep it", async () => {
    const { text, closed } = await exchange(CLIENT, 15001, "GET /a HTTP/1.0\r\nHost: store\r\n\r\n");
    expect([text.slice(0, 15), text.slice(-2), closed]).toEqual(["HTTP/1.1 200 OK", "/a", true]);
    const connection = new RawConnection(CLIENT, 15001);
    for (const path of ["/b", "/c"]) {
      connection.send(`GET ${path} HTTP/1.0\r\nHost: store\r\nConnection: keep-alive\r\n\r\n`);
      const answer = await connection.read(new RegExp(`${path}$`));
      expect(answer).toContain("\r\nconnection: keep-alive\r\n");
    }
    connection.close();
  });

  scenario("a client in HTTP/1.1 calls a workload in HTTP/2", async () => {
    const request = `GET / HTTP/1.1\r\nHost: store:${PORTS.http2}\r\nConnection: close\r\n\r\n`;
    const { text } = await exchange(CLIENT, 15001, request);
    expect(text).toStartWith("HTTP/1.1 200 OK\r\n");
    expect(text).toContain("in HTTP/2");
  });

  scenario("a WebSocket by extended CONNECT (RFC 8441) is one in HTTP/1.1 to the workload", async () => {
    const session = connectHttp2(`http://${CLIENT}:15001`);
    await new Promise<void>((resolve) => session.once("remoteSettings", () => resolve()));
    expect(session.remoteSettings.enableConnectProtocol).toBe(true);
    const open = (path: string) =>
      session.request({
        ":method": "CONNECT",
        ":protocol": "websocket",
        ":scheme": "http",
        ":authority": `store:${PORTS.ws}`,
        ":path": path,
        "sec-websocket-version": "13",
        "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
      }, { endStream: false });
    const status = (stream: ReturnType<typeof open>) =>
      new Promise<number>((resolve) => stream.once("response", (head) => resolve(head[":status"] as number)));
    const stream = open("/chat");
    expect(await status(stream)).toBe(200);
    // A masked text frame (RFC 6455 §5.2) with a mask of zeros; the echo is not masked.
    stream.write(Buffer.from("\x81\x85\0\0\0\0hello", "latin1"));
    const echo = await new Promise<Buffer>((resolve) => stream.once("data", resolve));
    expect(echo.toString("latin1")).toBe("\x81\x05hello");
    stream.close();
    const refused = open("/refused");
    expect(await status(refused)).toBe(403);
    session.destroy();
  });
});

describe("between two proxies", () => {
  scenario(
    `${HELD} requests at once, of which no connection carries all, and none waits for another`,
    async () => {
      const clients = Array.from({ length: HELD }, () => new RawConnection(CLIENT, 15001));
      for (const client of clients) client.send("GET /held HTTP/1.1\r\nHost: store\r\n\r\n");
      await until("all are heard", () => held.length === HELD);
      const metrics = await (await fetch(`http://${STORE}:15090/stats/prometheus`)).text();
      expect(Number(/^bowline_downstream_connections (\d+)$/m.exec(metrics)?.[1])).toBeGreaterThanOrEqual(3);
      for (const socket of held) socket.write(ok("let go"));
      await Promise.all(clients.map((client) => client.read(/^HTTP\/1\.1 200 [^]*let go$/)));
      for (const client of clients) client.close();
    },
  );
});

describe("a tunnel", () => {
  /** A tunnel that stands, at both ends. */
  async function tunnel(): Promise<[client: Socket, server: Socket]> {
    const before = tunnels.length;
    const client = connect({ host: CLIENT, port: 15001, allowHalfOpen: true });
    client.on("error", () => {});
    client.write(`CONNECT store:${PORTS["tcp-db"]} HTTP/1.1\r\nHost: store\r\n\r\n`);
    await new Promise((resolve) => client.once("data", resolve));
    await until("the tunnel has its other end", () => tunnels.length > before);
    return [client, tunnels.at(-1) as Socket];
  }

  const ending = (socket: Socket) =>
    new Promise<string>((resolve) => {
      socket.once("end", () => resolve("end"));
      socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? "error"));
      socket.resume();
    });

  scenario("goes on from the client after the server's half has ended", async () => {
    const [client, server] = await tunnel();
    const heard: Buffer[] = [];
    server.on("data", (bytes: Buffer) => heard.push(bytes));
    const ended = ending(client);
    server.end("good-bye");
    expect(await ended).toBe("end");
    const whole = ending(server);
    client.write("still ");
    await until("it is heard", () => heard.length > 0);
    client.end("here");
    expect(await whole).toBe("end");
    expect(Buffer.concat(heard).toString()).toBe("still here");
  });

  scenario("that the server resets is reset for the client, and has not ended", async () => {
    const [client, server] = await tunnel();
    const ended = ending(client);
    server.resetAndDestroy();
    expect(await ended).toBe("ECONNRESET");
  });
});
