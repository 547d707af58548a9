/** What becomes of a request while its token is verified, over the mesh, in plain text, and when its client is gone. */
import { beforeAll, describe, expect, test } from "bun:test";
import type { Policy } from "../../../../src/model/policy.ts";
import { DataPlane, settings, snapshotOf } from "../data_plane.ts";
import { OK } from "../http1/upstream.ts";
import { jwksOf, key, rule, sign, type TestKey } from "../jwt/tokens.ts";

let own: TestKey;
let token: string;

beforeAll(async () => {
  own = await key("ES256");
  token = await sign(own);
});

const NEEDS_TOKEN: Policy = {
  name: "shop/token",
  action: "ALLOW",
  file: "p.yaml",
  line: 1,
  rules: [{
    line: 1,
    sources: [[{ attribute: "request.auth.principal", values: ["*"] }]],
    operations: [],
    conditions: [],
  }],
};

function plane(): DataPlane {
  const jwtRules = [rule({ keys: { type: "inline", jwks: jwksOf(own) }, payloadHeader: "x-payload" })];
  return new DataPlane(snapshotOf(settings({ jwtRules, policies: [NEEDS_TOKEN] })));
}

/** Until the signature of what is on its way is verified. */
async function verified(mesh: DataPlane): Promise<void> {
  const before = mesh.network.attempts.length;
  for (let i = 0; i < 1_000 && mesh.network.attempts.length === before; i++) await Bun.sleep(1);
  expect(mesh.network.attempts).toHaveLength(before + 1);
}

describe("authenticate()", () => {
  test("a request over the mesh waits for its token, and policies see what it says", async () => {
    const mesh = plane();
    const client = mesh.peer();
    client.get("/", "x-bowline-port: 8080", `Authorization: Bearer ${token}`);
    expect(mesh.network.attempts).toHaveLength(0);
    await verified(mesh);
    const request = await mesh.network.last.accept().read();
    expect(request).toContain(`x-payload: ${token.split(".")[1]}\r\n`);
    expect(request.toLowerCase()).not.toContain("authorization");
    mesh.network.last.say(OK);
    expect(await client.read()).toStartWith("HTTP/1.1 200 OK\r\n");
    expect(mesh.inFlight.count).toBe(0);
  });

  test("a request that waits for its token lets no more of its body come than is on its way", async () => {
    const mesh = plane();
    const client = mesh.peer();
    client.send(
      "POST / HTTP/1.1\r\nHost: shop\r\nx-bowline-port: 8080\r\nContent-Length: 4\r\n" +
        `Authorization: Bearer ${token}\r\n\r\nbo`,
    );
    expect(client.wire.paused).toBe(true);
    await verified(mesh);
    const workload = mesh.network.last.accept();
    expect(client.wire.paused).toBe(false);
    client.send("dy");
    expect(await workload.read()).toEndWith("\r\n\r\nbody");
  });

  test("a token that is known does not wait, and one that does not hold never arrives", async () => {
    const mesh = plane();
    const client = mesh.peer();
    client.get("/", "x-bowline-port: 8080", `Authorization: Bearer ${token}`);
    await verified(mesh);
    const workload = mesh.network.last.accept();
    await workload.read();
    workload.say(OK);
    await client.read();
    mesh.peer().get("/again", "x-bowline-port: 8080", `Authorization: Bearer ${token}`);
    expect(await workload.read()).toStartWith("GET /again HTTP/1.1\r\n");
    const other = mesh.peer();
    other.get("/", "x-bowline-port: 8080", "Authorization: Bearer a.b.c");
    expect(await other.read()).toStartWith("HTTP/1.1 401 Unauthorized\r\n");
    const nobody = mesh.peer();
    nobody.get("/", "x-bowline-port: 8080");
    expect(await nobody.read()).toStartWith("HTTP/1.1 403 Forbidden\r\n");
    expect(mesh.network.attempts).toHaveLength(1);
    expect(mesh.counted()).toContain("401 - caller");
  });

  test("a request that was captured in plain text is no exception, nor is a body that comes meanwhile", async () => {
    const mesh = plane();
    const captured = mesh.arrivesPlain({ hostname: "10.0.0.1", port: 8080 });
    captured.send(
      `POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 5\r\nAuthorization: Bearer ${token}\r\n\r\n`,
      "he",
    );
    captured.send("llo");
    expect(mesh.network.attempts).toHaveLength(0);
    await verified(mesh);
    expect(await mesh.network.last.accept().read()).toEndWith("\r\n\r\nhello");
    const refused = mesh.arrivesPlain({ hostname: "10.0.0.1", port: 8080 });
    refused.send("GET / HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer a.b.c\r\n\r\n");
    expect(await refused.read()).toStartWith("HTTP/1.1 401 Unauthorized\r\n");
  });

  test("a client that is gone by then is not sent for, and counts as gone", async () => {
    const mesh = plane();
    const client = mesh.peer();
    client.get("/", "x-bowline-port: 8080", `Authorization: Bearer ${token}`);
    client.close();
    expect([mesh.counted(), mesh.inFlight.count]).toEqual([["0 DC caller"], 0]);
    // Whoever comes with the same token next waits for the same verification.
    mesh.peer().get("/next", "x-bowline-port: 8080", `Authorization: Bearer ${token}`);
    await verified(mesh);
    expect(await mesh.network.last.accept().read()).toStartWith("GET /next HTTP/1.1\r\n");
    expect(mesh.inFlight.count).toBe(1);
  });
});
