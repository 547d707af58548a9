/** What an exchange counts besides that it ended: bytes, gRPC messages, TCP connections. */
import { describe, expect, test } from "bun:test";
import { GRPC_STATUS_NONE } from "../../../../src/telemetry/grpc_status.ts";
import {
  type Client,
  cluster,
  DataPlane,
  endpoint,
  settings,
  shopSnapshot,
  snapshotOf,
  virtualHost,
} from "../data_plane.ts";
import type { FakeConnection } from "../fake_network.ts";
import { settle } from "../fake_wire.ts";

const CONNECT = "CONNECT shop:80 HTTP/1.1\r\nHost: shop\r\n\r\n";

function edgeOf(plane: DataPlane) {
  const edge = [...plane.edges.edges()].find(({ labels }) => labels.destination.name === "shop-1");
  if (edge === undefined) throw new Error("There is no such edge");
  return edge;
}

async function start(text: string): Promise<{ plane: DataPlane; client: Client; upstream: FakeConnection }> {
  const plane = new DataPlane(shopSnapshot(endpoint(1)));
  const client = plane.caller();
  client.send(text);
  const upstream = plane.network.last;
  upstream.accept();
  await client.read();
  return { plane, client, upstream };
}

describe("bytes of bodies", () => {
  const sums = (plane: DataPlane) =>
    edgeOf(plane).series.map(({ requestBytes, responseBytes }) => [requestBytes.sum, responseBytes.sum]);

  test("HttpExchange counts both bodies, without their framing", async () => {
    const { plane, client, upstream } = await start(
      "POST / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    );
    client.send("2\r\nde\r\n0\r\n\r\n");
    upstream.say("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n1234");
    expect(sums(plane)).toEqual([]);
    upstream.say("567");
    await settle();
    expect(sums(plane)).toEqual([[5, 7]]);
  });

  test("HttpExchange counts what came of a body that broke off, and its own reply", async () => {
    const { plane, client, upstream } = await start(
      "POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 9\r\n\r\nabc",
    );
    upstream.close("reset");
    const answer = await client.read();
    expect(answer).toStartWith("HTTP/1.1 503 ");
    expect(sums(plane)).toEqual([[3, (answer.split("\r\n\r\n")[1] as string).length]]);
  });

  test("HttpExchange counts the bytes of a WebSocket as those of its request", async () => {
    const { plane, client, upstream } = await start(
      "GET / HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
    );
    upstream.say(
      "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello",
    );
    await client.read();
    client.send("abc");
    client.close();
    await settle();
    expect(plane.counted()).toEqual(["101 DC shop-1"]);
    expect(sums(plane)).toEqual([[3, 5]]);
  });
});

describe("TCP connections", () => {
  test("HttpExchange counts a tunnel as it stands, its bytes as they pass, its end at last", async () => {
    const { plane, client, upstream } = await start(CONNECT);
    expect(plane.counted()).toEqual(["tcp - shop-1 +1 -0 0/0"]);
    client.send("abc");
    upstream.say("hello");
    expect(plane.counted()).toEqual(["tcp - shop-1 +1 -0 3/5"]);
    client.end();
    upstream.say("!");
    expect(plane.counted()).toEqual(["tcp - shop-1 +1 -0 3/6"]);
    upstream.close("end");
    expect(plane.counted()).toEqual(["tcp - shop-1 +1 -1 3/6"]);
  });

  test("HttpExchange counts what broke a tunnel", async () => {
    for (
      const [end, flags] of [
        [(client: Client) => client.close(), "DC"],
        [(_: Client, upstream: FakeConnection) => upstream.close("reset"), "UR"],
      ] as const
    ) {
      const { plane, client, upstream } = await start(CONNECT);
      client.send("abc");
      end(client, upstream);
      await settle();
      expect(plane.counted()).toEqual(["tcp - shop-1 +1 -0 3/0", `tcp ${flags} shop-1 +0 -1 0/0`]);
    }
  });

  test("HttpExchange counts a tunnel that never stood, once, by its flag", async () => {
    const plane = new DataPlane(shopSnapshot(endpoint(1)));
    const client = plane.caller();
    client.send(CONNECT);
    for (let i = 0; i < 3; i++) {
      plane.network.last.refuse();
      plane.clock.advance(1_000);
    }
    expect(await client.read()).toStartWith("HTTP/1.1 503 ");
    expect(plane.counted()).toEqual(["tcp UF,URX shop-1 +1 -1 0/0"]);
  });

  test("HttpExchange counts a tunnel that REGISTRY_ONLY blocks as one without an upstream", async () => {
    const resources = [settings({ outboundPolicy: "REGISTRY_ONLY" }), virtualHost(), cluster()] as const;
    const plane = new DataPlane(snapshotOf(...resources));
    const client = plane.caller();
    client.send("CONNECT other:443 HTTP/1.1\r\nHost: other:443\r\n\r\n");
    expect(await client.read()).toStartWith("HTTP/1.1 502 ");
    expect(plane.counted()).toEqual(["tcp UH unknown +1 -1 0/0"]);
  });
});

describe("gRPC messages", () => {
  const head =
    "POST /a.B/C HTTP/1.1\r\nHost: shop\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n";
  const message = "\0\0\0\0\x03abc";
  const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;

  test("HttpExchange counts messages as they pass, wherever they are cut", async () => {
    const { plane, client, upstream } = await start(head + chunk(message + message.slice(0, 3)));
    const edge = edgeOf(plane);
    expect([edge.requestMessages, edge.responseMessages]).toEqual([1, 0]);
    client.send(chunk(message.slice(3)));
    expect(edge.requestMessages).toBe(2);
    upstream.say(`HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n`);
    upstream.say(chunk(message.repeat(4) + "\0"));
    expect([edge.requestMessages, edge.responseMessages]).toEqual([2, 4]);
    client.close();
    await settle();
    expect(edge.series).toMatchObject([{ flags: "DC", grpcStatus: GRPC_STATUS_NONE }]);
  });

  test("HttpExchange counts no messages of what is not gRPC", async () => {
    const { plane } = await start(head.replace("/grpc", "/json") + chunk(message) + "0\r\n\r\n");
    expect(edgeOf(plane).requestMessages).toBe(0);
  });
});
