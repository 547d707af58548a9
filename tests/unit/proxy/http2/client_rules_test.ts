/** What a client makes of what a server sends: a line for each rule of RFC 9113, and how each ending reaches the handler. */
import { describe, expect, test } from "bun:test";
import { SeenResponse } from "../http1/upstream.ts";
import {
  ACK,
  CONTINUATION,
  data,
  END_HEADERS,
  goAway,
  HEADERS,
  headers,
  literals,
  ping,
  PUSH_PROMISE,
  raw,
  rstStream,
  SETTINGS,
  settings,
  uint32,
  windowUpdate,
} from "./raw_frames.ts";
import { Http2Upstream } from "./upstream.ts";

const OK = [":status", "200"];

const CONNECTION_ERRORS: readonly (readonly [string, Buffer[], string])[] = [
  ["§5.1: HEADERS on an idle stream", [headers(3, OK, true)], "PROTOCOL_ERROR"],
  ["§5.1: DATA on an idle stream", [data(3, "x")], "PROTOCOL_ERROR"],
  ["§5.1: WINDOW_UPDATE on an idle stream", [windowUpdate(3, 1)], "PROTOCOL_ERROR"],
  ["§5.1: RST_STREAM on an idle stream", [rstStream(3, "CANCEL")], "PROTOCOL_ERROR"],
  ["§5.1.1: a stream that the server opens", [headers(2, OK, true)], "PROTOCOL_ERROR"],
  ["§6.5.2: ENABLE_PUSH of one from a server", [settings([2, 1])], "PROTOCOL_ERROR"],
  ["§8.4: PUSH_PROMISE, which we refused", [raw(PUSH_PROMISE, END_HEADERS, 1, uint32(2))], "PROTOCOL_ERROR"],
  [
    "§4.3: a header block that does not decode",
    [raw(HEADERS, END_HEADERS, 1, "\xff\xff\xff\xff\xff")],
    "COMPRESSION_ERROR",
  ],
  ["§4.3: PING inside a header block", [raw(HEADERS, 0, 1, literals(OK)), ping()], "PROTOCOL_ERROR"],
  ["§6.1: DATA on stream 0", [data(0, "x")], "PROTOCOL_ERROR"],
];

const STREAM_ERRORS: readonly (readonly [string, Buffer[]])[] = [
  ["§8.1: DATA before HEADERS", [data(1, "x")]],
  ["§8.1: an end before HEADERS", [data(1, "", true)]],
  ["§8.1: an end before HEADERS with data", [data(1, "x", true)]],
  ["§8.3.2: no status", [headers(1, ["a", "b"], true)]],
  ["§8.3.2: two statuses", [headers(1, [...OK, ...OK], true)]],
  ["§8.3.2: a pseudo-header field of requests", [headers(1, [...OK, ":path", "/"], true)]],
  ["§8.3.2: a status that is no number", [headers(1, [":status", "20x"], true)]],
  ["§8.3.2: a status of four digits", [headers(1, [":status", "2000"], true)]],
  ["§8.2.1: a field in upper case", [headers(1, [...OK, "A", "b"], true)]],
  ["§8.2.1: LF in a value", [headers(1, [...OK, "a", "b\nc"], true)]],
  ["§8.2.2: connection", [headers(1, [...OK, "connection", "close"], true)]],
  ["§8.2.2: transfer-encoding", [headers(1, [...OK, "transfer-encoding", "chunked"], true)]],
  ["§8.6: 101", [headers(1, [":status", "101"])]],
  ["§8.1: 1xx that ends the stream", [headers(1, [":status", "100"], true)]],
  ["§8.1: a second answer", [headers(1, OK), headers(1, OK, true)]],
  ["§8.1: trailers without END_STREAM", [headers(1, OK), headers(1, ["a", "b"])]],
  ["§8.1.1: more body than content-length", [headers(1, [...OK, "content-length", "1"]), data(1, "ab")]],
  ["§8.1.1: less body than content-length", [headers(1, [...OK, "content-length", "2"]), data(1, "a", true)]],
  ["§8.1.1: less body than content-length, then trailers", [
    headers(1, [...OK, "content-length", "2"]),
    headers(1, ["a", "b"], true),
  ]],
  ["§8.1.1: content-length above zero and no body", [headers(1, [...OK, "content-length", "2"], true)]],
  ["more 1xx than anybody needs", Array.from({ length: 17 }, () => headers(1, [":status", "103"]))],
];

