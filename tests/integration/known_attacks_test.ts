/**
 * Attacks that others have known and that no other file tries through the executable: floods and sizes over HTTP/1.1, HTTP/2
 * and gRPC, patterns that backtrack, upstreams that break the protocol, URLs of keys that lead inside, hosts of others.
 */
import { connect as connectTcp, createServer, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { beforeAll, describe, expect } from "bun:test";
import {
  CLIENT_PREFACE,
  CONTINUATION,
  data,
  END_HEADERS,
  FrameLog,
  goAway,
  HEADERS,
  headers,
  literals,
  ping,
  PRIORITY,
  raw,
  rstStream,
  settings,
  windowUpdate,
} from "../unit/proxy/http2/raw_frames.ts";
import { startEcho } from "./apps.ts";
import { afterwards, type Bowline, CEILING_MS, endEverythingAfterwards, scenario } from "./bowline.ts";
import { exchange, viaSidecar } from "./clients.ts";
import { newIssuer } from "./key_server.ts";
import { Mesh } from "./mesh.ts";
import type { RawDoor } from "./raw_requests.ts";
import { service, virtualService, workload } from "./resources.ts";

const mesh = new Mesh("127.0.91");
const CLIENT = mesh.address(10);
const WEB = mesh.address(11);
const BROKEN = mesh.address(12);
/** URLs that lead to the machine itself, and to what clouds tell their machines. */
const INSIDE = [
  ...["http://127.0.0.1:15000/config_dump", `http://${mesh.address(11)}:15090/`, "http://0.0.0.0:15014/"],
  ...["http://169.254.169.254/latest/meta-data/", "http://[::1]:15000/", "http://[::ffff:169.254.169.254]/"],
];
let sidecars: Bowline[];
let doors: readonly (readonly [string, RawDoor])[];
/** Requests that reached the program, of which those to `/held` are never answered. */
let heard = 0;

endEverythingAfterwards();

beforeAll(async () => {
  const rules = INSIDE.map((url, at) => `{ issuer: "inside-${at}", jwksUri: "${url}", timeout: 1s }`);
  mesh.write(
    "mesh.yaml",
    ...[service("web"), service("broken").replace("name: http", "name: http2"), workload("client", CLIENT)],
    ...[workload("web", WEB), workload("broken", BROKEN, { serviceAccount: null })],
    `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: tokens, namespace: shop }
spec: { selector: { matchLabels: { app: web } }, jwtRules: [${rules.join(", ")}] }
`,
    virtualService(
      "web",
      `- match: [{ uri: { regex: "/(a+)+$" } }, { headers: { x-a: { regex: "(a|a)*b" } } }]
  directResponse: { status: 299 }
- route: [{ destination: { host: web } }]`,
    ),
    virtualService("web.shop.svc.cluster.local", "- route: [{ destination: { host: rogue.evil } }]")
      .replace("namespace: shop", "namespace: evil"),
  );
  await mesh.startControlPlane();
  sidecars = await Promise.all([
    mesh.startSidecar("shop/client", { at: 10 }),
    mesh.startSidecar("shop/web", { at: 11 }),
  ]);
  await startEcho("web", WEB, ({ url }) => {
    heard++;
    return url === "/held";
  });
  const broken = createServer((socket) => breakOff(socket)).listen(8080, BROKEN);
  afterwards(() => broken.close());
  await mesh.untilSynced(2);
  const identity = mesh.identityOf("shop/client");
  doors = [
    ["the caller's sidecar", { address: CLIENT, port: 15001 }],
    ["the callee's", { address: WEB, port: 15008, identity }],
  ];
});

/** The answer to a head that is too large; gRPC hears it in a status of its own. */
const HEAD_TOO_LARGE = /:status=431|grpc-message=http2.head_too_large/;

/** All that a proxy says to these bytes, until it closes; the frames in a line each. */
function flood({ address, port, identity }: RawDoor, bytes: Buffer): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const log = new FrameLog();
    const lines: string[] = [];
    const socket: Socket = identity === undefined ? connectTcp({ host: address, port }) : connectTls({
      ...{ host: address, port, key: identity.key, cert: identity.chain },
      ...{ ALPNProtocols: ["h2"], rejectUnauthorized: false },
    });
    const timer = setTimeout(() => reject(new Error(`It goes on after ${lines.slice(-5)}`)), CEILING_MS);
    socket.on(identity === undefined ? "connect" : "secureConnect", () => socket.write(bytes));
    socket.on("data", (chunk: Buffer) => {
      lines.push(...log.tell(chunk));
      // It costs its stream alone.
      if (lines.some((line) => HEAD_TOO_LARGE.test(line))) socket.destroy();
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      clearTimeout(timer);
      resolve(lines);
    });
  });
}

