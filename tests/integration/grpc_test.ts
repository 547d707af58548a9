/** gRPC from end to end: `@grpc/grpc-js` at both ends, two real sidecars between them. */
import { beforeAll, describe, expect } from "bun:test";
import { connectivityState, Metadata, status } from "@grpc/grpc-js";
import { afterwards, type Bowline, endEverythingAfterwards, scenario, until } from "./bowline.ts";
import { bundleServer, GrpcClient, GrpcServer, ORDERS } from "./grpc_peers.ts";
import { Mesh } from "./mesh.ts";
import { NAMESPACE, service, workload } from "./resources.ts";

const PORT = 50_051;
/** What the scorecard allows a cancellation to take to the server. */
const CANCEL_MS = 100;
const SEQUENTIAL = 1_000;
const PARALLEL = 100;
const LARGE_BYTES = 16 * 1024 * 1024;
/** More than the peers of a connection may reset before they were answered. */
const WATCHES = 300;
/** What both ends ask each other with. */
const PINGS = {
  "grpc.keepalive_time_ms": 100,
  "grpc.keepalive_timeout_ms": 2_000,
  "grpc.keepalive_permit_without_calls": 1,
};
/** The sidecars' own ping comes in it, and ten of those. */
const QUIET_MS = 1_500;

const mesh = new Mesh("127.0.30");
const CLIENT = mesh.address(10);
const ORDERS_ADDRESS = mesh.address(11);
const BARE = mesh.address(12);
const DOOMED = mesh.address(14);

let program: string;
let server: GrpcServer;
let clientSidecar: Bowline;
let ordersSidecar: Bowline;
let client: GrpcClient;

endEverythingAfterwards();

beforeAll(async () => {
  const grpc = (name: string) => service(name, PORT).replace("name: http", "name: grpc-api");
  mesh.write("services.yaml", grpc("orders"), grpc("bare"), grpc("down"), grpc("doomed"), grpc("empty"));
  mesh.write(
    "workloads.yaml",
    workload("client", CLIENT),
    workload("orders", ORDERS_ADDRESS),
    workload("bare", BARE, { serviceAccount: null }),
    workload("down", mesh.address(13)),
    workload("doomed", DOOMED, { serviceAccount: null }),
  );
  await mesh.startControlPlane();
  const env = { BOWLINE_LIMIT: "keepalive-interval=1s,keepalive-timeout=2s" };
  [clientSidecar, ordersSidecar] = await Promise.all([
    mesh.startSidecar("shop/client", { at: 10, env }),
    mesh.startSidecar("shop/orders", { at: 11, env }),
    mesh.startSidecar("shop/down", { at: 13 }),
  ]);
  program = await bundleServer(mesh.directory);
  server = await GrpcServer.start(program, `${ORDERS_ADDRESS}:${PORT}`, PINGS);
  await GrpcServer.start(program, `${BARE}:${PORT}`);
  await mesh.untilSynced(3);
  client = new GrpcClient(CLIENT, `orders:${PORT}`);
  afterwards(() => client.close());
});

describe("every kind of call", () => {
  scenario("unary, with metadata both ways, text and binary", async () => {
    const metadata = new Metadata();
    metadata.set("x-sent", "there");
    metadata.set("blob-bin", Buffer.from([0, 200, 255]));
    const { code, messages, initial, trailers } = await client.call(ORDERS.echo, "hello", { metadata });
    expect([code, messages.map(String)]).toEqual([status.OK, ["hello"]]);
    expect(initial?.get("x-back")).toEqual(["there"]);
    expect(initial?.get("blob-bin")).toEqual([Buffer.from([0, 200, 255])]);
    expect(initial?.get("x-authority")).toEqual([`orders:${PORT}`]);
    expect(trailers.get("x-trailer")).toEqual(["the end"]);
  });

  scenario("client streaming", async () => {
    const call = client.start(ORDERS.collect);
    for (let i = 0; i < 50; i++) call.send("x".repeat(i));
    call.end();
    const { code, messages } = await call.outcome;
    expect([code, messages.map(String)]).toEqual([status.OK, [`50 ${50 * 49 / 2}`]]);
  });

  scenario("server streaming", async () => {
    const { code, messages } = await client.call(ORDERS.count, "500");
    expect(code).toBe(status.OK);
    expect(messages.map(Number)).toEqual(Array.from({ length: 500 }, (_, i) => i));
  });

  scenario("bidirectional streaming: each answer before the next question", async () => {
    const call = client.start(ORDERS.chat);
    for (let i = 0; i < 20; i++) {
      call.send(`question ${i}`);
      await call.received(i + 1);
    }
    call.end();
    const { code, messages } = await call.outcome;
    expect(code).toBe(status.OK);
    expect(messages.map(String)).toEqual(Array.from({ length: 20 }, (_, i) => `question ${i}`));
  });

  scenario("to a workload without a sidecar, which is spoken to in HTTP/2 too", async () => {
    const direct = new GrpcClient(CLIENT, `bare:${PORT}`);
    const { code, messages } = await direct.call(ORDERS.echo, "hello");
    direct.close();
    expect([code, messages.map(String)]).toEqual([status.OK, ["hello"]]);
  });

  scenario("a message of 16 MB, there and back", async () => {
    const large = Buffer.alloc(LARGE_BYTES, "0123456789abcdef");
    const { code, messages } = await client.call(ORDERS.echo, large);
    expect(code).toBe(status.OK);
    expect(messages[0]?.equals(large)).toBe(true);
  });

  scenario("1,000 calls, one after the other", async () => {
    for (let i = 0; i < SEQUENTIAL; i++) {
      const { code, messages } = await client.call(ORDERS.echo, String(i));
      expect([code, messages.map(String)]).toEqual([status.OK, [String(i)]]);
    }
  });

  scenario("100 calls at once", async () => {
    const calls = Array.from({ length: PARALLEL }, (_, i) => client.call(ORDERS.echo, String(i)));
    const answers = await Promise.all(calls);
    expect(answers.map(({ code, messages }) => `${code} ${messages[0]}`)).toEqual(
      Array.from({ length: PARALLEL }, (_, i) => `${status.OK} ${i}`),
    );
  });
});

