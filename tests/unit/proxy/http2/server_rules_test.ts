/** What a server answers to frames in the wrong place or of the wrong form: a line for each rule of RFC 9113. */
import { describe, expect, test } from "bun:test";
import { Http2Downstream } from "./downstream.ts";
import {
  ACK,
  CLIENT_PREFACE,
  CONTINUATION,
  DATA,
  data,
  END_HEADERS,
  END_STREAM,
  get,
  GOAWAY,
  HEADERS,
  headers,
  literals,
  PADDED,
  PING,
  ping,
  post,
  PRIORITY,
  PRIORITY_FLAG,
  PUSH_PROMISE,
  raw,
  RST_STREAM,
  rstStream,
  SETTINGS,
  settings,
  uint32,
  WINDOW_UPDATE,
  windowUpdate,
} from "./raw_frames.ts";

type Rule = readonly [name: string, frames: readonly Buffer[], answer: readonly string[]];

const OPEN = headers(1, post());
const ASKED = headers(1, get(), true);
/** Priority of a stream: depends on that one. */
const dependsOn = (id: number) => Buffer.concat([uint32(id), Buffer.from([15])]);
const firstHalf = literals(get().slice(0, 4));
const secondHalf = literals(get().slice(4));

const CONNECTION_ERRORS: readonly Rule[] = [
  ["§4.1: a frame above SETTINGS_MAX_FRAME_SIZE", [OPEN, data(1, Buffer.alloc(16_385))], [
    "GOAWAY 1 FRAME_SIZE_ERROR",
  ]],
  ["§4.3: a header block that does not decode", [raw(HEADERS, END_HEADERS, 1, "\x80")], [
    "GOAWAY 0 COMPRESSION_ERROR",
  ]],
  ["§4.3: a header block cut off inside a field", [raw(HEADERS, END_HEADERS, 1, "\x00\x05ab")], [
    "GOAWAY 0 COMPRESSION_ERROR",
  ]],
  ["§4.3: another frame inside a header block", [raw(HEADERS, 0, 1, firstHalf), ping()], [
    "GOAWAY 0 PROTOCOL_ERROR",
  ]],
  ["§4.3: an unknown frame inside a header block", [raw(HEADERS, 0, 1, firstHalf), raw(0x42, 0, 0)], [
    "GOAWAY 0 PROTOCOL_ERROR",
  ]],
  ["§5.1: DATA on an idle stream", [data(1, "x")], ["GOAWAY 0 PROTOCOL_ERROR"]],
  ["§5.1: RST_STREAM on an idle stream", [rstStream(1, "CANCEL")], ["GOAWAY 0 PROTOCOL_ERROR"]],
  ["§5.1: WINDOW_UPDATE on an idle stream", [windowUpdate(1, 1)], ["GOAWAY 0 PROTOCOL_ERROR"]],
  ["§5.1: CONTINUATION on an idle stream", [raw(CONTINUATION, END_HEADERS, 1, firstHalf)], [
    "GOAWAY 0 PROTOCOL_ERROR",
  ]],
  ["§5.1: DATA after the client's own RST_STREAM", [OPEN, rstStream(1, "CANCEL"), data(1, "x")], [
    "GOAWAY 1 STREAM_CLOSED",
  ]],
  ["§5.1: HEADERS after the client's own RST_STREAM", [
    OPEN,
    rstStream(1, "CANCEL"),
    headers(1, ["a", "b"], true),
  ], [
    "GOAWAY 1 STREAM_CLOSED",
  ]],
  ["§5.1.1: an even stream", [headers(2, get(), true)], ["GOAWAY 0 PROTOCOL_ERROR"]],
  ["§5.1.1: a stream below the last one", [headers(5, get(), true), headers(3, get(), true)], [
    "GOAWAY 5 PROTOCOL_ERROR",
  ]],
  ["§6.1: DATA on stream 0", [data(0, "x")], ["GOAWAY 0 PROTOCOL_ERROR"]],
  ["§6.1: padding longer than the frame", [OPEN, raw(DATA, PADDED, 1, "\x03ab")], [
    "GOAWAY 1 PROTOCOL_ERROR",
  ]],
  ["§6.1: padded, and empty", [OPEN, raw(DATA, PADDED, 1)], ["GOAWAY 1 PROTOCOL_ERROR"]],
  ["§6.2: HEADERS on stream 0", [headers(0, get(), true)], ["GOAWAY 0 PROTOCOL_ERROR"]],
  ["§6.2: HEADERS with padding longer than the frame", [raw(HEADERS, END_HEADERS | PADDED, 1, "\x09ab")], [
    "GOAWAY 0 PROTOCOL_ERROR",
  ]],
  [
    "§6.2: HEADERS too short for its priority",
    [raw(HEADERS, END_HEADERS | PRIORITY_FLAG, 1, "\x00\x00\x00")],
    [
      "GOAWAY 0 FRAME_SIZE_ERROR",
    ],
  ],
  ["§6.3: PRIORITY on stream 0", [raw(PRIORITY, 0, 0, dependsOn(1))], ["GOAWAY 0 PROTOCOL_ERROR"]],
  ["§6.4: RST_STREAM on stream 0", [rstStream(0, "CANCEL")], ["GOAWAY 0 PROTOCOL_ERROR"]],
  ["§6.4: RST_STREAM of another size", [OPEN, raw(RST_STREAM, 0, 1, "\x00\x00\x08")], [
    "GOAWAY 1 FRAME_SIZE_ERROR",
  ]],
  ["§6.5: SETTINGS on a stream", [raw(SETTINGS, 0, 1)], ["GOAWAY 0 PROTOCOL_ERROR"]],
  ["§6.5: SETTINGS ACK with a payload", [raw(SETTINGS, ACK, 0, "abcdef")], ["GOAWAY 0 FRAME_SIZE_ERROR"]],
  ["§6.5: SETTINGS of a size that is no multiple of six", [raw(SETTINGS, 0, 0, "abc")], [
    "GOAWAY 0 FRAME_SIZE_ERROR",
  ]],
  ["§6.5.2: ENABLE_PUSH above one", [settings([2, 2])], ["GOAWAY 0 PROTOCOL_ERROR"]],
  ["§6.5.2: INITIAL_WINDOW_SIZE above 2^31-1", [settings([4, 2 ** 31])], ["GOAWAY 0 FLOW_CONTROL_ERROR"]],
  ["§6.5.2: MAX_FRAME_SIZE below 16,384", [settings([5, 16_383])], ["GOAWAY 0 PROTOCOL_ERROR"]],
  ["§6.5.2: MAX_FRAME_SIZE above 2^24-1", [settings([5, 2 ** 24])], ["GOAWAY 0 PROTOCOL_ERROR"]],
  ["§6.6: PUSH_PROMISE from a client", [OPEN, raw(PUSH_PROMISE, END_HEADERS, 1, uint32(2))], [
    "GOAWAY 1 PROTOCOL_ERROR",
  ]],
  ["§6.7: PING on a stream", [raw(PING, 0, 1, "abcdefgh")], ["GOAWAY 0 PROTOCOL_ERROR"]],
  ["§6.7: PING of another size", [raw(PING, 0, 0, "abc")], ["GOAWAY 0 FRAME_SIZE_ERROR"]],
  ["§6.8: GOAWAY on a stream", [raw(GOAWAY, 0, 1, uint32(0, 0))], ["GOAWAY 0 PROTOCOL_ERROR"]],
  ["§6.8: GOAWAY that is too short", [raw(GOAWAY, 0, 0, uint32(0))], ["GOAWAY 0 FRAME_SIZE_ERROR"]],
  ["§6.9: WINDOW_UPDATE of zero for the connection", [windowUpdate(0, 0)], ["GOAWAY 0 PROTOCOL_ERROR"]],
  ["§6.9: WINDOW_UPDATE of another size", [raw(WINDOW_UPDATE, 0, 0, "abc")], ["GOAWAY 0 FRAME_SIZE_ERROR"]],
  ["§6.9.1: a connection window above 2^31-1", [windowUpdate(0, 2 ** 31 - 1)], [
    "GOAWAY 0 FLOW_CONTROL_ERROR",
  ]],
  ["§6.9.2: a stream window above 2^31-1 by SETTINGS", [
    OPEN,
    windowUpdate(1, 2 ** 31 - 1 - 65_535),
    settings([4, 65_536]),
  ], [
    "GOAWAY 1 FLOW_CONTROL_ERROR",
  ]],
  ["§6.10: CONTINUATION after END_HEADERS", [OPEN, raw(CONTINUATION, END_HEADERS, 1)], [
    "GOAWAY 1 PROTOCOL_ERROR",
  ]],
  ["§6.10: CONTINUATION of another stream", [
    raw(HEADERS, 0, 1, firstHalf),
    raw(CONTINUATION, END_HEADERS, 3, secondHalf),
  ], [
    "GOAWAY 0 PROTOCOL_ERROR",
  ]],
  ["§6.3: PRIORITY of another size for an idle stream", [raw(PRIORITY, 0, 1, "abcd")], [
    "GOAWAY 0 FRAME_SIZE_ERROR",
  ]],
];

