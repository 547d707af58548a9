/** Peers that only want to keep us busy (CVE-2019-9511 and its kin, CVE-2023-44487, CVE-2024-27316, CVE-2025-8671): each guard at its limit and one above. */
import { DEFAULT_LIMITS } from "../../../../src/model/limits.ts";
import { describe, expect, test } from "bun:test";
import {
  CONTINUATIONS_MAX,
  CONTROL_FRAMES_IDLE_MAX,
  CONTROL_FRAMES_WAITING_MAX,
  EMPTY_DATA_FRAMES_MAX,
  HEADER_BLOCK_EXTRA_BYTES,
  PREMATURE_RESETS_MAX,
  PRIORITY_FRAMES_PER_STREAM_MAX,
  STRAY_FRAMES_MAX,
  UNSENT_BYTES_MAX,
  WINDOW_UPDATES_EXTRA_MAX,
} from "../../../../src/proxy/http2/limits.ts";
import { settle } from "../fake_wire.ts";
import { Http2Downstream } from "./downstream.ts";
import {
  CLIENT_PREFACE,
  CONTINUATION,
  data,
  END_HEADERS,
  FrameLog,
  get,
  HEADERS,
  headers,
  literals,
  ping,
  post,
  PRIORITY,
  raw,
  rstStream,
  settings,
  windowUpdate,
} from "./raw_frames.ts";
import { Http2Upstream } from "./upstream.ts";

const REQUEST = post();
const MANY_FIELDS = literals(
  get(...Array.from({ length: DEFAULT_LIMITS.requestHeaderCount + 1 }, () => ["a", "b"]).flat()),
);
const priority = (id: number) => raw(PRIORITY, 0, id, "\0\0\0\0\x10");

/** A flood: how many rounds of it are borne, and what a round is. `round` counts from 0. */
interface Flood {
  readonly name: string;
  readonly limit: number;
  /** Before it. */
  readonly first?: readonly Buffer[];
  round(round: number): Buffer[];
}

const FLOODS: readonly Flood[] = [
  {
    name: "rapid reset",
    limit: PREMATURE_RESETS_MAX,
    round: (n) => [headers(2 * n + 1, get(), true), rstStream(2 * n + 1, "CANCEL")],
  },
  {
    name: "resets that we are made to send, by WINDOW_UPDATE",
    limit: PREMATURE_RESETS_MAX,
    round: (n) => [headers(2 * n + 1, get(), true), windowUpdate(2 * n + 1, 0)],
  },
  {
    name: "resets that we are made to send, by DATA",
    limit: PREMATURE_RESETS_MAX,
    round: (n) => [headers(2 * n + 1, get(), true), data(2 * n + 1, "x")],
  },
  {
    name: "resets that we are made to send, by HEADERS",
    limit: PREMATURE_RESETS_MAX,
    round: (n) => [headers(2 * n + 1, REQUEST), headers(2 * n + 1, ["a", "b"])],
  },
  {
    name: "resets that we are made to send, by PRIORITY",
    limit: PREMATURE_RESETS_MAX,
    round: (n) => [headers(2 * n + 1, REQUEST), raw(PRIORITY, 0, 2 * n + 1, "abc")],
  },
  {
    name: "resets that we are made to send, by content-length",
    limit: PREMATURE_RESETS_MAX,
    round: (n) => [headers(2 * n + 1, post("content-length", "1")), data(2 * n + 1, "ab")],
  },
  { name: "PING", limit: CONTROL_FRAMES_IDLE_MAX, first: [headers(1, REQUEST)], round: () => [ping()] },
  {
    name: "SETTINGS",
    limit: CONTROL_FRAMES_IDLE_MAX,
    first: [headers(1, REQUEST)],
    round: () => [settings([4, 100])],
  },
  {
    name: "unknown frames",
    limit: CONTROL_FRAMES_IDLE_MAX,
    first: [headers(1, REQUEST)],
    round: () => [raw(0x42, 0, 0, "x")],
  },
  {
    name: "PRIORITY",
    limit: 3 * PRIORITY_FRAMES_PER_STREAM_MAX,
    first: [headers(1, REQUEST), headers(3, REQUEST)],
    round: (n) => [priority(n % 7 + 5)],
  },
  {
    name: "WINDOW_UPDATE",
    limit: WINDOW_UPDATES_EXTRA_MAX + 2 * 2,
    first: [headers(1, REQUEST), headers(3, REQUEST)],
    round: () => [windowUpdate(0, 1)],
  },
  {
    name: "empty DATA",
    limit: EMPTY_DATA_FRAMES_MAX,
    first: [headers(1, REQUEST)],
    round: () => [data(1, "")],
  },
  {
    name: "empty DATA with padding",
    limit: EMPTY_DATA_FRAMES_MAX,
    first: [headers(1, REQUEST)],
    round: () => [raw(0, 8, 1, "\x02\0\0")],
  },
  {
    name: "RST_STREAM on a closed stream",
    limit: STRAY_FRAMES_MAX,
    first: [headers(1, REQUEST), rstStream(1, "CANCEL")],
    round: () => [rstStream(1, "CANCEL")],
  },
  {
    name: "CONTINUATION",
    limit: CONTINUATIONS_MAX,
    first: [raw(HEADERS, 0, 1, literals(get()))],
    round: () => [raw(CONTINUATION, 0, 1)],
  },
];