describe("errors", () => {
  const CODES = Object.values(status).filter((code): code is status => Number(code) > 0);

  scenario("every status, in the head alone (trailers-only), with its message and details", async () => {
    for (const code of CODES) {
      const outcome = await client.call(ORDERS.fail, `${code} größer: 100 % of "it"`);
      expect([outcome.code, outcome.details]).toEqual([code, 'größer: 100 % of "it"']);
      expect(outcome.messages).toEqual([]);
      expect(outcome.trailers.get("grpc-status-details-bin")).toEqual([Buffer.from([0, 1, 254, 255])]);
    }
  });

  scenario("a status after messages", async () => {
    const outcome = await client.call(ORDERS.failLate, `${status.DATA_LOSS} torn`);
    expect([outcome.code, outcome.details]).toEqual([status.DATA_LOSS, "torn"]);
    expect(outcome.messages.map(String)).toEqual(["so far so good"]);
    expect(outcome.trailers.get("grpc-status-details-bin")).toHaveLength(1);
  });

  scenario("nobody listens behind the other sidecar: UNAVAILABLE", async () => {
    const down = new GrpcClient(CLIENT, `down:${PORT}`);
    const { code, details } = await down.call(ORDERS.echo);
    down.close();
    expect(code).toBe(status.UNAVAILABLE);
    expect(details).toContain("connection failure");
  });

  scenario("a service without workloads: UNAVAILABLE", async () => {
    const empty = new GrpcClient(CLIENT, `empty:${PORT}`);
    const { code, details } = await empty.call(ORDERS.echo);
    empty.close();
    expect([code, details]).toEqual([status.UNAVAILABLE, "no healthy upstream"]);
  });

  scenario("the server dies in the middle of a call: UNAVAILABLE", async () => {
    const doomed = await GrpcServer.start(program, `${DOOMED}:${PORT}`);
    const caller = new GrpcClient(CLIENT, `doomed:${PORT}`);
    const { outcome } = caller.start(ORDERS.hang, "doomed");
    await doomed.hears("called", "doomed");
    await doomed.kill();
    expect((await outcome).code).toBe(status.UNAVAILABLE);
    caller.close();
  });
});

describe("deadlines and cancellation", () => {
  scenario("a deadline travels to the server, and when it passes, so does the end of the call", async () => {
    const startedMs = Date.now();
    const { code } = await client.call(ORDERS.hang, "deadline", { deadlineInMs: 400 });
    const endedMs = Date.now();
    expect(code).toBe(status.DEADLINE_EXCEEDED);
    const { deadlineMs } = await server.hears("called", "deadline");
    // The way there takes its time; `grpc-timeout` counts from where it is read.
    expect(deadlineMs).toBeGreaterThanOrEqual(startedMs + 390);
    expect(deadlineMs).toBeLessThan(startedMs + 400 + 1_000);
    const { atMs } = await server.hears("cancelled", "deadline");
    expect(atMs - endedMs).toBeLessThan(CANCEL_MS);
  });

  for (const [name, method] of [["unary", ORDERS.hang], ["streaming", ORDERS.watch]] as const) {
    scenario(`a cancelled call, ${name}, reaches the server within ${CANCEL_MS} ms`, async () => {
      const call = client.start(method, name);
      await server.hears("called", name);
      if (method === ORDERS.watch) await call.received(1);
      const cancelledMs = Date.now();
      call.cancel();
      const { atMs } = await server.hears("cancelled", name);
      expect(atMs - cancelledMs).toBeLessThan(CANCEL_MS);
      expect((await call.outcome).code).toBe(status.CANCELLED);
    });
  }

  scenario("a client that goes away cancels its calls", async () => {
    const leaving = new GrpcClient(CLIENT, `orders:${PORT}`);
    const call = leaving.start(ORDERS.hang, "leaving");
    await server.hears("called", "leaving");
    call.cancel();
    leaving.close();
    await server.hears("cancelled", "leaving");
  });

  scenario("streams that end by cancellation, again and again, cost nobody the connection", async () => {
    const bystander = client.start(ORDERS.chat);
    for (let i = 0; i < WATCHES; i++) {
      const call = client.start(ORDERS.watch, `watch ${i}`);
      await call.received(1);
      call.cancel();
      await call.outcome;
    }
    bystander.send("still there?");
    bystander.end();
    const { code, messages } = await bystander.outcome;
    expect([code, messages.map(String)]).toEqual([status.OK, ["still there?"]]);
  });
});