const STREAM_ERRORS: readonly Rule[] = [
  ["§5.1: DATA after END_STREAM", [ASKED, data(1, "x")], ["RST_STREAM 1 STREAM_CLOSED"]],
  ["§5.1: HEADERS after END_STREAM", [ASKED, headers(1, ["a", "b"], true)], ["RST_STREAM 1 STREAM_CLOSED"]],
  ["§6.3: PRIORITY of another size for an open stream", [OPEN, raw(PRIORITY, 0, 1, "abcd")], [
    "RST_STREAM 1 FRAME_SIZE_ERROR",
  ]],
  ["RFC 7540 §5.3.1: a stream that depends on itself", [OPEN, raw(PRIORITY, 0, 1, dependsOn(1))], [
    "RST_STREAM 1 PROTOCOL_ERROR",
  ]],
  ["§6.9: WINDOW_UPDATE of zero for a stream", [OPEN, windowUpdate(1, 0)], ["RST_STREAM 1 PROTOCOL_ERROR"]],
  ["§6.9.1: a stream window above 2^31-1", [OPEN, windowUpdate(1, 2 ** 31 - 1)], [
    "RST_STREAM 1 FLOW_CONTROL_ERROR",
  ]],
  ["§8.1: trailers without END_STREAM", [OPEN, headers(1, ["a", "b"])], ["RST_STREAM 1 PROTOCOL_ERROR"]],
  ["§8.1: trailers with a pseudo-header field", [OPEN, headers(1, [":path", "/"], true)], [
    "RST_STREAM 1 PROTOCOL_ERROR",
  ]],
  ["§8.1: trailers with a field in upper case", [OPEN, headers(1, ["A", "b"], true)], [
    "RST_STREAM 1 PROTOCOL_ERROR",
  ]],
  ["§8.1.1: more body than content-length", [headers(1, post("content-length", "1")), data(1, "ab")], [
    "RST_STREAM 1 PROTOCOL_ERROR",
  ]],
  ["§8.1.1: less body than content-length", [headers(1, post("content-length", "2")), data(1, "a", true)], [
    "RST_STREAM 1 PROTOCOL_ERROR",
  ]],
  ["§8.1.1: less body than content-length, then trailers", [
    headers(1, post("content-length", "2")),
    data(1, "a"),
    headers(1, ["x", "y"], true),
  ], ["RST_STREAM 1 PROTOCOL_ERROR"]],
];