describe("Http2ServerConnection bears, and not one more:", () => {
  test.each(FLOODS.map((flood) => [flood.name, flood.limit, flood] as const))(
    "%s, %d",
    async (_name, limit, flood) => {
      const down = await Http2Downstream.greeted();
      down.send(...flood.first ?? []);
      for (let n = 0; n < limit; n++) {
        down.send(...flood.round(n));
        if (n % 100 === 0) await down.read();
      }
      await down.read();
      expect(down.closed).toBe(0);
      expect((await down.exchange(...flood.round(limit))).at(-1)).toMatch(/^GOAWAY \d+ ENHANCE_YOUR_CALM$/);
      expect(down.closed).toBe(1);
      expect(down.wire.closed).toBeTrue();
      expect(down.requests.length).toBeLessThanOrEqual(PREMATURE_RESETS_MAX + 1);
    },
  );

  test.each(FLOODS.map((flood) => [flood.name, flood] as const))("%s, all in one piece", (_name, flood) => {
    const down = new Http2Downstream();
    down.send(
      CLIENT_PREFACE,
      settings(),
      ...flood.first ?? [],
      ...Array.from({ length: flood.limit + 1 }, (_, n) => flood.round(n)).flat(),
    );
    expect(down.closed).toBe(1);
  });
});

