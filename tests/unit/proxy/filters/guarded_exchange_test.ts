/** Requests that somebody else is asked about: none goes on that was not allowed, and none is asked about in vain. */
import { describe, expect, test } from "bun:test";
import { DEADLINE_TICK_MS } from "../../../../src/proxy/filters/deadline.ts";
import type { Cluster } from "../../../../src/model/cluster.ts";
import type { ExtAuthz } from "../../../../src/model/ext_authz.ts";
import type { Policy } from "../../../../src/model/policy.ts";
import type { ProxySettings } from "../../../../src/model/snapshot.ts";
import { DENIAL_BODY_BYTES_MAX } from "../../../../src/proxy/ext_authz/authorizer.ts";
import { CALLER_ID, type Client, cluster, DataPlane, endpoint, settings, snapshotOf } from "../data_plane.ts";
import type { FakeConnection } from "../fake_network.ts";
import { ok } from "../http1/downstream.ts";
import { FrameLog, rstStream, settings as settingsFrame } from "../http2/raw_frames.ts";
import { jwksOf, key, rule, sign } from "../jwt/tokens.ts";

const AUTHZ = "outbound|9000||authz.test";
const TIMEOUT_MS = 1_000;

const CUSTOM: Policy = {
  ...{ name: "shop/ask", action: "CUSTOM", file: "ask.yaml", line: 1 },
  rules: [{
    ...{ line: 2, sources: [], conditions: [] },
    operations: [[{ attribute: "path", values: ["/asked*"] }]],
  }],
};

function plane(
  more: Partial<ExtAuthz> = {},
  asked: Partial<Cluster> = {},
  own: Partial<ProxySettings> = {},
): DataPlane {
  const extAuthz: ExtAuthz = {
    ...{ provider: "test", cluster: AUTHZ, timeoutMs: TIMEOUT_MS, pathPrefix: "/check", statusOnError: 403 },
    ...{ requestHeaders: ["x-asks"], addedHeaders: {}, upstreamHeaders: ["x-user"] },
    ...{ allowHeaders: ["x-told"], denyHeaders: [] },
    ...more,
  };
  return new DataPlane(snapshotOf(
    settings({ policies: [CUSTOM], extAuthz, ...own }),
    cluster({ name: AUTHZ, ...asked }),
    { kind: "endpoints", name: AUTHZ, endpoints: [endpoint(7)] },
  ));
}

function call(client: Client, path = "/asked", ...fields: string[]): void {
  client.get(path, "x-bowline-port: 8080", ...fields);
}

function post(client: Client, length: number, body: string): void {
  client.send(
    `POST /asked HTTP/1.1\r\nHost: shop\r\nx-bowline-port: 8080\r\nContent-Length: ${length}\r\n\r\n${body}`,
  );
}

function addresses(mesh: DataPlane): string[] {
  return mesh.network.attempts.map(({ address }) => address.hostname);
}

/** The connection that the question came over, and the question. */
async function asked(mesh: DataPlane): Promise<[FakeConnection, string]> {
  const connection = mesh.network.last.accept();
  return [connection, await connection.read()];
}

/** Whoever is asked says this; returns what the client hears. */
async function heard(answer: string, more: Partial<ExtAuthz> = {}): Promise<string> {
  const mesh = plane(more);
  const client = mesh.peer(CALLER_ID);
  call(client);
  const [authz] = await asked(mesh);
  authz.say(answer);
  const text = await client.read();
  expect(addresses(mesh)).toEqual(["192.0.2.7"]);
  return text;
}

/** Signatures are verified beside the event loop. */
async function until(what: () => boolean): Promise<void> {
  for (let i = 0; i < 1_000 && !what(); i++) await Bun.sleep(1);
  expect(what()).toBe(true);
}

const answer = (status: string, ...fields: string[]) =>
  `HTTP/1.1 ${[status, ...fields, "content-length: 0"].join("\r\n")}\r\n\r\n`;