describe("Http2ClientConnection ends the connection:", () => {
  test.each([...CONNECTION_ERRORS])("%s", async (_name, frames, code) => {
    const up = await Http2Upstream.greeted();
    const { response } = up.request();
    await up.read();
    up.answer(...frames);
    expect((await up.read()).at(-1)).toBe(`GOAWAY 0 ${code}`);
    expect(response.reset).toEqual(["protocol-error", true]);
    expect(response.ended).toBeFalse();
    expect(up.gone).toBe(1);
    expect(up.wire.closed).toBeTrue();
    expect(up.connection.capacity).toBe(0);
  });
});

describe("Http2ClientConnection ends the stream:", () => {
  const methods = ["GET", "POST"];
  test.each(
    STREAM_ERRORS.flatMap(([name, frames]) => methods.map((method) => [name, method, frames] as const)),
  )(
    "%s (%s)",
    async (_name, method, frames) => {
      const up = await Http2Upstream.greeted();
      const { response } = up.request({ method, bodyLength: method === "GET" ? 0 : -1 });
      await up.read();
      up.answer(...frames);
      expect(await up.read()).toEqual(["RST_STREAM 1 PROTOCOL_ERROR"]);
      expect(response.reset).toEqual(["protocol-error", true]);
      expect(response.ended).toBeFalse();
      // The slot is free, and the next request has an answer.
      expect(up.connection.capacity).toBe(100);
      const next = up.request().response;
      up.answer(headers(3, OK, true));
      expect(next).toMatchObject({ head: { status: 200 }, ended: true });
    },
  );
});