describe("Http2ServerConnection limits header blocks:", () => {
  /** A header list of exactly so many bytes as SETTINGS_MAX_HEADER_LIST_SIZE counts them. */
  function listOf(bytes: number): string[] {
    const fields = get("x", "");
    const used = fields.reduce((sum, text) => sum + text.length, 0) + fields.length / 2 * 32;
    return fields.with(-1, "y".repeat(bytes - used));
  }

  /** HEADERS, then CONTINUATION as needed. */
  function block(id: number, bytes: Buffer): Buffer[] {
    const frames: Buffer[] = [];
    for (let at = 0; at < bytes.length; at += 16_384) {
      const flags = at + 16_384 >= bytes.length ? END_HEADERS : 0;
      frames.push(
        raw(
          at === 0 ? HEADERS : CONTINUATION,
          flags | (at === 0 ? 1 : 0),
          id,
          bytes.subarray(at, at + 16_384),
        ),
      );
    }
    return frames;
  }

  const TOO_LARGE = "HEADERS 1 END_STREAM :status=431 content-length=0";

  test("decoded bytes", async () => {
    const down = await Http2Downstream.greeted();
    expect(await down.exchange(...block(1, literals(listOf(DEFAULT_LIMITS.requestHeaderBytes))))).toEqual([]);
    expect(down.requests).toHaveLength(1);
    const other = await Http2Downstream.greeted();
    expect(await other.exchange(...block(1, literals(listOf(DEFAULT_LIMITS.requestHeaderBytes + 1)))))
      .toEqual([
        TOO_LARGE,
      ]);
    expect(other.requests).toEqual([]);
    expect(other.malformed).toEqual(["431 http2.head_too_large"]);
    // The connection goes on, and the table is as the client thinks it is.
    other.send(headers(3, get(), true));
    expect(other.requests).toHaveLength(1);
  });

  test("fields, not counting pseudo-header fields", async () => {
    const extra = (count: number) => get(...Array.from({ length: count }, (_, i) => [`x-${i}`, ""]).flat());
    const down = await Http2Downstream.greeted();
    expect(await down.exchange(headers(1, extra(DEFAULT_LIMITS.requestHeaderCount), true))).toEqual([]);
    expect(
      await (await Http2Downstream.greeted()).exchange(
        headers(1, extra(DEFAULT_LIMITS.requestHeaderCount + 1), true),
      ),
    ).toEqual(
      [TOO_LARGE],
    );
  });

  test("cookie crumbs", async () => {
    const crumbs = (count: number) => get(...Array.from({ length: count }, () => ["cookie", "a=b"]).flat());
    const down = await Http2Downstream.greeted();
    expect(await down.exchange(headers(1, crumbs(DEFAULT_LIMITS.requestHeaderCount), true))).toEqual([]);
    expect(
      await (await Http2Downstream.greeted()).exchange(
        headers(1, crumbs(DEFAULT_LIMITS.requestHeaderCount + 1), true),
      ),
    )
      .toEqual([TOO_LARGE]);
  });

  test("octets on the way", async () => {
    const fill = (bytes: number) => {
      const head = literals(get());
      return Buffer.concat([head, literals(["x", "y".repeat(bytes - head.length - 7)])]);
    };
    const most = DEFAULT_LIMITS.requestHeaderBytes + HEADER_BLOCK_EXTRA_BYTES;
    expect(fill(most)).toHaveLength(most);
    expect(
      await (await Http2Downstream.greeted()).exchange(
        ...block(1, fill(most)),
      ),
    )
      .toEqual([TOO_LARGE]);
    const down = await Http2Downstream.greeted();
    expect(
      (await down.exchange(
        ...block(1, fill(most + 1)),
      )).at(-1),
    ).toBe(
      "GOAWAY 0 ENHANCE_YOUR_CALM",
    );
  });

  test("an HPACK bomb: one entry of 4 KB, named 60,000 times", async () => {
    const down = await Http2Downstream.greeted();
    const entry = Buffer.concat([
      Buffer.from([0x40, 1, 0x78]),
      literals(["", "y".repeat(4_000)]).subarray(2),
    ]);
    const bomb = Buffer.concat([literals(get()), entry, Buffer.alloc(60_000, 0xbe)]);
    const before = heldBytes();
    expect(await down.exchange(...block(1, bomb))).toEqual([TOO_LARGE]);
    expect(heldBytes() - before).toBeLessThan(2_000_000);
  });

  test("a response that is too large is a reset of its stream", async () => {
    const up = await Http2Upstream.greeted();
    const { response } = up.request();
    await up.read();
    up.answer(
      headers(
        1,
        [
          ":status",
          "200",
          ...Array.from({ length: DEFAULT_LIMITS.requestHeaderCount + 1 }, () => ["a", "b"]).flat(),
        ],
        true,
      ),
    );
    expect(response.reset).toEqual(["protocol-error", true]);
    expect(await up.read()).toEqual(["RST_STREAM 1 PROTOCOL_ERROR"]);
  });
});