describe("a request that somebody is asked about", () => {
  test("is delivered when it is allowed, with what was said of it, and not before", async () => {
    const mesh = plane();
    const client = mesh.peer(CALLER_ID);
    call(client, "/asked?a", "x-asks: 1", "x-user: forged");
    const [authz, question] = await asked(mesh);
    expect(question).toBe("GET /check/asked?a HTTP/1.1\r\nhost: shop\r\nx-asks: 1\r\n\r\n");
    expect(addresses(mesh)).toEqual(["192.0.2.7"]);
    authz.say(answer("200 OK", "x-user: ann", "x-told: yes", "x-other: no"));
    expect(addresses(mesh)).toEqual(["192.0.2.7", "127.0.0.1"]);
    const workload = mesh.network.last.accept();
    const request = await workload.read();
    expect(request).toStartWith("GET /asked?a HTTP/1.1\r\n");
    expect(request).toContain("x-user: ann\r\n");
    expect(request).not.toContain("forged");
    workload.say(ok("hello"));
    expect(await client.read()).toBe(
      "HTTP/1.1 200 OK\r\nx-told: yes\r\ncontent-length: 5\r\n\r\nhello",
    );
    expect(mesh.active).toBe(0);
  });

  test("is none where no rule says so", () => {
    const mesh = plane();
    call(mesh.peer(CALLER_ID), "/free");
    expect(addresses(mesh)).toEqual(["127.0.0.1"]);
  });

  test("is answered what the denial says, and nothing that only proxies say", async () => {
    const text = await heard(
      "HTTP/1.1 401 X\r\nlocation: /login\r\nx-bowline-peer: p\r\ncontent-length: 2\r\n\r\nno",
    );
    expect(text).toStartWith("HTTP/1.1 401 Unauthorized\r\n");
    expect(text).toContain("location: /login\r\n");
    expect(text).not.toContain("x-bowline-peer");
    expect(text).toEndWith("\r\n\r\nno");
  });

  test("is denied by any status but 200, and without the body where that is too long", async () => {
    for (const status of [204, 301, 404]) {
      expect(await heard(answer(`${status} X`))).toStartWith(`HTTP/1.1 ${status} `);
    }
    for (const length of [DENIAL_BODY_BYTES_MAX, DENIAL_BODY_BYTES_MAX + 1]) {
      const text = await heard(`HTTP/1.1 403 X\r\ncontent-length: ${length}\r\n\r\n${"x".repeat(length)}`);
      const body = length > DENIAL_BODY_BYTES_MAX ? 0 : length;
      expect(text).toContain(`content-length: ${body}\r\n`);
      expect(text).toEndWith(`\r\n\r\n${"x".repeat(body)}`);
    }
  });

  test("is refused where nobody could say so, with the status that is set, and passes only by failOpen", async () => {
    expect(await heard(answer("500 X"))).toStartWith("HTTP/1.1 403 Forbidden\r\n");
    expect(await heard(answer("503 X"), { statusOnError: 503 })).toStartWith("HTTP/1.1 503 ");
    const mesh = plane({ failOpen: true });
    call(mesh.peer(CALLER_ID));
    const [authz] = await asked(mesh);
    authz.say(answer("500 X"));
    expect(addresses(mesh)).toEqual(["192.0.2.7", "127.0.0.1"]);
  });

  test("is refused when there is no answer in time, and when the connection is refused", async () => {
    const late = plane();
    const client = late.peer(CALLER_ID);
    call(client);
    const [authz] = await asked(late);
    late.clock.advance(TIMEOUT_MS - 1);
    expect(await client.read()).toBe("");
    late.clock.advance(4 * DEADLINE_TICK_MS + 1);
    expect(await client.read()).toStartWith("HTTP/1.1 403 Forbidden\r\n");
    expect(authz.wire.terminated).toBe(true);

    const refused = plane();
    const other = refused.peer(CALLER_ID);
    call(other);
    refused.network.last.refuse();
    expect(await other.read()).toStartWith("HTTP/1.1 403 Forbidden\r\n");
    expect(refused.active).toBe(0);
  });

  test("is asked about once more when a kept connection closed under the question, and then no more", async () => {
    const mesh = plane();
    const client = mesh.peer(CALLER_ID);
    call(client);
    const [authz] = await asked(mesh);
    authz.say(answer("403 X"));
    await client.read();
    call(client);
    expect(await authz.read()).toStartWith("GET /check/asked ");
    authz.close();
    const [again, question] = await asked(mesh);
    expect(question).toStartWith("GET /check/asked ");
    again.close();
    expect(await client.read()).toStartWith("HTTP/1.1 403 Forbidden\r\n");
    expect(addresses(mesh)).toEqual(["192.0.2.7", "192.0.2.7"]);
  });

  test("is asked about twice at the most, whoever refuses each question", async () => {
    const mesh = plane({}, { protocol: "http2" });
    const client = mesh.peer(CALLER_ID);
    call(client);
    const questions: string[] = [];
    for (let i = 0; i < mesh.network.attempts.length && i < 4; i++) {
      const authz = mesh.network.last.accept();
      authz.say(settingsFrame());
      const told = new FrameLog().tell(await authz.read());
      questions.push(...told.filter((line) => line.startsWith("HEADERS")));
      authz.say(rstStream(1, "REFUSED_STREAM"));
    }
    const question = expect.stringContaining(" :path=/check/asked ");
    expect(questions).toEqual([question, question]);
    expect(await client.read()).toStartWith("HTTP/1.1 403 Forbidden\r\n");
    expect([mesh.active, addresses(mesh)]).toEqual([0, ["192.0.2.7", "192.0.2.7"]]);
  });

  test("has of a field that is set the one value, wherever it stood", async () => {
    const mesh = plane();
    mesh.peer(CALLER_ID).send(
      "GET /asked HTTP/1.1\r\nX-User: forged\r\nHost: shop\r\nx-bowline-port: 8080\r\nX-User: again\r\n\r\n",
    );
    const [authz] = await asked(mesh);
    authz.say(answer("200 OK", "x-user: ann"));
    const request = await mesh.network.last.accept().read();
    expect(request.match(/^x-user: .*$/gm)).toEqual(["x-user: ann"]);
  });

  test("is refused where nobody is named who could be asked, and told of as what the policy did", async () => {
    const mesh = new DataPlane(snapshotOf(settings({ policies: [CUSTOM] })));
    const client = mesh.peer(CALLER_ID);
    call(client);
    const text = await client.read();
    expect(text).toStartWith("HTTP/1.1 403 Forbidden\r\n");
    expect(text).toContain("policy[ns[shop]-policy[ask]-rule[0]]");
    expect(addresses(mesh)).toEqual([]);
    expect(mesh.calls.takeReport().calls).toMatchObject([{ path: "/asked", allowed: 0, refused: 1 }]);
  });

  test("is recorded as allowed or refused by what was answered", async () => {
    for (const [status, counts] of [["200 OK", [1, 0]], ["403 X", [0, 1]], ["500 X", [0, 1]]] as const) {
      const mesh = plane();
      call(mesh.peer(CALLER_ID));
      const [authz] = await asked(mesh);
      authz.say(answer(status));
      const [recorded] = mesh.calls.takeReport().calls;
      expect([status, recorded?.allowed, recorded?.refused]).toEqual([status, ...counts]);
    }
  });

  test("is held back, with what it still has to say, and counted if it is given up meanwhile", async () => {
    const mesh = plane();
    const client = mesh.peer(CALLER_ID);
    post(client, 5, "hel");
    await asked(mesh);
    expect(client.wire.paused).toBe(true);
    client.close();
    expect(mesh.counted()).toEqual(["0 DC caller", "0 DC shop-7"]);
  });

  test("takes the question along when its client goes", async () => {
    const mesh = plane();
    const client = mesh.peer(CALLER_ID);
    call(client);
    const [authz] = await asked(mesh);
    client.close();
    expect(authz.wire.terminated).toBe(true);
    expect([mesh.active, addresses(mesh)]).toEqual([0, ["192.0.2.7"]]);
  });
});