const FINE: readonly Rule[] = [
  ["§4.1: unknown flags and the reserved bit", [
    raw(HEADERS, 0xd2 | END_HEADERS | END_STREAM, 0x80000001, literals(get())),
  ], []],
  ["§5.1: PRIORITY on an idle stream", [raw(PRIORITY, 0, 9, dependsOn(0))], []],
  [
    "§5.1: PRIORITY on a closed stream",
    [OPEN, rstStream(1, "CANCEL"), raw(PRIORITY, 0, 1, dependsOn(0))],
    [],
  ],
  ["§5.1: WINDOW_UPDATE and RST_STREAM on a closed stream", [
    OPEN,
    rstStream(1, "CANCEL"),
    windowUpdate(1, 1),
    rstStream(1, "CANCEL"),
  ], []],
  ["§5.5: an unknown frame", [raw(0x42, 0xff, 7, "whatever")], []],
  ["§6.1: padding as long as the frame allows", [OPEN, raw(DATA, PADDED, 1, "\x02\0\0")], []],
  ["§6.2: HEADERS with padding and priority", [
    raw(
      HEADERS,
      END_HEADERS | END_STREAM | PADDED | PRIORITY_FLAG,
      1,
      Buffer.concat([Buffer.from([3]), dependsOn(0), literals(get()), Buffer.alloc(3)]),
    ),
  ], []],
  ["§6.5: SETTINGS", [settings([1, 0], [2, 0], [3, 0], [4, 0], [5, 2 ** 24 - 1], [6, 1], [0x7777, 1])], [
    "SETTINGS ACK",
  ]],
  ["§6.5.3: SETTINGS ACK", [raw(SETTINGS, ACK, 0)], []],
  ["§6.7: PING", [ping("12345678")], ["PING ACK 12345678"]],
  ["§6.7: PING ACK", [ping("12345678", ACK)], []],
  ["§6.8: GOAWAY from a client", [OPEN, raw(GOAWAY, 0, 0, uint32(0, 0))], []],
  ["§6.9.1: a connection window of 2^31-1", [windowUpdate(0, 2 ** 31 - 1 - 65_535)], []],
  ["§6.10: a header block in pieces", [
    raw(HEADERS, END_STREAM, 1, firstHalf),
    raw(CONTINUATION, 0, 1),
    raw(CONTINUATION, END_HEADERS, 1, secondHalf),
  ], []],
];