describe("Http2ClientConnection", () => {
  test("begins with the preface and its settings", async () => {
    const up = new Http2Upstream();
    expect(await up.read()).toEqual(["SETTINGS 2=0 3=100 4=65536 6=61440", "WINDOW_UPDATE 0 983041"]);
    expect(up.connection.capacity).toBe(100);
  });

  test("sends requests with odd identifiers, and their answers to whom they belong", async () => {
    const up = await Http2Upstream.greeted();
    const first = up.request({ path: "/1", headers: ["x", "y"] });
    const second = up.request({ method: "POST", path: "/2", bodyLength: 2 });
    second.stream.body(Buffer.from("ab"));
    second.stream.end(null);
    expect(await up.read()).toEqual([
      "HEADERS 1 END_STREAM :method=GET :scheme=http :path=/1 :authority=a x=y",
      "HEADERS 3 :method=POST :scheme=http :path=/2 :authority=a content-length=2",
      'DATA 3 "ab" END_STREAM',
    ]);
    up.answer(
      headers(3, OK),
      data(3, "second"),
      headers(1, OK),
      data(1, "first", true),
      headers(3, ["t", "u"], true),
    );
    expect(first.response).toMatchObject({ body: "first", ended: true, trailers: null });
    expect(second.response).toMatchObject({ body: "second", ended: true, trailers: ["t", "u"] });
  });

  test("tells gRPC servers that it understands trailers", async () => {
    const up = await Http2Upstream.greeted();
    up.request({ headers: ["content-type", "application/grpc+proto"] });
    expect(await up.read()).toEqual([
      "HEADERS 1 END_STREAM :method=GET :scheme=http :path=/ :authority=a content-type=application/grpc+proto te=trailers",
    ]);
  });

  test("§8.3.1: sends no authority when there is none", async () => {
    const up = await Http2Upstream.greeted();
    up.request({ authority: "" });
    expect(await up.read()).toEqual(["HEADERS 1 END_STREAM :method=GET :scheme=http :path=/"]);
  });

  test("§8.5: CONNECT", async () => {
    const up = await Http2Upstream.greeted();
    up.request({ method: "CONNECT", authority: "a:1", path: "", bodyLength: -1 });
    expect(await up.read()).toEqual(["HEADERS 1 :method=CONNECT :authority=a:1"]);
  });

  test("passes 1xx on", async () => {
    const up = await Http2Upstream.greeted();
    const { response } = up.request();
    up.answer(headers(1, [":status", "100"]), headers(1, [":status", "103"]), headers(1, OK, true));
    expect(response).toMatchObject({ informed: [100, 103], head: { status: 200 }, ended: true });
  });

  test.each([["HEAD", "200"], ["GET", "204"], ["GET", "304"]])(
    "%s %s has no body, whatever its length says",
    async (method, status) => {
      const up = await Http2Upstream.greeted();
      const { response } = up.request({ method });
      up.answer(headers(1, [":status", status, "content-length", "5"], true));
      expect(response).toMatchObject({ head: { bodyLength: 5 }, ended: true, reset: null });
      const other = up.request({ method }).response;
      up.answer(headers(3, [":status", status, "content-length", "5"]), data(3, "hello", true));
      expect(other.reset).toEqual(["protocol-error", true]);
      const empty = up.request({ method }).response;
      up.answer(headers(5, [":status", status]), data(5, "", true));
      expect(empty).toMatchObject({ ended: true, reset: null });
    },
  );

  test("a body that is announced to be empty has its trailers, and nothing else", async () => {
    const up = await Http2Upstream.greeted();
    const { response } = up.request();
    up.answer(headers(1, [...OK, "content-length", "0"]), headers(1, ["grpc-status", "5"], true));
    expect(response).toMatchObject({ head: { bodyLength: -1 }, trailers: ["grpc-status", "5"], ended: true });
    const other = up.request().response;
    up.answer(headers(3, [...OK, "content-length", "0"]), data(3, "a", true));
    expect(other.reset).toEqual(["protocol-error", true]);
  });

  test("answers with END_STREAM and CONTINUATION", async () => {
    const up = await Http2Upstream.greeted();
    const { response } = up.request();
    const block = literals([...OK, "a", "b"]);
    up.answer(raw(HEADERS, 1, 1, block.subarray(0, 3)), raw(CONTINUATION, END_HEADERS, 1, block.subarray(3)));
    expect(response).toMatchObject({ head: { headers: ["a", "b"] }, ended: true });
  });

  test("takes settings and pings", async () => {
    const up = await Http2Upstream.greeted([3, 2]);
    expect(up.connection.capacity).toBe(2);
    up.answer(settings([2, 0], [3, 7]), raw(SETTINGS, ACK, 0), ping("12345678"));
    expect(await up.read()).toEqual(["SETTINGS ACK", "PING ACK 12345678"]);
    expect(up.connection.capacity).toBe(7);
    up.request();
    up.answer(settings([3, 0]));
    expect(up.connection.capacity).toBe(0);
  });
});

describe("Http2ClientConnection: an answer that breaks off is a reset and never an end", () => {
  const begun = [headers(1, OK), data(1, "part")];
  const breaks: readonly (readonly [string, (up: Http2Upstream) => void])[] = [
    ["RST_STREAM NO_ERROR", (up) => up.answer(rstStream(1, "NO_ERROR"))],
    ["RST_STREAM CANCEL", (up) => up.answer(rstStream(1, "CANCEL"))],
    ["RST_STREAM INTERNAL_ERROR", (up) => up.answer(rstStream(1, "INTERNAL_ERROR"))],
    ["FIN", (up) => up.connection.onEnd()],
    ["the end of the connection", (up) => up.connection.onClose()],
    ["GOAWAY and FIN", (up) => {
      up.answer(goAway(1));
      up.connection.onEnd();
    }],
    ["GOAWAY below it", (up) => up.answer(goAway(0))],
    ["silence", (up) => up.clock.advance(301_000)],
  ];

  test.each(breaks)("%s", async (_name, breakOff) => {
    const up = await Http2Upstream.greeted();
    const { response } = up.request();
    up.answer(...begun);
    breakOff(up);
    expect(response).toMatchObject({ body: "part", ended: false });
    expect(response.reset).not.toBeNull();
  });

  test.each(breaks)("%s, before the answer has begun", async (_name, breakOff) => {
    const up = await Http2Upstream.greeted();
    const { response } = up.request();
    breakOff(up);
    expect(response.ended).toBeFalse();
    expect(response.reset).not.toBeNull();
  });
});

