/** Messages of gRPC, bytes of bodies, TCP connections: counted while they pass, and the same at both ends of a call. */
import { beforeAll, describe, expect } from "bun:test";
import { connect, createServer, type Socket } from "node:net";
import { connectivityState, status } from "@grpc/grpc-js";
import { startEcho } from "./apps.ts";
import { afterwards, bowline, endEverythingAfterwards, scenario, until } from "./bowline.ts";
import { viaSidecar } from "./clients.ts";
import { bundleServer, GrpcClient, GrpcServer, ORDERS } from "./grpc_peers.ts";
import { Mesh } from "./mesh.ts";
import { service, workload } from "./resources.ts";
import { type Labels, only, type Sample, scrape, total } from "./scrape.ts";

const GRPC_PORT = 50_051;
const DB_PORT = 5432;
const CLOSED_PORT = 5433;
const MESSAGES = 1_000;
const RECEIVED_BYTES = 3_000_001;
const SENT_BYTES = 5_000_003;

const mesh = new Mesh("127.0.35");
const CLIENT = mesh.address(10);
const STORE = mesh.address(11);
/** Both ends of every call. */
const ENDS = [[CLIENT, "source"], [STORE, "destination"]] as const;

endEverythingAfterwards();

let grpc: GrpcClient;

beforeAll(async () => {
  const ports = [
    `  - { name: grpc, port: ${GRPC_PORT} }`,
    `  - { name: tcp-db, port: ${DB_PORT} }`,
    `  - { name: tcp-closed, port: ${CLOSED_PORT} }`,
  ];
  mesh.write(
    "mesh.yaml",
    `${service("store")}${ports.join("\n")}\n`,
    workload("client", CLIENT),
    workload("store", STORE),
  );
  await mesh.startControlPlane();
  await Promise.all([
    mesh.startSidecar("shop/client", { at: 10 }),
    mesh.startSidecar("shop/store", { at: 11 }),
    startEcho("store", STORE),
  ]);
  await GrpcServer.start(await bundleServer(mesh.directory), `${STORE}:${GRPC_PORT}`);
  await startDatabase();
  grpc = new GrpcClient(CLIENT, `store:${GRPC_PORT}`);
  afterwards(() => grpc.close());
  await mesh.untilSynced(2);
});

/** Answers a first line at once, everything else when the client has ended its half. */
async function startDatabase(): Promise<void> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.once("data", () => socket.write("ready\n"));
    socket.on("end", () => socket.end(Buffer.alloc(SENT_BYTES - "ready\n".length)));
    socket.on("error", () => {});
  });
  afterwards(() => server.close());
  await new Promise<void>((resolve) => server.listen(DB_PORT, STORE, resolve));
}

/** A connection through CONNECT. */
function tunnel(port: number): Socket {
  const socket = connect({ host: CLIENT, port: 15001, allowHalfOpen: true });
  socket.write(`CONNECT store:${port} HTTP/1.1\r\nHost: store:${port}\r\n\r\n`);
  return socket;
}

async function firstLine(socket: Socket): Promise<string> {
  const chunk = await new Promise<Buffer>((resolve) => socket.once("data", resolve));
  return chunk.toString("latin1").split("\r\n")[0] as string;
}

/** Scrapes a sidecar until its samples are what they should be. */
async function untilCounted(address: string, what: string, holds: (samples: Sample[]) => boolean) {
  await until(`${address} counts ${what}`, async () => holds(await scrape(address)));
}

const TO_STORE: Labels = { source_workload: "client", destination_workload: "store" };

describe("gRPC messages", () => {
  const messages = async (address: string, reporter: string) => {
    const samples = await scrape(address);
    const labels = { ...TO_STORE, reporter };
    return ["istio_request_messages_total", "istio_response_messages_total"]
      .map((name) => total(samples, name, labels));
  };

  scenario("a thousand each way, exactly, at both ends, and while the call lasts", async () => {
    const call = grpc.start(ORDERS.chat);
    for (let i = 0; i < MESSAGES / 2; i++) call.send("x".repeat(i));
    await call.received(MESSAGES / 2);
    for (const [address, reporter] of ENDS) {
      expect(await messages(address, reporter)).toEqual([MESSAGES / 2, MESSAGES / 2]);
    }
    for (let i = 0; i < MESSAGES / 2; i++) call.send("x".repeat(i * 20));
    call.end();
    expect((await call.outcome).code).toBe(status.OK);
    for (const [address, reporter] of ENDS) {
      expect(await messages(address, reporter)).toEqual([MESSAGES, MESSAGES]);
    }
  });

  scenario("one there and many back", async () => {
    expect((await grpc.call(ORDERS.count, "500")).code).toBe(status.OK);
    for (const [address, reporter] of ENDS) {
      expect(await messages(address, reporter)).toEqual([MESSAGES + 1, MESSAGES + 500]);
    }
  });
});

