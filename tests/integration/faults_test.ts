/** What upstreams do wrong: the status and the flag that it gets, and that nobody who comes later suffers from it. */
import { beforeAll, describe, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { endEverythingAfterwards, scenario, until } from "./bowline.ts";
import { exchange, RawConnection } from "./clients.ts";
import {
  type Answer,
  closeAtRandom,
  EARLY_PATH,
  type FaultyUpstream,
  ok,
  type RawRequest,
  startFaulty,
} from "./faulty_upstream.ts";
import { Mesh } from "./mesh.ts";
import { serviceOf, workload } from "./resources.ts";

const mesh = new Mesh("127.0.33");
const CLIENT = mesh.address(10);
const SERVER = mesh.address(11);
const PORTS = { faulty: 8081, refusing: 8082, closing: 8083 };
/** Requests that follow a fault to the same upstream. */
const FOLLOWING = 200;

let faulty: FaultyUpstream;
let closing: FaultyUpstream;
/** The connection of the latest fault. */
let culprit: Socket | null = null;

endEverythingAfterwards();

beforeAll(async () => {
  const services = Object.entries(PORTS).map(([name, port]) => serviceOf("server", name, port));
  mesh.write("mesh.yaml", ...services, workload("client", CLIENT), workload("server", SERVER));
  await mesh.startControlPlane();
  await mesh.startSidecar("shop/client", { at: 10 });
  await mesh.startSidecar("shop/server", { at: 11 });
  faulty = await startFaulty(SERVER, PORTS.faulty, misbehave);
  closing = await startFaulty(SERVER, PORTS.closing, closeAtRandom);
  await mesh.untilSynced(2);
});

const NEXT = ok("answer to a request that nobody made");
const HEAD = "HTTP/1.1 200 OK\r\n";
const CHUNKED = "Transfer-Encoding: chunked\r\n";
const CLOSED = "503 UC upstream_reset_before_response_started{connection_termination}";
const PROTOCOL_ERROR = "502 UPE upstream_reset_before_response_started{protocol_error}";

/** Sends these bytes, and stays. */
const says = (text: string): Answer => (socket) => void socket.write(text, "latin1");
/** Sends these bytes, and closes. */
const saysLast = (text: string): Answer => (socket) => void socket.end(text, "latin1");
/** Sends these bytes, and resets once they have arrived. */
const saysAndResets = (text: string): Answer => (socket) => {
  socket.write(text, "latin1", () => setTimeout(() => socket.resetAndDestroy(), 20));
};

type Fault = readonly [name: string, answer: Answer, outcome: string];

/** No answer that could be passed on: what the client gets instead. */
const REPLACED: readonly Fault[] = [
  ["closes without a word", saysLast(""), CLOSED],
  ["resets without a word", saysAndResets(""), CLOSED],
  ["closes in the head", saysLast(`${HEAD}Content-Le`), CLOSED],
  ["resets in the head", saysAndResets(`${HEAD}Content-Le`), CLOSED],
  ["closes behind a 103", saysLast("HTTP/1.1 103 Early Hints\r\n\r\n"), CLOSED],
  [
    "sends 1,000 responses 103",
    says("HTTP/1.1 103 Early Hints\r\n\r\n".repeat(1_000) + NEXT),
    PROTOCOL_ERROR,
  ],
  [
    "switches protocols unasked",
    says(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n${NEXT}`),
    PROTOCOL_ERROR,
  ],
  [
    "sends a length and chunks",
    says(`${HEAD}${CHUNKED}Content-Length: 5\r\n\r\n0\r\n\r\n${NEXT}`),
    PROTOCOL_ERROR,
  ],
  ["sends two lengths", says(`${HEAD}Content-Length: 0\r\nContent-Length: 2\r\n\r\n${NEXT}`), PROTOCOL_ERROR],
  ["sends a negative length", says(`${HEAD}Content-Length: -1\r\n\r\n${NEXT}`), PROTOCOL_ERROR],
  ["sends an unknown coding", says(`${HEAD}Transfer-Encoding: x\r\n\r\n${NEXT}`), PROTOCOL_ERROR],
  ["sends chunks in HTTP/1.0", says(`HTTP/1.0 200 OK\r\n${CHUNKED}\r\n0\r\n\r\n${NEXT}`), PROTOCOL_ERROR],
  ["folds a line", says(`${HEAD}X-A: b\r\n c\r\nContent-Length: 0\r\n\r\n${NEXT}`), PROTOCOL_ERROR],
  ["sends a NUL", says(`${HEAD}X-A: \0\r\nContent-Length: 0\r\n\r\n${NEXT}`), PROTOCOL_ERROR],
  ["ends lines in LF alone", says("HTTP/1.1 200 OK\nContent-Length: 0\n\n"), PROTOCOL_ERROR],
  ["sends 101 fields", says(`${HEAD}${"X-A: b\r\n".repeat(101)}\r\n`), PROTOCOL_ERROR],
  ["sends a head of 70 KiB", says(`${HEAD}X-A: ${"a".repeat(70_000)}\r\n\r\n`), PROTOCOL_ERROR],
  ["speaks something else", says("220 mail.example ESMTP\r\n"), PROTOCOL_ERROR],
  ["answers in HTTP/0.9", saysLast("<html>hello</html>"), PROTOCOL_ERROR],
  ...[
    ["two status lines", `${HEAD}HTTP/1.1 200 OK`],
    ["a line feed behind its status line", "HTTP/1.1 200 OK\nX-A: b"],
    ["a line feed behind a field", `${HEAD}X-A: b\nX-B: c`],
    ["octets before its status line", `x${HEAD}X-A: b`],
    ["HTTP/2 in its status line", "HTTP/2 200 OK"],
    ["HTTP/1.2", "HTTP/1.2 200 OK"],
    ["two blanks before its status", "HTTP/1.1  200 OK"],
    ["a status of four figures", "HTTP/1.1 2000 OK"],
    ["a status below 100", "HTTP/1.1 099 OK"],
    ["a status above 599", "HTTP/1.1 600 OK"],
    ["a NUL in its reason", "HTTP/1.1 200 O\0K"],
    ["a carriage return in its reason", "HTTP/1.1 200 O\rK"],
    ["a reason of 70 KiB", `HTTP/1.1 200 ${"a".repeat(70_000)}`],
    ["a blank before the colon", `${HEAD}Content-Length : 4`],
    ["a line without a colon", `${HEAD}nonsense`],
    ["a carriage return in a value", `${HEAD}X-A: b\rX-B: c`],
    ["a length in hexadecimal", `${HEAD}Content-Length: 0x4`],
    ["two lengths in one", `${HEAD}Content-Length: 0, 4`],
    ["an empty length", `${HEAD}Content-Length:`],
    ["chunked twice", `${HEAD}Transfer-Encoding: chunked, chunked`],
    ["a coding with a vertical tab", `${HEAD}Transfer-Encoding: \x0bchunked`],
    ["a length with 103", "HTTP/1.1 103 Early Hints\r\nContent-Length: 4"],
    ["chunks with 204", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked"],
  ].map(([what, head]): Fault => [`sends ${what}`, says(`${head}\r\n\r\n0\r\n\r\n${NEXT}`), PROTOCOL_ERROR]),
];

/** An answer that began and cannot end: the client must see that it is not whole. */
const CUT: readonly Fault[] = [
  ["closes in a body by length", saysLast(`${HEAD}Content-Length: 100\r\n\r\npart`), "part"],
  ["resets in a body by length", saysAndResets(`${HEAD}Content-Length: 100\r\n\r\npart`), "part"],
  ["closes in a body of chunks", saysLast(`${HEAD}${CHUNKED}\r\n4\r\npart\r\n`), "part"],
  ["resets in a body of chunks", saysAndResets(`${HEAD}${CHUNKED}\r\n4\r\npart\r\n`), "part"],
  ["closes in a chunk", saysLast(`${HEAD}${CHUNKED}\r\n8\r\npart`), "part"],
  ["closes in the trailers", saysLast(`${HEAD}${CHUNKED}\r\n4\r\npart\r\n0\r\nX-A:`), "part"],
  ["resets in a body that ends with the connection", saysAndResets(`${HEAD}\r\npart`), "part"],
  ["sends a bad chunk size", says(`${HEAD}${CHUNKED}\r\n4\r\npart\r\nzz\r\n${NEXT}`), "part"],
  ["sends a chunk that is too long", says(`${HEAD}${CHUNKED}\r\n4\r\nparts\r\n0\r\n\r\n${NEXT}`), "part"],
  ["ends a chunk in LF alone", says(`${HEAD}${CHUNKED}\r\n4\r\npart\n0\r\n\r\n${NEXT}`), "part"],
  ["ends a size line in LF alone", says(`${HEAD}${CHUNKED}\r\n4\r\npart\r\n4;a\npart\r\n${NEXT}`), "part"],
  ["sends an extension without a name", says(`${HEAD}${CHUNKED}\r\n4\r\npart\r\n0;\r\n\r\n${NEXT}`), "part"],
  ["sends a chunk without its end", says(`${HEAD}${CHUNKED}\r\n4\r\npart0\r\n\r\n${NEXT}`), "part"],
  [
    "sends a length among the trailers",
    says(`${HEAD}${CHUNKED}\r\n4\r\npart\r\n0\r\nContent-Length: 4\r\n\r\n`),
    "part",
  ],
];

/** A whole answer, and then something. */
const EXCESS: readonly Fault[] = [
  ["answers twice at once", says(ok("whole") + NEXT), "whole"],
  ["answers twice, in chunks", says(`${HEAD}${CHUNKED}\r\n5\r\nwhole\r\n0\r\n\r\n${NEXT}`), "whole"],
  ["sends bytes behind its answer", says(`${ok("whole")}\r\nmore`), "whole"],
  ["answers a second time later", (socket) => {
    socket.write(ok("whole"));
    setTimeout(() => socket.write(NEXT), 5);
  }, "whole"],
  ["sends a body with 204", says(`HTTP/1.1 204 No Content\r\n\r\n${NEXT}`), ""],
  ["sends a body with 304", says(`HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n${NEXT}`), ""],
  ["sends 100 behind its answer", says(`${ok("whole")}HTTP/1.1 100 Continue\r\n\r\n`), "whole"],
  ["closes behind its answer", saysLast(ok("whole")), "whole"],
  ["resets behind its answer", saysAndResets(ok("whole")), "whole"],
];

const FAULTS = new Map([...REPLACED, ...CUT, ...EXCESS].map(([name, answer], i) => {
  return [name, { path: `/fault-${i}`, answer }];
}));
const ANSWERS = new Map([...FAULTS.values()].map(({ path, answer }) => [path, answer]));

function misbehave(socket: Socket, request: RawRequest): void {
  const fault = request.path === "/silence" ? () => {} : ANSWERS.get(request.path);
  if (fault === undefined) return void socket.write(ok(`good ${request.path}`));
  culprit = socket;
  fault(socket, request);
}

function get(host: string, path: string, more = ""): string {
  return `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${more}\r\n`;
}

async function provoke(name: string): Promise<{ head: string; body: string; closed: boolean }> {
  const path = FAULTS.get(name)?.path as string;
  const { text, closed } = await exchange(CLIENT, 15001, get("faulty", path, "Connection: close\r\n"));
  const final = text.slice(Math.max(0, text.search(/HTTP\/1\.1 [2-5]/)));
  const [head = "", ...body] = final.split("\r\n\r\n");
  return { head, body: body.join("\r\n\r\n"), closed };
}

/** The connection is never used again. Then two connections at a time; each answer must be the one to its own request. */
async function othersAreWell(): Promise<void> {
  await until("the connection of the fault is closed", () => {
    return culprit !== null && !faulty.connections.has(culprit);
  });
  const lane = async (lane: number) => {
    const connection = new RawConnection(CLIENT, 15001);
    for (let i = 0; i < FOLLOWING / 2; i++) {
      const path = `/good-${lane}-${i}`;
      connection.send(get("faulty", path));
      const text = await connection.read(/\r\n\r\ngood .*|^HTTP\/1\.1 [^2]/s);
      expect(text).toMatch(/^HTTP\/1\.1 200 /);
      expect(text).toEndWith(`\r\n\r\ngood ${path}`);
    }
    connection.close();
  };
  await Promise.all([lane(0), lane(1)]);
}

describe("an upstream that gives no answer to pass on", () => {
  for (const [name, , outcome] of REPLACED) {
    scenario(`${name}: ${outcome}`, async () => {
      const { head, closed } = await provoke(name);
      expect(`${head.slice(9, 12)} ${reply(head)}`).toBe(`${outcome}; inbound shop/server`);
      expect(closed).toBe(true);
      await othersAreWell();
    });
  }

  scenario("refuses the connection: 503 UF", async () => {
    const { text } = await exchange(CLIENT, 15001, get("refusing", "/", "Connection: close\r\n"));
    const details = "upstream_reset_before_response_started{connection_failure}";
    expect(`${text.slice(9, 12)} ${reply(text)}`).toBe(`503 UF ${details}; inbound shop/server`);
  });

  for (
    const [client, leave] of [
      ["gives up", (socket: Socket) => socket.resetAndDestroy()],
      ["has ended without a word, as one that dies does", (socket: Socket) => socket.end()],
    ] as const
  ) {
    scenario(`never answers: it is waited for, and let go when the client ${client}`, async () => {
      const heard = () => faulty.requests.filter(({ path }) => path === "/silence").length;
      const before = heard();
      let answer = "";
      const socket = connect({ host: CLIENT, port: 15001 });
      socket.on("error", () => {});
      socket.on("data", (chunk: Buffer) => answer += chunk.toString("latin1"));
      socket.write(get("faulty", "/silence"));
      await until("the request is heard", () => heard() > before);
      await Bun.sleep(300);
      expect(answer).toBe("");
      expect(culprit !== null && faulty.connections.has(culprit)).toBe(true);
      leave(socket);
      await othersAreWell();
      expect(heard()).toBe(before + 1);
    });
  }
});

/** Flag, details and origin of a local reply. */
function reply(head: string): string {
  return /\r\nx-bowline-reply: (.*)/.exec(head)?.[1]?.trimEnd() ?? "an answer of the upstream";
}

describe("an answer that is cut off never looks whole", () => {
  let begun = 0;
  for (const [name, , part] of CUT) {
    scenario(name, async () => {
      const { head, body, closed } = await provoke(name);
      expect(closed).toBe(true);
      // The break may overtake the head: then nothing at all has come, which is as good.
      if (head !== "") {
        begun++;
        expect(head).toStartWith("HTTP/1.1 200 ");
        expect(head).toMatch(/\r\n(content-length: 100|transfer-encoding: chunked)/);
        expect(body).not.toContain("0\r\n\r\n");
        expect(body.replace(/^4\r\n|\r\n$/g, "")).toBeOneOf(["", part]);
      }
      await othersAreWell();
    });
  }

  test("and some of them had begun", () => expect(begun).toBeGreaterThan(0));
});

describe("whatever follows a whole answer is heard by nobody", () => {
  for (const [name, , whole] of EXCESS) {
    scenario(name, async () => {
      const { head, body } = await provoke(name);
      expect(head).toMatch(/^HTTP\/1\.1 (20[04]|304) /);
      expect(body.replace(/^5\r\n|\r\n0\r\n\r\n$/g, "")).toBe(whole);
      await othersAreWell();
    });
  }
});

/** What is sent behind such an answer: all of it, or the part behind the body, would be a request. */
const NEXT_REQUEST = get("faulty", "/next");
const BODY_LENGTH = `Content-Length: ${NEXT_REQUEST.length}\r\n`;

/** What the head says of the body; whether the client's connection goes on, and the next request is heard once. */
const EARLY: readonly (readonly [name: string, more: string, goesOn: boolean])[] = [
  ["a body by length", BODY_LENGTH, true],
  ["a body that is to wait for 100", `Expect: 100-continue\r\n${BODY_LENGTH}`, false],
  ["a body that waits for something else", `Expect: y 100-continue\r\n${BODY_LENGTH}`, false],
  ["a body in chunks", CHUNKED, false],
  ["a body too long to be thrown away", "Content-Length: 100000\r\n", false],
];

describe("an answer that comes before the body leaves no request in it", () => {
  for (const [name, more, goesOn] of EARLY) {
    scenario(name, async () => {
      const before = faulty.requests.length;
      const connection = new RawConnection(CLIENT, 15001);
      connection.send(get("faulty", EARLY_PATH, more).replace("GET", "POST"));
      const early = await connection.read(/\r\n\r\ngood \/early$/);
      expect(/\r\nconnection: close\r\n/.test(early)).toBe(!goesOn);
      connection.send(NEXT_REQUEST + NEXT_REQUEST);
      if (goesOn) expect(await connection.read(/good \/next$/)).toStartWith("HTTP/1.1 200 ");
      else await until("the connection is closed", () => connection.closed);
      connection.close();
      const heard = faulty.requests.slice(before).map(({ path }) => path);
      expect(heard).toEqual(goesOn ? [EARLY_PATH, "/next"] : [EARLY_PATH]);
    });
  }
});

describe("an upstream that closes idle connections at any moment", () => {
  /** Sends requests over 16 connections, and counts the statuses; the client pauses for up to 2 ms in between. */
  const run = async (method: string, requests: number): Promise<Map<string, number>> => {
    const statuses = new Map<string, number>();
    await Promise.all(Array.from({ length: 16 }, async (_, lane) => {
      const connection = new RawConnection(CLIENT, 15001);
      for (let i = lane; i < requests; i += 16) {
        const length = method === "POST" ? "Content-Length: 4\r\n" : "";
        connection.send(
          `${method} /${method}-${i} HTTP/1.1\r\nHost: closing\r\n${length}\r\n${length && "body"}`,
        );
        const text = await connection.read(/\r\n\r\n(good \/\S+|upstream .*)$/s);
        const status = text.slice(9, 12);
        if (status === "200") expect(text).toEndWith(`good /${method}-${i}`);
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
        await Bun.sleep(Math.random() * 2);
      }
      connection.close();
    }));
    return statuses;
  };

  scenario("5,000 GETs: none fails", async () => {
    expect(Object.fromEntries(await run("GET", 5_000))).toEqual({ "200": 5_000 });
  });

  scenario("2,000 POSTs: none is heard twice, and whoever hears 200 was heard", async () => {
    const statuses = await run("POST", 2_000);
    const posts = closing.requests.filter(({ method }) => method === "POST").map(({ path }) => path);
    expect(new Set(posts).size).toBe(posts.length);
    expect(posts.length).toBeGreaterThanOrEqual(statuses.get("200") ?? 0);
    expect([...statuses.keys()].filter((status) => status !== "200" && status !== "503")).toEqual([]);
    // Most upstreams are still there when they are asked.
    expect(statuses.get("200")).toBeGreaterThan(1_000);
  });
});