describe("Http2ClientConnection: whether a request may have been acted on", () => {
  test("§8.7: REFUSED_STREAM says that it was not; any other code does not say so", async () => {
    const up = await Http2Upstream.greeted();
    const [refused, cancelled] = [up.request().response, up.request().response];
    up.answer(rstStream(1, "REFUSED_STREAM"), rstStream(3, "CANCEL"));
    expect(refused.reset).toEqual(["refused", false]);
    expect(cancelled.reset).toEqual(["closed", true]);
  });

  test("§6.8: streams above GOAWAY's last were not looked at; the others go on to their end", async () => {
    const up = await Http2Upstream.greeted();
    const [first, second, third] = [up.request().response, up.request().response, up.request().response];
    up.answer(goAway(3));
    expect(up.gone).toBe(1);
    expect(up.connection.capacity).toBe(0);
    expect([first.reset, second.reset]).toEqual([null, null]);
    expect(third.reset).toEqual(["refused", false]);
    up.answer(headers(1, OK, true), headers(3, OK));
    expect(up.wire.closed).toBeFalse();
    up.answer(data(3, "x", true));
    expect([first.ended, second.ended]).toEqual([true, true]);
    expect(up.wire.closed).toBeTrue();
  });

  test("§6.8: GOAWAY in two steps, as a graceful server sends it", async () => {
    const up = await Http2Upstream.greeted();
    const [first, second] = [up.request().response, up.request().response];
    up.answer(goAway(2 ** 31 - 1));
    expect([first.reset, second.reset]).toEqual([null, null]);
    up.answer(goAway(1));
    expect(second.reset).toEqual(["refused", false]);
    up.answer(headers(1, OK, true));
    expect(first.ended).toBeTrue();
    expect(up.wire.closed).toBeTrue();
  });

  test("GOAWAY, then SETTINGS with no streams: everybody is told once", async () => {
    const up = await Http2Upstream.greeted();
    const responses = [up.request().response, up.request().response];
    up.answer(goAway(0, "ENHANCE_YOUR_CALM"), settings([3, 0]), settings([4, 0]));
    for (const response of responses) expect(response.reset).toEqual(["refused", false]);
    expect(up.wire.closed).toBeTrue();
  });

  test("a connection that ends without a word says nothing of it", async () => {
    const up = await Http2Upstream.greeted();
    const { response } = up.request();
    up.connection.onClose();
    expect(response.reset).toEqual(["closed", true]);
  });
});

describe("Http2ClientConnection: an answer that comes before the request has ended", () => {
  test("ends the request too, and the rest of it goes nowhere", async () => {
    const up = await Http2Upstream.greeted();
    const { stream, response } = up.request({ method: "POST", bodyLength: -1 });
    stream.body(Buffer.from("ab"));
    await up.read();
    up.answer(headers(1, [":status", "413"]), data(1, "no", true), rstStream(1, "NO_ERROR"));
    expect(response).toMatchObject({ head: { status: 413 }, body: "no", ended: true, reset: null });
    expect(stream.body(Buffer.from("cd"))).toBeTrue();
    stream.end(["x", "y"]);
    expect(await up.read()).toEqual(["RST_STREAM 1 NO_ERROR"]);
    expect(up.connection.capacity).toBe(100);
  });

  test("§5.1: frames on their way to a stream that we reset are forgiven", async () => {
    const up = await Http2Upstream.greeted();
    const { stream } = up.request();
    stream.reset();
    expect((await up.read()).at(-1)).toBe("RST_STREAM 1 CANCEL");
    up.answer(
      headers(1, OK),
      data(1, "late"),
      headers(1, ["a", "b"], true),
      rstStream(1, "CANCEL"),
      windowUpdate(1, 1),
    );
    expect(await up.read()).toEqual([]);
    const next = new SeenResponse();
    up.request({}, next);
    up.answer(headers(3, OK, true));
    expect(next.ended).toBeTrue();
  });
});
