import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { ManualClock } from "../../../src/lib/clock.ts";
import { TimerWheel, WHEEL_LATENESS_MS } from "../../../src/lib/timer_wheel.ts";
import {
  STATUS_CONNECTIONS_MAX,
  STATUS_IDLE_MS,
  statusConnectionsMax,
  StatusPort,
} from "../../../src/proxy/status_port.ts";
import type { HttpHandler } from "../../../src/runtime/http_server.ts";
import { exchange, RawConnection } from "../../integration/clients.ts";
import { until } from "../../integration/bowline.ts";

const HERE = "127.0.0.1";
const CONNECTIONS_MAX = 3;
const GET = "GET /a HTTP/1.1\r\nhost: x\r\n\r\n";

let clock: ManualClock;
let port: StatusPort | null;
let handler: HttpHandler;
let connections: RawConnection[];
beforeEach(() => {
  clock = new ManualClock();
  connections = [];
  handler = ({ method, url }) => new Response(`${method} ${new URL(url).pathname}`);
  port = new StatusPort(
    { hostname: HERE, port: 0 },
    new TimerWheel(clock),
    (request) => handler(request),
    CONNECTIONS_MAX,
  );
});
afterEach(async () => {
  for (const connection of connections) connection.close();
  await port?.stop();
});

function open(): RawConnection {
  const connection = new RawConnection(HERE, (port as StatusPort).port);
  connections.push(connection);
  return connection;
}

async function ask(connection: RawConnection): Promise<string> {
  connection.send(GET);
  return await connection.read(/GET \/a$/);
}

async function answer(request: string): Promise<string> {
  return (await exchange(HERE, (port as StatusPort).port, request)).text;
}

describe("StatusPort", () => {
  test("answers one request after the other on a connection, with a length", async () => {
    const connection = open();
    for (let i = 0; i < 3; i++) expect(await ask(connection)).toContain("\r\ncontent-length: 6\r\n");
  });

  test("answers HEAD with the length of what GET would get, and without that", async () => {
    // As a router does that knows of HEAD.
    handler = ({ method }) => new Response(method === "HEAD" ? null : "abc");
    const head = await answer("HEAD /a HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    expect(head).toMatch(/\r\ncontent-length: 3\r\n/);
    expect(head).toEndWith("\r\n\r\n");
  });

  test("says nothing of what a handler threw, and refuses what has no path", async () => {
    handler = () => {
      throw new Error("secret");
    };
    const failed = await answer("GET / HTTP/1.0\r\n\r\n");
    expect(failed).toStartWith("HTTP/1.1 500 ");
    expect(failed).not.toContain("secret");
    for (const target of ["CONNECT a:1", "OPTIONS *"]) {
      const refused = await answer(`${target} HTTP/1.1\r\nhost: a:1\r\nconnection: close\r\n\r\n`);
      expect(refused).toStartWith("HTTP/1.1 405 ");
    }
  });

  test("takes as many connections as the cap; for one above, the one that asked longest ago is closed", async () => {
    const [first, second, third] = [open(), open(), open()];
    for (const connection of [first, second, third, first]) await ask(connection);
    const [fourth, fifth] = [open(), open()];
    expect(await ask(fourth)).toStartWith("HTTP/1.1 200 ");
    expect(await ask(fifth)).toStartWith("HTTP/1.1 200 ");
    await until("two are closed", () => second.closed && third.closed);
    expect(await ask(first)).toStartWith("HTTP/1.1 200 ");
    expect([first.closed, fourth.closed, fifth.closed]).toEqual([false, false, false]);
  });

  test("one that has not asked yet, or waits for its answer, gives way as any other, and breaks nothing", async () => {
    let tell: ((_: Response) => void) | null = null;
    handler = () => new Promise((resolve) => tell = resolve);
    const waiting = open();
    waiting.send(GET);
    await until("it has asked", () => tell !== null);
    const silent = open();
    await silent.sent();
    for (let i = 0; i < CONNECTIONS_MAX; i++) await open().sent();
    await until("both are closed", () => waiting.closed && silent.closed);
    (tell as unknown as (_: Response) => void)(new Response("too late"));
    handler = () => new Response("GET /a");
    expect(await ask(open())).toStartWith("HTTP/1.1 200 ");
  });

  test("closes one on which nothing moves any more", async () => {
    const connection = open();
    await ask(connection);
    clock.advance(STATUS_IDLE_MS - 1);
    await ask(connection);
    clock.advance(STATUS_IDLE_MS + WHEEL_LATENESS_MS);
    await until("it is closed", () => connection.closed);
  });

  test("closes what is open as it stops", async () => {
    const connection = open();
    await ask(connection);
    await port?.stop();
    await until("it is closed", () => connection.closed);
    port = null;
  });
});

test("statusConnectionsMax() is a small share of the descriptors, and bounded both ways", () => {
  expect([128, 1_024, 12_799, 12_800, 1_048_576].map(statusConnectionsMax)).toEqual([
    ...[4, 10, 127],
    ...[STATUS_CONNECTIONS_MAX, STATUS_CONNECTIONS_MAX],
  ]);
});
