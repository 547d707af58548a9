/** One request through the proxy: what is retried, what is answered in whose name, what is counted. */
import { DEFAULT_LIMITS } from "../../../../src/model/limits.ts";
import { describe, expect, test } from "bun:test";
import { RETRY_POLICY_DEFAULT } from "../../../../src/model/route.ts";
import { DataPlane, endpoint, shopSnapshot } from "../data_plane.ts";
import { settle } from "../fake_wire.ts";
import { OK } from "../http1/upstream.ts";

const POST = "POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 5\r\n\r\n";

/** A plane whose connection to the one endpoint has carried a request already. */
function warm() {
  const plane = new DataPlane(shopSnapshot(endpoint(1)));
  const client = plane.caller();
  client.get();
  const connection = plane.network.last.accept();
  connection.say(OK);
  return { plane, client, connection };
}

/** Lets every back-off pass. */
function wait(plane: DataPlane): void {
  plane.clock.advance(500);
}

describe("forwarding", () => {
  test("HttpExchange passes request and response on, and counts them once", async () => {
    const plane = new DataPlane(shopSnapshot(endpoint(1)));
    const client = plane.caller();
    client.send(`${POST}he`, "llo");
    expect(plane.active).toBe(1);
    const upstream = plane.network.last.accept();
    expect(await upstream.read()).toMatch(
      /^POST \/ HTTP\/1\.1\r\nhost: shop\r\n[^]*content-length: 5\r\n\r\nhello$/,
    );
    upstream.say(
      "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\nServer: x\r\n\r\n2\r\nok\r\n0\r\nSum: 1\r\n\r\n",
    );
    expect(await client.read()).toBe(
      "HTTP/1.1 201 Created\r\nserver: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nsum: 1\r\n\r\n",
    );
    expect(plane.counted()).toEqual(["201 - shop-1"]);
    expect(plane.active).toBe(0);
  });

  test("HttpExchange holds the client back until there is a connection, then lets it go on", async () => {
    const plane = new DataPlane(shopSnapshot(endpoint(1)));
    const client = plane.caller();
    client.send(POST);
    expect(client.wire.paused).toBe(true);
    const upstream = plane.network.last.accept();
    expect(client.wire.paused).toBe(false);
    client.send("hello");
    expect(await upstream.read()).toEndWith("hello");
  });

  test("HttpExchange lets the client be heard again when its whole request came before the connection", () => {
    const plane = new DataPlane(shopSnapshot(endpoint(1)));
    const client = plane.caller();
    client.send(`${POST}hello`);
    plane.network.last.accept();
    // A paused client could not even go away.
    expect(client.wire.paused).toBe(false);
  });

  test("HttpExchange holds a fast request back for a slow upstream, and a fast response for a slow client", async () => {
    const { plane, client, connection } = warm();
    await settle();
    client.send("POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 1000000\r\n\r\n");
    // Each time, and not the first time alone.
    for (let i = 0; i < 2; i++) {
      connection.wire.room = 1_000;
      client.send("x".repeat(200_000));
      expect(client.wire.paused).toBe(true);
      connection.drain();
      expect(client.wire.paused).toBe(false);
    }
    connection.say("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
    for (let i = 0; i < 2; i++) {
      client.wire.room = 1_000;
      connection.say("x".repeat(200_000));
      expect(connection.wire.paused).toBe(true);
      client.wire.room = Number.POSITIVE_INFINITY;
      client.connection.onDrain();
      expect(connection.wire.paused).toBe(false);
    }
    client.close();
    expect(plane.counted()).toEqual(["200 - shop-1", "200 DC shop-1"]);
    expect(plane.active).toBe(0);
  });
});

describe("retries", () => {
  test("HttpExchange tries other connections when none comes about, a POST with a body too", async () => {
    const plane = new DataPlane(shopSnapshot(endpoint(1), endpoint(2)));
    const client = plane.caller();
    client.send(`${POST}hello`);
    const first = plane.network.last;
    first.refuse();
    wait(plane);
    const second = plane.network.last;
    expect(second.address).not.toEqual(first.address);
    expect(await second.accept().read()).toEndWith("\r\n\r\nhello");
    second.say(OK);
    expect(await client.read()).toStartWith("HTTP/1.1 200 OK\r\n");
    expect(plane.counted()).toHaveLength(1);
    expect(plane.active).toBe(0);
  });

  test("HttpExchange gives up after the last attempt: 503 UF,URX", async () => {
    const plane = new DataPlane(shopSnapshot(endpoint(1)));
    const client = plane.caller();
    client.get();
    for (let i = 0; i <= RETRY_POLICY_DEFAULT.attempts; i++) {
      expect(plane.network.attempts).toHaveLength(i + 1);
      plane.network.last.refuse();
      wait(plane);
    }
    expect(plane.network.attempts).toHaveLength(1 + RETRY_POLICY_DEFAULT.attempts);
    const answer = await client.read();
    expect(answer).toStartWith("HTTP/1.1 503 Service Unavailable\r\n");
    expect(answer).toContain(
      "x-bowline-reply: UF,URX upstream_reset_before_response_started{connection_failure}",
    );
    expect(plane.counted()).toEqual(["503 UF,URX shop-1"]);
    expect(plane.active).toBe(0);
  });

  test.each(["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"])(
    "HttpExchange sends %s again when a kept connection closed in silence",
    async (method) => {
      const { plane, client, connection } = warm();
      client.send(`${method} / HTTP/1.1\r\nHost: shop\r\n\r\n`);
      expect(await connection.read()).toContain(`${method} / HTTP/1.1`);
      connection.close();
      wait(plane);
      plane.network.last.accept().say("HTTP/1.1 204 No Content\r\n\r\n");
      expect(await client.read()).toEndWith("HTTP/1.1 204 No Content\r\n\r\n");
      expect(plane.counted()).toEqual(["200 - shop-1", "204 - shop-1"]);
    },
  );

  test.each([
    ["a POST", "POST / HTTP/1.1\r\nHost: shop\r\n\r\n"],
    ["a PATCH", "PATCH / HTTP/1.1\r\nHost: shop\r\n\r\n"],
    [
      "a PUT that is too large to be kept",
      `PUT / HTTP/1.1\r\nHost: shop\r\nContent-Length: 999999\r\n\r\n${
        "x".repeat(DEFAULT_LIMITS.replayBytes + 1)
      }`,
    ],
  ])("HttpExchange does not send %s again on a kept connection: 503 UC", async (_what, request) => {
    const { plane, client, connection } = warm();
    client.send(request);
    await settle();
    connection.close();
    wait(plane);
    expect(plane.network.attempts).toHaveLength(1);
    expect(await client.read()).toContain("HTTP/1.1 503 Service Unavailable\r\n");
    expect(plane.counted()).toEqual(["200 - shop-1", "503 UC shop-1"]);
  });

  test("HttpExchange does not send again what a new connection, or one that began to answer, broke off", async () => {
    for (const word of ["", "HTTP/1.1 100 Continue\r\n\r\n"]) {
      const { plane, client, connection } = warm();
      if (word === "") {
        connection.close();
        client.get();
        plane.network.last.accept().close();
      } else {
        client.get();
        connection.say(word);
        connection.close();
      }
      wait(plane);
      expect(await client.read()).toContain("HTTP/1.1 503 Service Unavailable\r\n");
      expect(plane.counted()).toEqual(["200 - shop-1", "503 UC shop-1"]);
    }
  });

  test("HttpExchange ends an empty body in chunks again when it sends the request again", async () => {
    const { plane, client, connection } = warm();
    client.send("PUT / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n\r\n");
    await settle();
    connection.close();
    wait(plane);
    const next = plane.network.last.accept();
    expect(await next.read()).toEndWith("transfer-encoding: chunked\r\n\r\n0\r\nx: y\r\n\r\n");
    next.say(OK);
    expect(plane.counted()).toEqual(["200 - shop-1 x2"]);
  });
});

describe("an upstream that fails", () => {
  test("HttpExchange answers 502 UPE to nonsense, 504 UT to silence", async () => {
    const nonsense = warm();
    nonsense.client.get();
    nonsense.connection.say("nonsense\r\n\r\n");
    expect(await nonsense.client.read()).toContain("HTTP/1.1 502 Bad Gateway\r\n");
    expect(nonsense.plane.counted()).toContain("502 UPE shop-1");

    const silence = warm();
    silence.client.get();
    await settle();
    silence.plane.clock.advance(301_000);
    expect(await silence.client.read()).toContain("HTTP/1.1 504 Gateway Timeout\r\n");
    expect(silence.plane.counted()).toContain("504 UT shop-1");
    expect(silence.plane.active).toBe(0);
  });

  test.each([
    ["by length", "Content-Length: 10\r\n\r\nhello", "content-length: 10\r\n\r\nhello"],
    ["in chunks", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "chunked\r\n\r\n5\r\nhello\r\n"],
    ["until the close", "\r\nhello", "chunked\r\n\r\n5\r\nhello\r\n"],
  ])(
    "HttpExchange breaks off with a response %s that broke off: it never looks whole",
    async (_what, text, sent) => {
      const { plane, client, connection } = warm();
      await client.read();
      client.get();
      connection.say(`HTTP/1.1 200 OK\r\n${text}`);
      await settle();
      connection.close("reset");
      expect(await client.read()).toEndWith(sent);
      expect(client.wire).toMatchObject({ terminated: true, ended: false });
      expect(plane.counted()).toEqual(["200 - shop-1", "200 UR shop-1"]);
      expect(plane.active).toBe(0);
    },
  );

  test("HttpExchange answers in gRPC's form to gRPC", async () => {
    const plane = new DataPlane(shopSnapshot());
    const client = plane.caller();
    client.get("/", "Content-Type: application/grpc+proto");
    const answer = await client.read();
    expect(answer).toStartWith("HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ngrpc-status: 14\r\n");
    expect(answer).toContain("grpc-message: no%20healthy%20upstream\r\n");
    expect(plane.counted()).toEqual(["200 UH unknown"]);
  });
});

describe("a client that fails", () => {
  test("HttpExchange breaks off the upstream request when the client goes away", async () => {
    const { plane, client, connection } = warm();
    client.get();
    await settle();
    client.close();
    expect(connection.wire.terminated).toBe(true);
    expect(plane.counted()).toEqual(["0 DC shop-1", "200 - shop-1"]);
    expect(plane.active).toBe(0);
  });

  test("HttpExchange counts a client that went away while it waited for a connection, or for another attempt", () => {
    for (const backingOff of [false, true]) {
      const plane = new DataPlane(shopSnapshot(endpoint(1)));
      const client = plane.caller();
      client.get();
      if (backingOff) plane.network.last.refuse();
      client.close();
      wait(plane);
      expect(plane.network.attempts).toHaveLength(1);
      expect(plane.counted()).toEqual(["0 DC shop-1"]);
      expect(plane.active).toBe(0);
    }
  });

  test("HttpExchange does not send a request whose client went away before there was a connection", async () => {
    const plane = new DataPlane(shopSnapshot(endpoint(1)));
    const client = plane.caller();
    client.get();
    client.close();
    expect(await plane.network.last.accept().read()).toBe("");
  });

  test("HttpExchange counts a bad body once, as what the client was told: 400 DPE", async () => {
    const { plane, client, connection } = warm();
    await client.read();
    client.send("POST / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n");
    expect(await client.read()).toStartWith("HTTP/1.1 400 Bad Request\r\n");
    expect(connection.wire.terminated).toBe(true);
    expect(plane.counted()).toEqual(["200 - shop-1", "400 DPE shop-1"]);
    expect(plane.active).toBe(0);
  });

  test("HttpExchange counts a body that stopped coming as 408 SI, and not as the upstream's fault", async () => {
    const { plane, client, connection } = warm();
    await client.read();
    client.send(`${POST}he`);
    await settle();
    plane.clock.advance(301_000);
    expect(await client.read()).toStartWith("HTTP/1.1 408 Request Timeout\r\n");
    expect(connection.wire.terminated).toBe(true);
    expect(plane.counted()).toEqual(["200 - shop-1", "408 SI shop-1"]);
  });
});