const KINDS: Readonly<Record<string, readonly string[]>> = {
  "HTTP/2": [],
  "gRPC": ["content-type", "application/grpc", "te", "trailers"],
};

function post(path: string, more: readonly string[]): string[] {
  return [":method", "POST", ":scheme", "http", ":authority", "web:8080", ":path", path, ...more];
}

const times = (count: number, round: (n: number) => Buffer[]) =>
  Array.from({ length: count }, (_, n) => round(n)).flat();

/** More than enough of each. */
function floods(more: readonly string[]): Record<string, Buffer[]> {
  const open = headers(1, post("/held", more));
  const block = (id: number, bytes: Buffer): Buffer[] => {
    const pieces = Math.ceil(bytes.length / 16_384);
    return times(pieces, (n) => [raw(
      n === 0 ? HEADERS : CONTINUATION,
      (n === 0 ? 1 : 0) | (n === pieces - 1 ? END_HEADERS : 0),
      id,
      bytes.subarray(n * 16_384, (n + 1) * 16_384),
    )]);
  };
  const entry = Buffer.concat([Buffer.from([0x40, 1, 0x78]), literals(["", "y".repeat(4_000)]).subarray(2)]);
  const crumb = Buffer.concat([Buffer.from([0x40]), literals(["cookie", "a=b"]).subarray(1)]);
  const head = literals(post("/", more));
  return {
    "rapid reset": times(
      2_000,
      (n) => [headers(2 * n + 1, post("/held", more)), rstStream(2 * n + 1, "CANCEL")],
    ),
    "resets that we are made to send": times(2_000, (n) => [
      ...[headers(2 * n + 1, post("/held", more)), windowUpdate(2 * n + 1, 0)],
    ]),
    "CONTINUATION": [raw(HEADERS, 0, 1, head), ...times(5_000, () => [raw(CONTINUATION, 0, 1)])],
    "PING": [open, ...times(20_000, () => [ping()])],
    "SETTINGS": [open, ...times(20_000, () => [settings([4, 100])])],
    "PRIORITY": [open, ...times(2_000, (n) => [raw(PRIORITY, 0, 2 * (n % 9) + 3, "\0\0\0\0\x10")])],
    "WINDOW_UPDATE": [open, ...times(2_000, () => [windowUpdate(0, 1)])],
    "empty DATA": [open, ...times(2_000, () => [data(1, "")])],
    "an HPACK bomb": block(1, Buffer.concat([head, entry, Buffer.alloc(60_000, 0xbe)])),
    "10,000 crumbs of cookies": block(1, Buffer.concat([head, crumb, Buffer.alloc(10_000, 0xbe)])),
    "an authority of a megabyte": block(1, literals(post("/", more).with(5, "a".repeat(1_000_000)))),
    "a path of a megabyte": block(1, literals(post(`/${"a".repeat(1_000_000)}`, more))),
  };
}

async function expectWell(): Promise<void> {
  expect((await viaSidecar(CLIENT, "web:8080", "/well")).status).toBe(200);
  expect(sidecars.map(({ isAlive }) => isAlive)).toEqual([true, true]);
}

for (const [kind, more] of Object.entries(KINDS)) {
  describe(`a flood over ${kind}`, () => {
    for (const [name, frames] of Object.entries(floods(more))) {
      scenario(`${name} ends the connection or the stream, and reaches nobody`, async () => {
        for (const [where, door] of doors) {
          heard = 0;
          const lines = await flood(door, Buffer.concat([CLIENT_PREFACE, settings(), ...frames]));
          const refusal = lines.find((line) =>
            line.includes("ENHANCE_YOUR_CALM") || HEAD_TOO_LARGE.test(line)
          );
          expect([where, refusal === undefined ? lines.slice(-3) : "refused"]).toEqual([where, "refused"]);
          expect(heard).toBeLessThanOrEqual(251);
        }
        await expectWell();
      });
    }
  });
}

