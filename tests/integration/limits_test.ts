/** Limits that were changed hold in the running program, in each of its workers, at the limit and one above. */
import { beforeAll, describe, expect } from "bun:test";
import { CLIENT_PREFACE, FrameLog, headers, settings } from "../unit/proxy/http2/raw_frames.ts";
import { startEcho } from "./apps.ts";
import { type Bowline, bowline, endEverythingAfterwards, scenario, until } from "./bowline.ts";
import { exchange, RawConnection } from "./clients.ts";
import { Mesh } from "./mesh.ts";
import { service, workload } from "./resources.ts";

const HEADER_BYTES = 2_048;
const HEADERS = 12;
const STREAMS = 3;
const DRAIN_MS = 300;

const mesh = new Mesh("127.0.61");
const CLIENT = mesh.address(10);
const STORE = mesh.address(11);

let client: Bowline;

endEverythingAfterwards();

beforeAll(async () => {
  mesh.write(
    "mesh.yaml",
    service("store"),
    workload("client", CLIENT),
    workload("store", STORE, { serviceAccount: null }),
  );
  await mesh.startControlPlane();
  client = await mesh.startSidecar("shop/client", {
    at: 10,
    workers: 2,
    env: {
      BOWLINE_LIMIT: `request-header-bytes=${HEADER_BYTES},request-headers=${HEADERS},` +
        `http2-streams=${STREAMS},drain-time=${DRAIN_MS}ms,stream-idle-timeout=1s`,
    },
  });
  await startEcho("store", STORE, ({ url }) => url === "/never");
  await mesh.untilSynced(1);
});

/** The status of a request with these fields besides Host and Connection, whichever worker takes it. */
async function statuses(...fields: string[]): Promise<string[]> {
  const request = ["GET / HTTP/1.1", "Host: store", "Connection: close", ...fields, "", ""].join("\r\n");
  const answers = await Promise.all(Array.from({ length: 8 }, () => exchange(CLIENT, 15001, request)));
  return [...new Set(answers.map(({ text }) => text.slice(9, 12)))];
}

describe("run --limit", () => {
  scenario("bounds the bytes of a head", async () => {
    const fixed = "GET / HTTP/1.1\r\nHost: store\r\nConnection: close\r\nx: \r\n".length;
    expect(await statuses(`x: ${"y".repeat(HEADER_BYTES - fixed)}`)).toEqual(["200"]);
    expect(await statuses(`x: ${"y".repeat(HEADER_BYTES - fixed + 1)}`)).toEqual(["431"]);
  });

  scenario("bounds the fields of a head", async () => {
    const fields = Array.from({ length: HEADERS - 2 }, (_, i) => `x-${i}: y`);
    expect(await statuses(...fields)).toEqual(["200"]);
    expect(await statuses(...fields, "x: y")).toEqual(["431"]);
  });

  scenario("bounds the streams of a connection", async () => {
    const connection = new RawConnection(CLIENT, 15001);
    const get = [":method", "GET", ":scheme", "http", ":authority", "store", ":path", "/never"];
    const streams = Array.from({ length: STREAMS + 1 }, (_, i) => headers(2 * i + 1, get, true));
    connection.send(Buffer.concat([CLIENT_PREFACE, settings(), ...streams]).toString("latin1"));
    // SETTINGS_MAX_CONCURRENT_STREAMS; RST_STREAM of the last one, REFUSED_STREAM.
    const setting = String.fromCharCode(0, 3, 0, 0, 0, STREAMS);
    const refused = String.fromCharCode(0, 0, 4, 3, 0, 0, 0, 0, 2 * STREAMS + 1, 0, 0, 0, 7);
    const said = await connection.read(new RegExp(escape(refused)));
    expect(said).toContain(setting);
    expect(said.split(String.fromCharCode(0, 0, 4, 3, 0))).toHaveLength(2);
    connection.close();
  });

  scenario(
    "bounds the time in which nothing moves in a request; gRPC hears of it as gRPC wants it",
    async () => {
      const connection = new RawConnection(CLIENT, 15001);
      const call = [":method", "POST", ":scheme", "http", ":authority", "store", ":path", "/never"];
      const head = headers(1, [...call, "content-type", "application/grpc"]);
      connection.send(Buffer.concat([CLIENT_PREFACE, settings(), head]).toString("latin1"));
      // HEADERS with END_STREAM.
      const said = await connection.read(
        new RegExp(escape(String.fromCharCode(1, 5, 0, 0, 0, 1)) + "[^]*shop"),
      );
      expect(new FrameLog().tell(Buffer.from(said, "latin1"))).toContainEqual(
        expect.stringMatching(
          /^HEADERS 1 END_STREAM :status=200 content-type=application\/grpc grpc-status=2 /,
        ),
      );
      connection.close();
    },
  );

  scenario("bounds the time of a drain, in which what is in flight may end", async () => {
    const hanging = Array.from({ length: 4 }, () => new RawConnection(CLIENT, 15001));
    for (const connection of hanging) connection.send("GET /never HTTP/1.1\r\nHost: store\r\n\r\n");
    await until("the requests are on their way", async () => {
      const text = await (await fetch(`http://${CLIENT}:15090/stats/prometheus`)).text();
      return /^bowline_downstream_connections 4$/m.test(text);
    });
    expect(await client.end()).toBe(0);
  });

  scenario("says which limit it does not know, and what a value must be", async () => {
    const run = (limit: string) =>
      bowline(["run", "--role", "sidecar", "--data", mesh.dataOf("x"), "--limit", limit]);
    expect(await run("drain-tme=1s")).toMatchObject({
      code: 64,
      stderr: expect.stringContaining("did you mean drain-time?"),
    });
    expect(await run("drain-time=soon")).toMatchObject({
      code: 64,
      stderr: expect.stringContaining("a duration from 0ms to 1h"),
    });
    const foreign = await bowline([
      "run",
      "--role",
      "control-plane",
      "--config",
      "x",
      "--limit",
      "drain-time=1s",
    ]);
    expect(foreign).toMatchObject({
      code: 64,
      stderr: expect.stringContaining("--limit is not for the role"),
    });
  });
});

function escape(text: string): string {
  return text.replaceAll(/[^\w]/g, (one) => `\\x${one.charCodeAt(0).toString(16).padStart(2, "0")}`);
}