describe("Http2ServerConnection ends the connection:", () => {
  test.each([...CONNECTION_ERRORS])("%s", async (_name, frames, answer) => {
    const down = await Http2Downstream.greeted();
    down.send(...frames);
    const [last] = (await down.read()).slice(-1);
    expect(last).toBe(answer[0]);
    expect(down.closed).toBe(1);
    expect(down.wire.closed).toBeTrue();
    expect(down.malformed).toHaveLength(1);
    for (const request of down.requests) expect(request.reset).toBeOneOf(["protocol-error", "closed"]);
  });
});

describe("Http2ServerConnection ends the stream:", () => {
  test.each([...STREAM_ERRORS])("%s", async (_name, frames, answer) => {
    const down = await Http2Downstream.greeted();
    expect(await down.exchange(...frames)).toEqual([...answer]);
    expect(down.requests[0]?.reset).toBe("protocol-error");
    // The handler's late answer goes nowhere, and the connection is as good as before.
    down.requests[0]?.answer("late");
    down.onAccept = (request) => request.answer("ok");
    expect(await down.exchange(headers(3, get(), true))).toEqual([
      "HEADERS 3 :status=200 content-length=2",
      'DATA 3 "ok" END_STREAM',
    ]);
    expect(down.closed).toBe(0);
  });

  test("§6.3: PRIORITY of another size is answered for a stream that is over, too", async () => {
    const down = await Http2Downstream.greeted();
    expect(await down.exchange(OPEN, rstStream(1, "CANCEL"), raw(PRIORITY, 0, 1, "abcd"))).toEqual([
      "RST_STREAM 1 FRAME_SIZE_ERROR",
    ]);
    expect(down.closed).toBe(0);
  });
});

describe("Http2ServerConnection takes:", () => {
  test.each([...FINE])("%s", async (_name, frames, answer) => {
    const down = await Http2Downstream.greeted();
    expect(await down.exchange(...frames)).toEqual([...answer]);
    expect(down.closed).toBe(0);
  });
});

describe("Http2ServerConnection at the beginning (§3.4)", () => {
  test("says its settings, and a window for the connection", async () => {
    expect(await new Http2Downstream().read()).toEqual([
      "SETTINGS 8=1 3=100 4=65536 6=61440",
      "WINDOW_UPDATE 0 983041",
    ]);
  });

  test.each(
    [
      ["another preface", Buffer.from("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n")],
      ["HTTP/1.1", Buffer.from("GET / HTTP/1.1\r\nHost: a\r\n\r\n")],
      ["no SETTINGS first", Buffer.concat([CLIENT_PREFACE, ping()])],
      ["an ACK first", Buffer.concat([CLIENT_PREFACE, raw(SETTINGS, ACK, 0)])],
    ] as [string, Buffer][],
  )("ends the connection on %s", async (_name, bytes) => {
    const down = new Http2Downstream();
    expect((await down.exchange(bytes)).at(-1)).toBe("GOAWAY 0 PROTOCOL_ERROR");
    expect(down.closed).toBe(1);
  });

  test("ends a connection on which nothing was said within ten seconds", async () => {
    const down = new Http2Downstream();
    down.clock.advance(9_900);
    expect(down.closed).toBe(0);
    down.clock.advance(2_000);
    expect(down.closed).toBe(1);
  });

  test("acknowledges the client's SETTINGS once", async () => {
    const down = new Http2Downstream();
    await down.read();
    expect(await down.exchange(CLIENT_PREFACE, settings())).toEqual(["SETTINGS ACK"]);
  });
});