describe("a body that is checked", () => {
  test("is there as a whole before anybody is asked, and reaches the workload as well", async () => {
    const mesh = plane({ body: { bytesMax: 5, partial: false } });
    const client = mesh.peer(CALLER_ID);
    post(client, 5, "hel");
    expect(addresses(mesh)).toEqual([]);
    client.send("lo");
    const [authz, question] = await asked(mesh);
    expect(question).toEndWith("content-length: 5\r\n\r\nhello");
    authz.say(answer("200 OK"));
    expect(await mesh.network.last.accept().read()).toEndWith("\r\n\r\nhello");
  });

  test("is answered 413 where it is longer than what is checked", async () => {
    const mesh = plane({ body: { bytesMax: 5, partial: false } });
    const client = mesh.peer(CALLER_ID);
    post(client, 6, "hello!");
    expect(await client.read()).toStartWith("HTTP/1.1 413 ");
    expect(addresses(mesh)).toEqual([]);
  });

  test("is answered 413 as soon as one of no announced length is longer than what is checked", async () => {
    const mesh = plane({ body: { bytesMax: 5, partial: false } });
    const client = mesh.peer(CALLER_ID);
    client.send(
      "POST /asked HTTP/1.1\r\nHost: shop\r\nx-bowline-port: 8080\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    client.send("5\r\nhello\r\n");
    expect(await client.read()).toBe("");
    client.send("1\r\n!\r\n");
    expect(await client.read()).toStartWith("HTTP/1.1 413 ");
    expect(addresses(mesh)).toEqual([]);
  });

  test("is read on behind a token that was waited for, and shown in part as any", async () => {
    const signer = await key("ES256");
    const jwtRules = [rule({ keys: { type: "inline", jwks: jwksOf(signer) } })];
    for (const rest of ["", "lo"]) {
      const mesh = plane({ body: { bytesMax: 4, partial: true } }, {}, { jwtRules });
      const client = mesh.peer(CALLER_ID);
      client.send(
        "POST /asked HTTP/1.1\r\nHost: shop\r\nx-bowline-port: 8080\r\nContent-Length: 5\r\n" +
          `Authorization: Bearer ${await sign(signer)}\r\n\r\nhel${rest}`,
      );
      if (rest === "") {
        await until(() => !client.wire.paused);
        client.send("lo");
      }
      await until(() => mesh.network.attempts.length === 1);
      const [, question] = await asked(mesh);
      expect(question).toContain("x-envoy-auth-partial-body: true\r\n");
      expect(question).toEndWith("\r\n\r\nhell");
    }
  });

  test("is checked in part where that will do, and says so", async () => {
    const mesh = plane({ body: { bytesMax: 5, partial: true } });
    const client = mesh.peer(CALLER_ID);
    post(client, 7, "hello!");
    const [authz, question] = await asked(mesh);
    expect(question).toContain("x-envoy-auth-partial-body: true\r\n");
    expect(question).toEndWith("\r\n\r\nhello");
    authz.say(answer("200 OK"));
    const workload = mesh.network.last.accept();
    client.send("?");
    expect(await workload.read()).toEndWith("\r\n\r\nhello!?");
  });
});
