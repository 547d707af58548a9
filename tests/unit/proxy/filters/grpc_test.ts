/** gRPC through the acceptors: HTTP/2 at the last hop, what is counted, and what a caller is told. */
import { describe, expect, test } from "bun:test";
import { GRPC_STATUS_NONE, NOT_GRPC } from "../../../../src/telemetry/grpc_status.ts";
import { LOCAL_REPLY, renderLocalReply } from "../../../../src/proxy/local_reply.ts";
import {
  type Client,
  cluster,
  DataPlane,
  endpoint,
  SERVICE,
  settings as proxySettings,
  snapshotOf,
  virtualHost,
} from "../data_plane.ts";
import { settle } from "../fake_wire.ts";
import { Http2Downstream } from "../http2/downstream.ts";
import { CLIENT_PREFACE, data, FrameLog, headers, post, rstStream, settings } from "../http2/raw_frames.ts";
import { WHEEL_LATENESS_MS } from "../../../../src/lib/timer_wheel.ts";
import { DEFAULT_LIMITS } from "../../../../src/model/limits.ts";
import { RETRY_POLICY_DEFAULT } from "../../../../src/model/route.ts";
import { MeshUpstream } from "../mesh_upstream.ts";

const PREMATURE_RESETS_MAX = 250;
const POST_TO_SHOP = [":method", "POST", ":scheme", "http", ":path", "/a.B/C", ":authority", "shop"];

/** A service whose one workload speaks HTTP/2 and has no proxy. */
function plainHttp2(): DataPlane {
  const grpc = cluster({ protocol: "http2" });
  const endpoints = { kind: "endpoints", name: grpc.name, endpoints: [endpoint(1)] } as const;
  return new DataPlane(snapshotOf(proxySettings(), virtualHost(), grpc, endpoints));
}

function call(client: Client, ...fields: string[]): void {
  const all = ["Content-Type: application/grpc", "Transfer-Encoding: chunked", ...fields];
  const lines = all.map((field) => `${field}\r\n`).join("");
  client.send(`POST /a.B/C HTTP/1.1\r\nHost: shop\r\n${lines}\r\n5\r\nhello\r\n0\r\n\r\n`);
}

/** The workload takes the connection, in plain text. */
async function meet(plane: DataPlane): Promise<MeshUpstream> {
  const upstream = new MeshUpstream(plane.network.last.accept(), plane.wheel);
  for (let i = 0; i < 3; i++) await settle();
  return upstream;
}

/** `STATUS FLAGS gRPC status` of everything that was counted. */
function counted(plane: DataPlane): string[] {
  return [...plane.edges.edges()].flatMap(({ series }) =>
    series.map(({ code, flags, grpcStatus }) => `${code} ${flags} ${grpcStatus}`)
  );
}

async function finished(client: Client): Promise<string> {
  for (let i = 0; i < 3; i++) await settle();
  return await client.read();
}

describe("the last hop", () => {
  test("compileSnapshot() has a plain endpoint spoken to as its cluster says", async () => {
    const plane = plainHttp2();
    call(plane.caller(), "grpc-timeout: 250m", "x-key-bin: AAE");
    expect(plane.network.last).toMatchObject({ address: { hostname: "192.0.2.1", port: 8080 }, tls: null });
    const { last } = await meet(plane);
    expect([last.head.method, last.head.path, last.body, last.ended]).toEqual([
      "POST",
      "/a.B/C",
      "hello",
      true,
    ]);
    expect(last.head.headers.join(" ")).toContain(
      "content-type application/grpc grpc-timeout 250m x-key-bin AAE",
    );
  });

  test("compileSnapshot() has the own workload spoken to as its port says", async () => {
    const plane = new DataPlane(
      snapshotOf(proxySettings({ inbound: [{ port: 8080, service: SERVICE, protocol: "http2" }] })),
    );
    const client = plane.peer();
    call(client, "x-bowline-port: 8080");
    expect(plane.network.last).toMatchObject({ address: { hostname: "127.0.0.1", port: 8080 }, tls: null });
    const { last } = await meet(plane);
    expect(last.body).toBe("hello");
    last.answer("x");
    expect(await finished(client)).toStartWith("HTTP/1.1 200 OK\r\n");
  });

  test("HttpExchange hands a cancellation on at once", async () => {
    const plane = plainHttp2();
    const client = plane.caller();
    call(client);
    const { last } = await meet(plane);
    client.close();
    for (let i = 0; i < 2; i++) await settle();
    expect(last.reset).toBe("closed");
    expect(counted(plane)).toEqual([`0 DC ${GRPC_STATUS_NONE}`]);
  });
});