describe("sizes over HTTP/1.1", () => {
  const MEGABYTE = "a".repeat(1_000_000);
  const ROWS = {
    "a host": ["GET / HTTP/1.1", `Host: ${MEGABYTE}`],
    "a path": [`GET /${MEGABYTE} HTTP/1.1`, "Host: web:8080"],
    "10,000 cookies": ["GET / HTTP/1.1", "Host: web:8080", ...Array<string>(10_000).fill("Cookie: a=b")],
  };
  for (const [name, lines] of Object.entries(ROWS)) {
    scenario(`${name} of a megabyte is refused, and reaches nobody`, async () => {
      heard = 0;
      const { text, closed } = await exchange(CLIENT, 15001, [...lines, "", ""].join("\r\n"));
      expect([/^HTTP\/1\.1 (414|431) /.test(text), closed, heard]).toEqual([true, true, 0]);
      await expectWell();
    });
  }
});

describe("a pattern that backtracks", () => {
  scenario("costs no more than any other, over each protocol", async () => {
    const path = `/${"a".repeat(5_000)}`;
    const grpc = ["--http2-prior-knowledge", "-X", "POST", "-H", "content-type: application/grpc"];
    for (const way of [["--http1.1"], ["--http2-prior-knowledge"], grpc]) {
      const ask = (path: string) =>
        viaSidecar(CLIENT, "web:8080", path, ...way, "-H", `x-a: ${"a".repeat(5_000)}c`);
      heard = 0;
      expect([(await ask(`${path}!`)).status, heard]).toEqual([200, 1]);
      // The route's own answer.
      expect([(await ask(path)).status, heard]).toEqual([way === grpc ? 200 : 299, 1]);
    }
  });
});

/** By the path, what a server of HTTP/2 does that breaks the protocol. */
const BREAKS: Readonly<Record<string, (id: number) => Buffer[]>> = {
  "/trailers": (id) => [headers(id, [":status", "200"]), data(id, "x"), headers(id, ["x-a", "b"])],
  "/goaway": (id) => [goAway(id), settings([3, 0]), headers(id, [":status", "200"], true)],
  "/settings": () => [settings([3, 0]), settings([4, 0x7fffffff]), goAway(0, "INTERNAL_ERROR")],
  "/headers": (id) => [headers(id, [":status", "200", "X-A", "b"], true)],
  "/status": (id) => [headers(id, ["x-a", "b"], true)],
  "/early": (id) => [data(id, "x", true)],
  "/good": (id) => [headers(id, [":status", "204"], true)],
};

function breakOff(socket: Socket): void {
  const log = new FrameLog();
  socket.on("error", () => {});
  socket.write(settings());
  socket.on("data", (chunk: Buffer) => {
    for (const line of log.tell(chunk)) {
      const [, id, path] = /^HEADERS (\d+) .*:path=(\S+)/.exec(line) ?? [];
      if (id !== undefined) {
        for (const frame of BREAKS[path as string]?.(Number(id)) ?? []) socket.write(frame);
      }
    }
  });
}

describe("an upstream that breaks HTTP/2", () => {
  for (
    const [path, outcome] of [["/trailers", "cut off"], ["/goaway", 200], ["/settings", 503], [
      "/headers",
      502,
    ], [
      "/status",
      502,
    ], ["/early", 502]] as const
  ) {
    scenario(`by ${path} harms its own answer at most`, async () => {
      // For trailers it is too late to answer anything else.
      const answer = await viaSidecar(CLIENT, "broken:8080", path, "--max-time", "10").catch(() => null);
      expect(answer === null ? "cut off" : answer.status).toBe(outcome);
      expect((await viaSidecar(CLIENT, "broken:8080", "/good")).status).toBe(204);
      await expectWell();
    });
  }
});

describe("what a configuration may not do", () => {
  scenario("keys are asked for neither on the machine itself nor of its cloud", async () => {
    const issuer = await newIssuer("one");
    for (const at of INSIDE.keys()) {
      const token = await issuer.sign({ iss: `inside-${at}` });
      const { status, body } = await viaSidecar(
        CLIENT,
        "web:8080",
        "/",
        "-H",
        `Authorization: Bearer ${token}`,
      );
      expect([INSIDE[at], status, body]).toEqual([INSIDE[at], 401, "Jwks remote fetch is failed"]);
    }
    await sidecars[1]?.says("where nobody is asked for keys");
  });

  scenario("a namespace that routes another's host is told of", async () => {
    const { findings } = await mesh.api<{ findings: { code: string; message: string }[] }>("/api/config");
    const told = findings.filter(({ code }) => code === "BOW0046").map(({ message }) => message);
    expect(told).toEqual([
      expect.stringContaining("web.shop.svc.cluster.local belongs to the namespace shop"),
    ]);
  });
});