describe("Http2ServerConnection limits streams:", () => {
  test("above SETTINGS_MAX_CONCURRENT_STREAMS they are refused", async () => {
    const down = await Http2Downstream.greeted();
    for (let n = 0; n < DEFAULT_LIMITS.http2Streams; n++) down.send(headers(2 * n + 1, get(), true));
    expect(await down.read()).toEqual([]);
    expect(down.requests).toHaveLength(DEFAULT_LIMITS.http2Streams);
    expect(await down.exchange(headers(201, get(), true))).toEqual(["RST_STREAM 201 REFUSED_STREAM"]);
    expect(down.requests).toHaveLength(DEFAULT_LIMITS.http2Streams);
    down.last.answer();
    await down.read();
    expect(await down.exchange(headers(203, get(), true))).toEqual([]);
    expect(down.requests).toHaveLength(DEFAULT_LIMITS.http2Streams + 1);
  });

  test("a client that opens more from the start is refused politely, again and again", async () => {
    const down = await Http2Downstream.greeted();
    for (let n = 0; n < 5_000; n++) {
      down.send(headers(2 * n + 1, get(), true));
      if (n % 100 === 0) await down.read();
    }
    expect(down.closed).toBe(0);
    expect(down.requests).toHaveLength(DEFAULT_LIMITS.http2Streams);
  });
});

describe("Http2ServerConnection and a client that does not read:", () => {
  const floods: readonly (readonly [string, (n: number) => Buffer[]])[] = [
    ["answers", (n) => [headers(2 * n + 1, get(), true)]],
    ["refusals of malformed requests", (n) => [headers(2 * n + 1, ["a", "b"], true)]],
    ["refusals of large heads", (n) => [raw(HEADERS, END_HEADERS | 1, 2 * n + 1, MANY_FIELDS)]],
    [
      "PING ACK, with something useful between",
      (n) => [...n === 0 ? [headers(1, REQUEST)] : [], data(1, "x"), ping()],
    ],
    [
      "SETTINGS ACK, with something useful between",
      (n) => [...n === 0 ? [headers(1, REQUEST)] : [], data(1, "x"), settings()],
    ],
  ];

  test.each([...floods])("%s pile up so far and no further", async (_name, round) => {
    const down = await Http2Downstream.greeted([4, 2 ** 31 - 1]);
    down.send(windowUpdate(0, 2 ** 31 - 1 - 65_535));
    down.onAccept = (request) => request.ended && request.answer("x".repeat(100));
    down.wire.room = 0;
    let sent = 0;
    for (let n = 0; down.closed === 0; n++) {
      const frames = Buffer.concat(round(n));
      sent += frames.length;
      down.send(frames);
      if (n % 100 === 0) await down.read();
      // The smallest answer: a HEADERS frame with two octets.
      expect(n).toBeLessThan(UNSENT_BYTES_MAX / 11 + CONTROL_FRAMES_WAITING_MAX);
    }
    expect(down.wire.closed).toBeTrue();
    expect(down.malformed.at(-1)).toStartWith("400 http2.");
    expect(sent).toBeGreaterThan(10_000);
  }, 30_000);

  test("one that reads, and asks for much in one piece, is none", async () => {
    const down = await Http2Downstream.greeted([4, 2 ** 31 - 1]);
    down.send(windowUpdate(0, 2 ** 31 - 1 - 65_535));
    down.onAccept = (request) => request.answer("x".repeat(1_000));
    down.send(
      ...Array.from({ length: DEFAULT_LIMITS.http2Streams }, (_, n) => headers(2 * n + 1, get(), true)),
    );
    expect((await down.read()).filter((line) => line.startsWith("DATA"))).toHaveLength(
      DEFAULT_LIMITS.http2Streams,
    );
    expect(down.closed).toBe(0);
  });
});

describe("Http2ClientConnection and a server that does not read:", () => {
  test("has no capacity when too much waits, and has it again", async () => {
    const up = await Http2Upstream.greeted([3, 1_000_000]);
    up.wire.room = 0;
    let sent = 0;
    while (up.connection.capacity > 0) {
      up.request({ headers: ["x", String(sent).repeat(100)] }).stream.reset();
      sent++;
      expect(sent).toBeLessThan(UNSENT_BYTES_MAX / 20);
    }
    await up.read();
    expect(up.connection.capacity).toBe(0);
    up.capacity = 0;
    up.drain();
    expect(up.connection.capacity).toBe(1_000_000);
    expect(up.capacity).toBeGreaterThan(0);
    expect(up.gone).toBe(0);
  });
});