describe("the gRPC status that is counted", () => {
  async function status(answer: (upstream: MeshUpstream) => void): Promise<string[]> {
    const plane = plainHttp2();
    const client = plane.caller();
    call(client);
    const upstream = await meet(plane);
    answer(upstream);
    await finished(client);
    return counted(plane);
  }
  const head = (...fields: string[]) => ({ status: 200, headers: fields, bodyLength: -1 });

  test("HttpExchange counts the status in the trailers", async () => {
    expect(
      await status(({ last: { stream } }) => {
        stream.respond(head("content-type", "application/grpc"));
        stream.body(Buffer.from("x"));
        stream.end(["grpc-status", "5", "grpc-message", "no"]);
      }),
    ).toEqual(["200 - 5"]);
  });

  test("HttpExchange counts the status in the head when there is nothing else (trailers-only)", async () => {
    expect(
      await status(({ last: { stream } }) => {
        stream.respond({ ...head("content-type", "application/grpc", "grpc-status", "7"), bodyLength: 0 });
        stream.end(null);
      }),
    ).toEqual(["200 - 7"]);
  });

  test("HttpExchange counts none when there was none", async () => {
    expect(await status(({ last }) => last.answer("x"))).toEqual([`200 - ${GRPC_STATUS_NONE}`]);
    expect(
      await status(({ last: { stream } }) => {
        stream.respond(head());
        stream.body(Buffer.from("x"));
        stream.reset();
      }),
    ).toEqual([`200 UR ${GRPC_STATUS_NONE}`]);
  });

  test("HttpExchange counts what it told the caller itself", async () => {
    expect(await status(({ last }) => last.stream.reset())).toEqual(["200 UC 14"]);
  });

  test("HttpExchange takes a grpc-status of plain HTTP for nothing", async () => {
    const plane = plainHttp2();
    const client = plane.caller();
    client.get();
    const upstream = await meet(plane);
    upstream.last.answer("x", ["grpc-status", "5"]);
    await finished(client);
    expect(counted(plane)).toEqual([`200 - ${NOT_GRPC}`]);
  });
});

describe("over HTTP/2", () => {
  test("a local reply to gRPC is one header block and nothing else (trailers-only)", async () => {
    const down = await Http2Downstream.greeted();
    down.onAccept = ({ stream }) => {
      const { head } = renderLocalReply(LOCAL_REPLY.connectFailure, true, "outbound shop/caller");
      stream.respond(head);
      stream.end(null);
    };
    const lines = await down.exchange(headers(1, post("content-type", "application/grpc"), true));
    expect(lines).toHaveLength(1);
    expect(lines[0]).toStartWith(
      "HEADERS 1 END_STREAM :status=200 content-type=application/grpc grpc-status=14 ",
    );
    expect(lines[0]).toContain(" grpc-message=upstream%20connect%20error%20");
  });

  test("streams that are cancelled after their response began, as watches are, are no flood", async () => {
    const down = await Http2Downstream.greeted();
    down.onAccept = ({ stream }) => stream.respond({ status: 200, headers: [], bodyLength: -1 });
    for (let id = 1; id < 4 * PREMATURE_RESETS_MAX; id += 2) {
      down.send(headers(id, post("content-type", "application/grpc")), rstStream(id, "CANCEL"));
    }
    expect((await down.read()).filter((line) => line.startsWith("GOAWAY"))).toEqual([]);
    expect(down.malformed).toEqual([]);
  });
});

describe("a request over HTTP/2 whose body stops coming", () => {
  /** What the client was told, and what was counted. */
  async function stall(type: string): Promise<{ told: string[]; counted: string[] }> {
    const plane = plainHttp2();
    const client = plane.arrives(null);
    const log = new FrameLog();
    const head = [...POST_TO_SHOP, "content-type", type];
    client.send(Buffer.concat([CLIENT_PREFACE, settings(), headers(1, head), data(1, "hel")]));
    await meet(plane);
    log.tell(client.wire.take());
    plane.clock.advance(DEFAULT_LIMITS.streamIdleMs + WHEEL_LATENESS_MS);
    for (let i = 0; i < 2; i++) await settle();
    return { told: log.tell(client.wire.take()), counted: counted(plane) };
  }

  test("HttpExchange answers gRPC as gRPC wants it, trailers-only", async () => {
    const { told, counted } = await stall("application/grpc");
    expect(told).toEqual([
      "HEADERS 1 END_STREAM :status=200 content-type=application/grpc grpc-status=2 " +
      "grpc-message=stream%20timeout " +
      "x-bowline-reply=SI stream_idle_timeout; outbound shop/caller content-length=0",
    ]);
    expect(counted).toEqual(["200 SI 2"]);
  });

  test("HttpExchange answers any other 408", async () => {
    const { told, counted } = await stall("text/plain");
    expect(told).toEqual([
      "HEADERS 1 :status=408 content-type=text/plain " +
      "x-bowline-reply=SI stream_idle_timeout; outbound shop/caller content-length=14",
      'DATA 1 "stream timeout" END_STREAM',
    ]);
    expect(counted).toEqual([`408 SI ${NOT_GRPC}`]);
  });
});

describe("what the upstream says that it did not look at", () => {
  test("HttpExchange sends a POST again that the upstream says it did not look at, and gives up at last", async () => {
    const plane = plainHttp2();
    const client = plane.caller();
    client.send("POST / HTTP/1.1\r\nHost: shop\r\n\r\n");
    const connection = plane.network.last.accept();
    const upstream = new MeshUpstream(connection, plane.wheel);
    await settle();
    for (let attempt = 0; attempt <= RETRY_POLICY_DEFAULT.attempts; attempt++) {
      expect(upstream.requests).toHaveLength(attempt + 1);
      const REFUSED_STREAM = 7;
      connection.say(Buffer.from([0, 0, 4, 3, 0, 0, 0, 0, 1 + 2 * attempt, 0, 0, 0, REFUSED_STREAM]));
      plane.clock.advance(500);
      await settle();
    }
    expect(await client.read()).toContain("x-bowline-reply: UR,URX upstream_reset_before_response_started");
    expect(plane.counted()).toEqual(["503 UR,URX shop-1"]);
  });
});
