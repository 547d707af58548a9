/** The stream of lines: what comes over it, and how each of its ends is told. */
import { describe, expect, test } from "bun:test";
import { ManualClock } from "../../../src/lib/clock.ts";
import { TimerWheel } from "../../../src/lib/timer_wheel.ts";
import { DISCOVERY_LINE_BYTES_MAX } from "../../../src/model/discovery.ts";
import { Host } from "../../../src/proxy/cluster/host.ts";
import { BODY_LENGTH_UNKNOWN } from "../../../src/proxy/exchange.ts";
import { REFUSAL_BYTES_MAX, StreamCall } from "../../../src/sidecar/line_stream.ts";
import { FakeNetwork } from "../proxy/fake_network.ts";
import { requestHead } from "../proxy/request_head.ts";

const OPENED = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;
const LAST_CHUNK = "0\r\n\r\n";

/** A stream, and whatever it tells, in order. */
function build() {
  const clock = new ManualClock();
  const network = new FakeNetwork();
  const host = new Host({ hostname: "192.0.2.7", port: 15012, spiffeId: null, protocol: "http1" }, {
    ...{ clock, wheel: new TimerWheel(clock), trustDomain: "mesh.test", connect: network.connect },
    ...{ tlsMaterial: () => null, warn: () => {} },
  });
  const told: (string | undefined)[][] = [];
  const stream = new StreamCall(host, {
    onOpen: () => told.push(["open"]),
    onLine: (line) => told.push(["line", line]),
    onEnd: (reason, code) => told.push(["end", reason, code]),
  });
  stream.start(requestHead({ method: "POST", path: "/v1/discovery", bodyLength: BODY_LENGTH_UNKNOWN }));
  return { network, told, stream };
}

/** One that the control plane has taken. */
function opened() {
  const built = build();
  const connection = built.network.last.accept();
  connection.say(OPENED);
  built.told.length = 0;
  return { ...built, connection };
}

describe("StreamCall", () => {
  test("says that it is open when it may send, and sends a line for each message", async () => {
    const { network, told, stream } = build();
    expect(told).toEqual([]);
    const connection = network.last.accept();
    expect(told).toEqual([["open"]]);
    expect(await connection.read()).toContain("transfer-encoding: chunked\r\n");
    stream.send({ type: "hello", to: "you" });
    expect(await connection.read()).toBe(chunk('{"type":"hello","to":"you"}\n'));
  });

  test("tells each line once it is whole, and the end of the stream", () => {
    const { told, connection } = opened();
    connection.say(chunk("one\ntw"), chunk("o\n"));
    expect(told.splice(0)).toEqual([["line", "one"], ["line", "two"]]);
    connection.say(LAST_CHUNK);
    expect(told).toEqual([["end", "it ended the stream", undefined]]);
    connection.close();
    expect(told).toHaveLength(1);
  });

  test("ends, and closes, at a line that is too long", () => {
    const { told, connection } = opened();
    const piece = chunk("x".repeat(DISCOVERY_LINE_BYTES_MAX / 64));
    for (let i = 0; i < 64; i++) connection.say(piece);
    expect(told).toEqual([]);
    connection.say(chunk("x"));
    const reason = `A line is longer than ${DISCOVERY_LINE_BYTES_MAX} bytes`;
    expect([told, connection.wire.terminated]).toEqual([[["end", reason, undefined]], true]);
  });

  test.each([
    ['{"error":{"code":"certificate_revoked","message":"No"}}', "it answered 403: No", "certificate_revoked"],
    ["<html>", "it answered 403: no reason given", "refused"],
    ["", "it answered 403: no reason given", "refused"],
    ["x".repeat(REFUSAL_BYTES_MAX + 1), "it answered 403", undefined],
  ])("tells why it was opened none, as far as that was said: %#", (body, reason, code) => {
    const { network, told } = build();
    network.last.accept().say(`HTTP/1.1 403 Forbidden\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
    expect(told).toEqual([["open"], ["end", reason, code]]);
  });

  test("tells why it broke, or never came to be", () => {
    const broken = opened();
    broken.connection.close("reset");
    expect(broken.told).toEqual([["end", "it closed the connection", undefined]]);
    const refused = build();
    refused.network.last.refuse();
    expect(refused.told).toEqual([["end", "nobody accepts connections there", undefined]]);
  });
});

describe("StreamCall.close()", () => {
  test("breaks the stream off, and nothing more is told", () => {
    const { told, stream, connection } = opened();
    stream.close();
    expect(connection.wire.terminated).toBe(true);
    connection.close("reset");
    stream.close();
    expect(told).toEqual([]);
  });

  test("before there is a connection leaves nobody waiting for it", async () => {
    const { network, told, stream } = build();
    stream.close();
    const connection = network.last.accept();
    expect([told, await connection.read()]).toEqual([[], ""]);
  });

  test("in the middle of some lines tells none of the others", () => {
    const { stream, told, connection } = opened();
    told.push = (...rows) => {
      stream.close();
      return Array.prototype.push.apply(told, rows);
    };
    connection.say(chunk("one\ntwo\n"));
    expect([...told]).toEqual([["line", "one"]]);
  });
});