describe("Memory does not grow by more than a few megabytes:", () => {
  /** Bytes of one flood that lasts. */
  test.each(FLOODS.map((flood) => [flood.name, flood] as const))(
    "%s, on connection after connection",
    async (_name, flood) => {
      const frames = [
        ...flood.first ?? [],
        ...Array.from({ length: Math.min(flood.limit, 300) + 1 }, (_, n) => flood.round(n)).flat(),
      ];
      const bytes = Buffer.concat([CLIENT_PREFACE, settings(), ...frames]);
      const run = async (times: number) => {
        for (let i = 0; i < times; i++) {
          const down = new Http2Downstream();
          down.connection.onData(bytes);
          down.connection.onClose();
          if (i % 20 === 0) await down.read();
        }
      };
      await run(40);
      const before = heldBytes();
      await run(120);
      expect(heldBytes() - before).toBeLessThan(6_000_000);
    },
  );

  test("bodies in single octets that nobody reads cost what they hold", async () => {
    const source = await Http2Downstream.greeted();
    const sink = await Http2Upstream.greeted([4, 0]);
    source.send(headers(1, REQUEST));
    const { stream } = sink.request({ method: "POST", bodyLength: -1 });
    source.last.stream.pauseRequest();
    source.last.onRequestBody = (chunk) => void stream.body(chunk);
    const octet = data(1, "x");
    const before = heldBytes();
    for (let sent = 0; sent < DEFAULT_LIMITS.http2StreamWindowBytes; sent += 64) {
      source.send(...Array.from({ length: 64 }, () => octet));
    }
    expect(heldBytes() - before).toBeLessThan(4_000_000);
    expect(source.closed).toBe(0);
    sink.answer(
      windowUpdate(1, DEFAULT_LIMITS.http2StreamWindowBytes),
      windowUpdate(0, DEFAULT_LIMITS.http2StreamWindowBytes),
    );
    await settle();
    const frames = new FrameLog().cut(sink.wire.take()).filter(({ type }) => type === 0);
    expect(frames.reduce((sum, { payload }) => sum + payload.length, 0)).toBe(
      DEFAULT_LIMITS.http2StreamWindowBytes,
    );
  });

  test("an octet that waits does not hold on to all that came with it", async () => {
    const source = await Http2Downstream.greeted();
    const sink = await Http2Upstream.greeted([4, 0]);
    source.send(headers(1, REQUEST), headers(3, REQUEST));
    const { stream } = sink.request({ method: "POST", bodyLength: -1 });
    const [slow, fast] = source.requests as [Http2Downstream["last"], Http2Downstream["last"]];
    slow.stream.pauseRequest();
    slow.onRequestBody = (chunk) => void stream.body(chunk);
    fast.onRequestBody = () => {};
    const filler = Array.from({ length: 6 }, () => data(3, Buffer.alloc(16_384)));
    const before = heldBytes();
    for (let i = 0; i < 400; i++) {
      source.send(data(1, "x"), ...filler);
      if (i % 50 === 0) await source.read();
    }
    expect(heldBytes() - before).toBeLessThan(6_000_000);
    expect(source.closed).toBe(0);
  });

  test("an idle connection does not hold on to the last large piece that it read", async () => {
    const piece = Buffer.concat([
      data(1, Buffer.alloc(16_000)),
      ...Array.from({ length: 13 }, () => data(1, Buffer.alloc(16_000))),
    ]);
    const before = heldBytes();
    const connections: Http2Downstream[] = [];
    for (let i = 0; i < 60; i++) {
      const down = new Http2Downstream();
      down.connection.onData(Buffer.concat([CLIENT_PREFACE, settings(), headers(1, REQUEST)]));
      down.last.onRequestBody = () => {};
      // The beginning of another frame stays behind.
      down.connection.onData(Buffer.concat([piece, ping().subarray(0, 5)]));
      connections.push(down);
    }
    await connections[0]?.read();
    expect(heldBytes() - before).toBeLessThan(4_000_000);
    for (const down of connections) expect(down.closed).toBe(0);
  });
});

/** What the process holds after a collection: objects and buffers. */
function heldBytes(): number {
  Bun.gc(true);
  const { heapUsed, external, arrayBuffers } = process.memoryUsage();
  return heapUsed + Math.max(external, arrayBuffers);
}
