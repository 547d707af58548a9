import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createServer, type Http2Server, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { systemClock } from "../../../src/lib/clock.ts";
import { TimerWheel } from "../../../src/lib/timer_wheel.ts";
import type { ProbeMethod } from "../../../src/model/health_probe.ts";
import { createCheck } from "../../../src/sidecar/probe/check.ts";

const HOST = "127.0.0.1";
const never = new AbortController().signal;
const check = createCheck({ workloadAddress: HOST, clock: systemClock, wheel: new TimerWheel(systemClock) });

function ask(method: ProbeMethod, timeoutMs = 20_000): Promise<string | null> {
  const times = { initialDelayMs: 0, periodMs: 1, successThreshold: 1, failureThreshold: 1 };
  return check({ ...times, method, timeoutMs }, never);
}

/** A port where nobody listens: it was another's a moment ago. */
function freePort(): number {
  const server = Bun.serve({ port: 0, hostname: HOST, fetch: () => new Response() });
  const { port } = server;
  server.stop(true);
  return port as number;
}

describe("an http check", () => {
  const asked: { url: string; headers: Record<string, string> }[] = [];
  let server: ReturnType<typeof Bun.serve>;
  beforeAll(() => {
    server = Bun.serve({
      port: 0,
      hostname: HOST,
      fetch(request) {
        asked.push({ url: request.url, headers: Object.fromEntries(request.headers) });
        const path = new URL(request.url).pathname;
        if (path === "/silent") return new Promise<Response>(() => {});
        if (path === "/endless") {
          return new Response(new ReadableStream({ pull: (to) => to.enqueue(new Uint8Array(8192)) }));
        }
        return new Response("body", {
          status: Number(path.slice(1)),
          headers: { location: "http://127.0.0.1:1/" },
        });
      },
    });
  });
  afterAll(() => void server.stop(true));

  const http = (path: string, more: object = {}): ProbeMethod => ({
    type: "http",
    host: null,
    port: server.port as number,
    path,
    tls: false,
    headers: [],
    ...more,
  });

  test.each([[200, null], [204, null], [302, null], [399, null], [400, "it answered 400"], [
    503,
    "it answered 503",
  ]])(
    "takes %d for %p",
    async (status, verdict) => expect(await ask(http(`/${status}`))).toBe(verdict),
  );

  test("sends the fields that are written, the authority among them", async () => {
    await ask(
      http("/200?a=b", { headers: [["host", "shop.example"], ["x-probe", "yes"], ["user-agent", "me"]] }),
    );
    expect(asked.at(-1)).toMatchObject({
      url: "http://shop.example/200?a=b",
      headers: { "x-probe": "yes", "user-agent": "me" },
    });
    await ask(http("/200"));
    expect(asked.at(-1)?.headers).toMatchObject({
      host: `${HOST}:${server.port}`,
      "user-agent": "bowline-probe",
    });
  });

  test("takes a body without end for an answer all the same", async () => {
    expect(await ask(http("/endless"))).toBeNull();
  });

  test("gives up who does not answer, and where nobody listens", async () => {
    expect(await ask(http("/silent"), 100)).toBe("it did not answer in time");
    expect(await ask(http("/200", { port: freePort() }))).toBe("nobody accepts connections there");
  });

  test("says so when the other end does not speak TLS", async () => {
    expect(await ask(http("/200", { tls: true }))).toContain("it does not speak TLS");
  });
});

describe("a tcp check", () => {
  test("is content with a connection", async () => {
    const server = Bun.listen({ hostname: HOST, port: 0, socket: { data() {} } });
    expect(await ask({ type: "tcp", host: null, port: server.port })).toBeNull();
    expect(await ask({ type: "tcp", host: "localhost", port: server.port })).toBeNull();
    server.stop(true);
    expect(await ask({ type: "tcp", host: null, port: freePort() })).toBe("nobody accepts connections there");
  });
});

describe("an exec check", () => {
  test("goes by the exit code, and says what the program said", async () => {
    expect(await ask({ type: "exec", command: ["true"] })).toBeNull();
    expect(await ask({ type: "exec", command: ["sh", "-c", "echo no room; exit 2"] }))
      .toBe('sh: it ended with 2, saying "no room"');
    expect(await ask({ type: "exec", command: ["sleep", "300"] }, 100)).toBe(
      "sleep: it did not end within 100 ms",
    );
  });
});

describe("a grpc check", () => {
  /** Answers by the name of the service, which is the last letter of the request. */
  const answers: Record<string, (stream: ServerHttp2Stream) => void> = {
    serving: (stream) => answer(stream, [8, 1], "0"),
    down: (stream) => answer(stream, [8, 2], "0"),
    broken: (stream) => answer(stream, [8], "0"),
    failing: (stream) => stream.respond({ ":status": 200, "grpc-status": "5" }, { endStream: true }),
    none: (stream) => stream.respond({ ":status": 404 }, { endStream: true }),
  };
  let server: Http2Server;
  const asked: Record<string, unknown>[] = [];

  function answer(stream: ServerHttp2Stream, message: number[], status: string) {
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": status }));
    stream.end(Buffer.from([0, 0, 0, 0, message.length, ...message]));
  }

  beforeAll(async () => {
    server = createServer();
    server.on("stream", (stream, headers) => {
      asked.push(headers);
      let request = Buffer.alloc(0);
      stream.on("data", (chunk: Buffer) => request = Buffer.concat([request, chunk]));
      stream.on(
        "end",
        () => answers[request.subarray(7).toString() || "serving"]?.(stream as ServerHttp2Stream),
      );
    });
    await new Promise<void>((resolve) => server.listen(0, HOST, resolve));
  });
  afterAll(() => void server.close());

  const grpc = (service: string): ProbeMethod => ({
    type: "grpc",
    port: (server.address() as AddressInfo).port,
    service,
  });

  test.each([
    ["", null],
    ["serving", null],
    ["down", "it says NOT_SERVING"],
    ["failing", "it answered gRPC status 5"],
    ["broken", "its answer is no HealthCheckResponse"],
    ["none", "it answered 404"],
  ])("takes the service %p for %p", async (service, verdict) => {
    expect(await ask(grpc(service))).toBe(verdict);
  });

  test("asks as gRPC asks", async () => {
    await ask(grpc(""));
    expect(asked.at(-1)).toMatchObject({
      ":method": "POST",
      ":path": "/grpc.health.v1.Health/Check",
      "content-type": "application/grpc",
      te: "trailers",
    });
  });
});
