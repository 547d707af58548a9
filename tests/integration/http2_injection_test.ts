/** From HTTP/2 to HTTP/1: what would mean something else there is refused at either door, and the workload never hears of it. */
import { beforeAll, describe, expect } from "bun:test";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { MALFORMED_HEADS } from "../unit/proxy/http2/malformed_heads.ts";
import {
  CLIENT_PREFACE,
  data,
  FrameLog,
  get,
  headers,
  post,
  settings,
} from "../unit/proxy/http2/raw_frames.ts";
import { endEverythingAfterwards, scenario, until } from "./bowline.ts";
import { type FaultyUpstream, ok, startFaulty } from "./faulty_upstream.ts";
import { Mesh } from "./mesh.ts";
import { service, workload } from "./resources.ts";

const mesh = new Mesh("127.0.74");
const CLIENT = mesh.address(10);
const STORE = mesh.address(11);
const DOORS = ["15001, in plain text", "15008, with a certificate of the mesh"] as const;

let store: FaultyUpstream;

endEverythingAfterwards();

beforeAll(async () => {
  // The name that the table's requests are for.
  mesh.write("mesh.yaml", service("a"), workload("client", CLIENT), workload("a", STORE));
  await mesh.startControlPlane();
  await mesh.startSidecar("shop/client", { at: 10 });
  await mesh.startSidecar("shop/a", { at: 11 });
  store = await startFaulty(STORE, 8080, (socket) => void socket.write(ok("heard")));
  await mesh.untilSynced(2);
});

/** A connection in HTTP/2, and a line for each frame that came. */
class Caller {
  readonly said: string[] = [];
  readonly #socket: Socket;

  constructor(door: (typeof DOORS)[number]) {
    const log = new FrameLog();
    this.#socket = door === DOORS[0] ? connect(15001, CLIENT) : connectAsClient();
    this.#socket.on("data", (bytes: Buffer) => this.said.push(...log.tell(bytes)));
    this.#socket.on("error", () => {});
    this.send(CLIENT_PREFACE, settings());
  }

  send(...frames: readonly Buffer[]): void {
    this.#socket.write(Buffer.concat(frames));
  }

  /** Until the peer has said the last word on a stream. */
  async answer(id: number): Promise<string> {
    const last = new RegExp(`^(RST_STREAM ${id} |DATA ${id} .*END_STREAM|GOAWAY)`);
    await until(`an answer on stream ${id}`, () => this.said.some((line) => last.test(line)));
    return this.said.find((line) => last.test(line)) as string;
  }

  close(): void {
    this.#socket.destroy();
  }
}

function connectAsClient(): Socket {
  const { key, chain } = mesh.identityOf("shop/client");
  const options = { host: STORE, port: 15008, key, cert: chain, ALPNProtocols: ["h2"] };
  return connectTls({ ...options, rejectUnauthorized: false });
}

const SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

/** Heads that are good, and then something that contradicts them, or comes too late. */
const MALFORMED_BODIES: readonly (readonly [string, (id: number) => Buffer[]])[] = [
  ["more than content-length", (id) => [headers(id, post("content-length", "1")), data(id, SMUGGLED, true)]],
  ["less than content-length", (id) => [headers(id, post("content-length", "9")), data(id, "1", true)]],
  [
    "a body where there is none",
    (id) => [headers(id, post("content-length", "0")), data(id, SMUGGLED, true)],
  ],
  ["content-length among the trailers", (id) => trailers(id, "content-length", "1")],
  ["transfer-encoding among the trailers", (id) => trailers(id, "transfer-encoding", "chunked")],
  ["host among the trailers", (id) => trailers(id, "host", "b")],
  ["a path among the trailers", (id) => trailers(id, ":path", "/smuggled")],
  ["CR LF in a trailer", (id) => trailers(id, "x", `1\r\n\r\n${SMUGGLED}`)],
];

function trailers(id: number, name: string, value: string): Buffer[] {
  return [headers(id, post()), data(id, "1"), headers(id, [name, value], true)];
}

for (const door of DOORS) {
  describe(`at ${door}`, () => {
    scenario("each is reset, and the connection goes on", async () => {
      const caller = new Caller(door);
      const cases = [
        ...MALFORMED_HEADS.map(([name, fields]) =>
          [name, (id: number) => [headers(id, fields, true)]] as const
        ),
        ...MALFORMED_BODIES,
      ];
      const idOf = (index: number) => 2 * index + 1;
      cases.forEach(([, frames], index) => caller.send(...frames(idOf(index))));
      const answers = await Promise.all(cases.map(async ([name], index) => {
        const id = idOf(index);
        return [name, (await caller.answer(id)).replace(` ${id}`, "")];
      }));
      expect(answers).toEqual(cases.map(([name]) => [name, "RST_STREAM PROTOCOL_ERROR"]));
      const next = idOf(cases.length);
      caller.send(headers(next, get(), true));
      expect(await caller.answer(next)).toBe(`DATA ${next} "heard" END_STREAM`);
      caller.close();
    });

    scenario("a request in the body of another is its body", async () => {
      const before = store.requests.length;
      const caller = new Caller(door);
      caller.send(headers(1, post("content-length", String(SMUGGLED.length))), data(1, SMUGGLED, true));
      expect(await caller.answer(1)).toBe('DATA 1 "heard" END_STREAM');
      expect(store.requests.slice(before)).toMatchObject([{ method: "POST", path: "/", body: SMUGGLED }]);
      caller.close();
    });
  });
}

scenario("the workload has heard whole requests, and no other", () => {
  expect(new Set(store.requests.map(({ method, path }) => `${method} ${path}`))).toEqual(
    new Set(["GET /", "POST /"]),
  );
  return Promise.resolve();
});