describe("bodies", () => {
  scenario("their sizes are histograms at both ends", async () => {
    const size = 2_000;
    const answer = await viaSidecar(CLIENT, "store", "/", "--data-binary", "x".repeat(size));
    for (const [address, reporter] of ENDS) {
      const labels = { ...TO_STORE, reporter, request_protocol: "http", response_code: "200" };
      await untilCounted(address, "the request", (all) => total(all, "istio_requests_total", labels) === 1);
      const samples = await scrape(address);
      expect(only(samples, "istio_request_bytes_sum", labels).value).toBe(size);
      expect(only(samples, "istio_request_bytes_bucket", { ...labels, le: "1000" }).value).toBe(0);
      expect(only(samples, "istio_request_bytes_bucket", { ...labels, le: "2500" }).value).toBe(1);
      expect(only(samples, "istio_response_bytes_sum", labels).value).toBe(answer.body.length);
      expect(only(samples, "istio_response_bytes_count", labels).value).toBe(1);
    }
  });
});

describe("TCP connections", () => {
  const tcp = (reporter: string, flags = "-"): Labels => ({
    ...TO_STORE,
    reporter,
    request_protocol: "tcp",
    response_flags: flags,
    connection_security_policy: reporter === "source" ? "unknown" : "mutual_tls",
  });
  const counts = (samples: readonly Sample[], labels: Labels) =>
    ["connections_opened", "connections_closed", "received_bytes", "sent_bytes"]
      .map((name) => total(samples, `istio_tcp_${name}_total`, labels));

  scenario("bytes are counted while a connection stands, and exactly, at both ends", async () => {
    const socket = tunnel(DB_PORT);
    expect(await firstLine(socket)).toBe("HTTP/1.1 200 OK");
    socket.write("hello");
    await new Promise((resolve) => socket.once("data", resolve));
    for (const [address, reporter] of ENDS) {
      expect(counts(await scrape(address), tcp(reporter))).toEqual([1, 0, 5, 6]);
    }
    const ended = new Promise((resolve) => socket.once("end", resolve));
    socket.resume();
    socket.end(Buffer.alloc(RECEIVED_BYTES - 5));
    await ended;
    for (const [address, reporter] of ENDS) {
      await untilCounted(address, "the end", (all) => counts(all, tcp(reporter))[1] === 1);
      expect(counts(await scrape(address), tcp(reporter))).toEqual([1, 1, RECEIVED_BYTES, SENT_BYTES]);
    }
  });

  scenario("a connection that breaks ends with its flag", async () => {
    const socket = tunnel(DB_PORT);
    await firstLine(socket);
    socket.resetAndDestroy();
    for (const [address, reporter] of ENDS) {
      await untilCounted(address, "the end", (all) => counts(all, tcp(reporter, "DC"))[1] === 1);
      expect(counts(await scrape(address), tcp(reporter, "DC"))).toEqual([0, 1, 0, 0]);
      expect(counts(await scrape(address), tcp(reporter)).slice(0, 2)).toEqual([2, 1]);
    }
  });

  scenario("one that never stood was opened and closed with its flag, and is no request", async () => {
    const socket = tunnel(CLOSED_PORT);
    expect(await firstLine(socket)).toBe("HTTP/1.1 503 Service Unavailable");
    socket.destroy();
    for (const [address, reporter] of ENDS) {
      const samples = await scrape(address);
      expect(counts(samples, tcp(reporter, "UF"))).toEqual([1, 1, 0, 0]);
      const refused = { ...TO_STORE, reporter, response_code: "503" };
      expect(total(samples, "istio_requests_total", refused)).toBe(0);
    }
  });

  scenario("the graph has them, with their bytes", async () => {
    interface Edge {
      readonly protocol: string;
      readonly requests: number;
      readonly errors: number;
      readonly receivedBytes: number;
      readonly sentBytes: number;
      readonly mtls: boolean;
    }
    let edge: Edge | undefined;
    await until("everything is reported", async () => {
      const { edges } = await mesh.api<{ edges: Edge[] }>("/api/graph");
      edge = edges.find(({ protocol }) => protocol === "tcp");
      return edge?.requests === 3 && edge.errors === 2;
    });
    const bytes = { receivedBytes: RECEIVED_BYTES, sentBytes: SENT_BYTES };
    expect(edge).toMatchObject({ ...bytes, mtls: true });
    const { stdout } = await bowline(["graph", "--data", mesh.controlPlaneData]);
    const [requests, connections] = stdout.split("\n\n") as [string, string];
    expect(requests).toContain("REQUESTS");
    expect(connections).toMatch(/RATE +CONNECTIONS +SUCCESS +RECEIVED +SENT +MTLS\n/);
    expect(connections).toMatch(/shop\/client +shop\/store .* 3 +33.33% +2.9MiB +4.8MiB +yes\n/);
  });
});

describe("keepalive", () => {
  scenario(
    "a gRPC client that pings all the time, with calls and without, keeps its connection",
    async () => {
      const patient = new GrpcClient(CLIENT, `store:${GRPC_PORT}`, {
        "grpc.keepalive_time_ms": 5,
        "grpc.keepalive_timeout_ms": 1_000,
        "grpc.keepalive_permit_without_calls": 1,
      });
      expect((await patient.call(ORDERS.echo, "hello")).code).toBe(status.OK);
      // As many pings as in an hour at one in ten seconds.
      const states = new Set<connectivityState>();
      for (let i = 0; i < 20; i++) {
        await Bun.sleep(100);
        states.add(patient.state);
      }
      expect([...states]).toEqual([connectivityState.READY]);
      expect((await patient.call(ORDERS.echo, "hello")).code).toBe(status.OK);
      patient.close();
    },
  );
});