describe("keepalive", () => {
  const caller = () => new GrpcClient(CLIENT, `orders:${PORT}`, PINGS);

  scenario(
    "pings of client, server and sidecar keep a quiet call, and a connection without any",
    async () => {
      const patient = caller();
      const call = patient.start(ORDERS.chat);
      const ask = async (question: string, answers: number) => {
        call.send(question);
        await call.received(answers);
      };
      await ask("are you there?", 1);
      await Bun.sleep(QUIET_MS);
      await ask("still?", 2);
      call.end();
      expect((await call.outcome).code).toBe(status.OK);
      await Bun.sleep(QUIET_MS);
      expect(patient.state).toBe(connectivityState.READY);
      patient.close();
    },
  );

  scenario("a sidecar that stands still is found out by the client that calls it", async () => {
    const patient = caller();
    const call = patient.start(ORDERS.watch, "client's");
    await call.received(1);
    await whileStopped(clientSidecar, async () => expect((await call.outcome).code).toBe(status.UNAVAILABLE));
    patient.close();
    await server.hears("cancelled", "client's");
  });

  scenario("and by the server that it calls, and by the sidecar that calls it", async () => {
    const call = client.start(ORDERS.watch, "server's");
    await call.received(1);
    await whileStopped(ordersSidecar, async () => {
      await server.hears("cancelled", "server's");
      // Its answer had begun, and is broken off.
      expect((await call.outcome).code).toBe(status.INTERNAL);
    });
    expect((await client.call(ORDERS.echo, "back")).code).toBe(status.OK);
  });

  async function whileStopped({ child }: Bowline, meanwhile: () => Promise<void>): Promise<void> {
    child.kill("SIGSTOP");
    try {
      await meanwhile();
    } finally {
      child.kill("SIGCONT");
    }
  }
});

describe("telemetry", () => {
  async function total(address: string, reporter: string, ...labels: string[]): Promise<number> {
    const text = await (await fetch(`http://${address}:15090/stats/prometheus`)).text();
    const wanted = [`reporter="${reporter}"`, 'destination_service_name="orders"', ...labels];
    const lines = text.split("\n").filter((line) => line.startsWith("istio_requests_total{"));
    const found = lines.filter((line) => wanted.every((label) => line.includes(label)));
    return found.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
  }

  scenario("both sidecars count by gRPC status", async () => {
    for (const [address, reporter] of [[CLIENT, "source"], [ORDERS_ADDRESS, "destination"]] as const) {
      const count = (code: number) =>
        total(address, reporter, 'request_protocol="grpc"', `grpc_response_status="${code}"`);
      expect(await count(status.OK)).toBeGreaterThanOrEqual(SEQUENTIAL + PARALLEL);
      expect(await count(status.NOT_FOUND)).toBe(1);
      expect(await count(status.DATA_LOSS)).toBe(2);
      expect(await total(address, reporter, 'request_protocol="http"')).toBe(0);
    }
  });

  scenario("the graph has a gRPC edge, and takes every status but OK for an error", async () => {
    interface Edge {
      readonly source: string;
      readonly destination: string;
      readonly protocol: string;
      readonly requests: number;
      readonly errors: number;
      readonly mtls: boolean;
    }
    const counted = await total(CLIENT, "source");
    const good = await total(CLIENT, "source", 'grpc_response_status="0"');
    let edge: Edge | undefined;
    await until("all calls are reported", async () => {
      const { edges } = await mesh.api<{ edges: Edge[] }>("/api/graph");
      edge = edges.find(({ destination }) => destination === `${NAMESPACE}/orders`);
      return edge?.requests === counted;
    });
    expect(edge).toMatchObject({ source: "shop/client", protocol: "grpc", mtls: true });
    expect(edge?.errors).toBe(counted - good);
  });
});
