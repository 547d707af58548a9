/** WebSocket and raw TCP through the mesh: nothing before the upgrade is granted, every byte after it, each half to its end. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect } from "bun:test";
import { sha256, startEcho } from "./apps.ts";
import { bowline, endEverythingAfterwards, scenario } from "./bowline.ts";
import { exchange, runCurl } from "./clients.ts";
import { Mesh } from "./mesh.ts";
import { service, workload } from "./resources.ts";
import {
  answerTo,
  askUpgrade,
  type Database,
  databaseTunnel,
  earlyUpgrade,
  startChat,
  startDatabase,
  webSocket,
} from "./tunnel_peers.ts";

const BIG_BYTES = 50 * 1024 * 1024;

const mesh = new Mesh("127.0.9");
const CLIENT = mesh.address(10);
const STORE = mesh.address(11);
const CHAT = { address: CLIENT, port: 15001, host: "store:8081" };
const DATABASE = { ...CHAT, host: "store:5432" };

/** Nothing stands behind the name: rules lead what asks for it to the database, as bytes and as TLS. */
const LEDGER = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ledger, namespace: shop }
spec:
  hosts: [ledger.test]
  ports: [{ name: tcp, number: 6000, protocol: TCP }, { name: tls, number: 6443, protocol: TLS }]
  resolution: STATIC
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: ledger, namespace: shop }
spec:
  hosts: [ledger.test]
  tcp: [{ match: [{ port: 6000 }], route: [{ destination: { host: store, port: { number: 5432 } } }] }]
  tls: [{ match: [{ sniHosts: [ledger.test] }], route: [{ destination: { host: store, port: { number: 5432 } } }] }]
`;

endEverythingAfterwards();

let database: Database;

beforeAll(async () => {
  const ports = service("store").replace(
    "port: 8080 }",
    "port: 8080 }\n  - { name: ws, port: 8081 }\n  - { name: tcp-db, port: 5432 }",
  );
  mesh.write("mesh.yaml", ports, workload("client", CLIENT), workload("store", STORE), LEDGER);
  await mesh.startControlPlane();
  startChat(STORE, 8081);
  database = await startDatabase(STORE, 5432);
  await Promise.all([
    mesh.startSidecar("shop/client", { at: 10 }),
    mesh.startSidecar("shop/store", { at: 11 }),
    startEcho("store", STORE),
  ]);
  await mesh.untilSynced(2);
});

describe("WebSocket", () => {
  scenario("messages go both ways, small and large", async () => {
    const socket = await webSocket(CHAT, "/chat");
    expect(await answerTo(socket, "hello")).toBe("hello");
    const large = new Uint8Array(5_000_000).map((_, i) => i * 31);
    const echoed = await answerTo(socket, large) as ArrayBuffer;
    expect(sha256(new Uint8Array(echoed))).toBe(sha256(large));
    socket.close();
  });

  scenario("the server's close code and reason arrive", async () => {
    const socket = await webSocket(CHAT, "/chat");
    const closed = new Promise<CloseEvent>((resolve) => socket.onclose = resolve);
    socket.send("good-bye");
    expect(await closed).toMatchObject({ code: 4000, reason: "as you wish" });
  });

  scenario("a refused upgrade is an ordinary answer, and no tunnel", async () => {
    const { status, body } = await askUpgrade(CHAT, "/refused");
    expect([status, body]).toEqual([403, "not you"]);
    // In HTTP/2, on the hop between the sidecars, 200 grants what in HTTP/1 it does not.
    expect(await askUpgrade(CHAT, "/ignored")).toEqual({ status: 200, body: "a page" });
  });

  scenario("bytes before the 101 reach nobody when the upgrade is refused", async () => {
    for (const [path, status] of [["/refused", "403"], ["/ignored", "200"]] as const) {
      const { text: heard } = await exchange(CLIENT, 15001, earlyUpgrade(CHAT.host, path));
      expect(heard).toStartWith(`HTTP/1.1 ${status} `);
      expect(heard).not.toContain("smuggled");
      expect(heard.match(/HTTP\/1\.1/g)).toHaveLength(1);
    }
  });

  scenario("fifty at once keep apart", async () => {
    const sockets = await Promise.all(Array.from({ length: 50 }, () => webSocket(CHAT, "/chat")));
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
      const { socket, heard } = await databaseTunnel(DATABASE);
      socket.end(sent);
      expect((await heard).start).toBe(`${sent.length} ${sha256(sent)}\n`);
    },
  );

  for (const port of [6000, 6443]) {
    scenario(`the rules of port ${port} for bytes lead a tunnel that asks for it`, async () => {
      const { socket, heard } = await databaseTunnel({ ...CHAT, host: `ledger.test:${port}` });
      socket.end("hello");
      expect((await heard).start).toBe(`5 ${sha256(Buffer.from("hello"))}\n`);
    });
  }

  scenario("the rules of a port of bytes lead a request that asks for it without a tunnel, too", async () => {
    const { text } = await exchange(
      CLIENT,
      15001,
      "GET http://ledger.test:6000/ HTTP/1.1\r\nHost: x\r\n\r\n",
    );
    // The database speaks no HTTP: what it greets with is no answer.
    expect(text).toMatch(/^HTTP\/1\.1 502 [^]*x-bowline-reply: UPE/);
    const tls = "GET http://ledger.test:6443/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    expect((await exchange(CLIENT, 15001, tls)).text).toMatch(/^HTTP\/1\.1 400 [^]*request_to_tls/);
  });

  scenario("explain and test say so from the files alone", async () => {
    const file = join(mesh.directory, "bytes_test.yaml");
    const led = (url: string, expected: string) =>
      `- { name: "${url}", from: shop/client, request: "${url}", expect: ${expected} }\n`;
    const store =
      `{ action: forward, destinations: [{ endpoints: [{ address: "${STORE}:5432", mtls: true }] }]`;
    writeFileSync(
      file,
      `config: ${mesh.config}\ntests:\n` +
        led("tcp://ledger.test:6000", `${store}, route: { virtualService: shop/ledger } }`) +
        led("tcp://ledger.test:6443", `${store}, route: { virtualService: shop/ledger } }`) +
        led("tcp://store:5432", `${store}, route: null }`) +
        led(`tcp://${STORE}:5432`, `${store}, route: null }`) +
        led("http://ledger.test:6000", `${store}, route: { virtualService: shop/ledger } }`) +
        led("http://ledger.test:6443", "{ action: refused }") +
        led("tcp://ledger.test:7", "{ action: passthrough }"),
    );
    const { code, stdout } = await bowline(["test", file]);
    expect([code, stdout]).toEqual([0, expect.stringContaining("7 passed, 0 failed")]);
    const words = ["explain", "--config", mesh.config, "--from", "shop/client", "tcp://ledger.test:6000"];
    expect((await bowline(words)).stdout).toContain("Rule 0 of VirtualService shop/ledger");
  });

  scenario("after the client's half has ended, the server's half goes on to its end", async () => {
    const { socket, heard } = await databaseTunnel(DATABASE);
    socket.end(`${BIG_BYTES} please\n`);
    expect(await heard).toMatchObject({ bytes: BIG_BYTES, hash: sha256(Buffer.alloc(BIG_BYTES, 7)) });
  });

  scenario("a client's reset is a reset for the server, not an end", async () => {
    const { endings } = database;
    endings.length = 0;
    const { socket } = await databaseTunnel(DATABASE);
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
