/** Peers that only want to keep us busy (CVE-2019-9511 and its kin, CVE-2023-44487, CVE-2024-27316, CVE-2025-8671): each guard at its limit and one above. */
import { WHEEL_LATENESS_MS } from "../../../../src/lib/timer_wheel.ts";
import { DEFAULT_LIMITS } from "../../../../src/model/limits.ts";
import { describe, expect, test } from "bun:test";
import {
  ABANDONED_MS,
  CONTROL_FRAMES_WAITING_MAX,
  PREMATURE_RESETS_MAX,
  UNREAD_TIMEOUT_MS,
  UNSENT_BYTES_MAX,
} from "../../../../src/proxy/http2/limits.ts";
import { Http2Downstream } from "./downstream.ts";
import {
  CLIENT_PREFACE,
  data,
  END_HEADERS,
  get,
  HEADERS,
  headers,
  ping,
  raw,
  settings,
  windowUpdate,
} from "./raw_frames.ts";
import { Http2Upstream } from "./upstream.ts";
import { FLOODS, MANY_FIELDS, REQUEST } from "./floods.ts";

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
    for (let n = 0; down.closed === 0 && !down.wire.paused; n++) {
      const frames = Buffer.concat(round(n));
      sent += frames.length;
      down.send(frames);
      if (n % 100 === 0) await down.read();
      // The smallest answer: a HEADERS frame with two octets.
      expect(n).toBeLessThan(UNSENT_BYTES_MAX / 11 + CONTROL_FRAMES_WAITING_MAX);
    }
    down.clock.advance(UNREAD_TIMEOUT_MS + WHEEL_LATENESS_MS);
    expect(down.wire.closed).toBeTrue();
    expect(down.malformed.at(-1)).toStartWith("400 http2.");
    expect(sent).toBeGreaterThan(10_000);
  }, 30_000);

  const LARGE = 40_000;
  /** Its answers are more than may wait. */
  const many = Array.from({ length: 90 }, (_, n) => headers(2 * n + 1, get(), true));

  async function slow(): Promise<Http2Downstream> {
    const down = await Http2Downstream.greeted();
    down.onAccept = (request) => {
      request.stream.respond({ status: 200, headers: ["x", "y".repeat(LARGE)], bodyLength: 0 });
    };
    down.wire.room = 0;
    down.send(...many);
    await down.read();
    return down;
  }

  test("a client that is only slow is not read until it has read, and misses nothing", async () => {
    const down = await slow();
    expect([down.wire.paused, down.requests.length < many.length, down.closed]).toEqual([true, true, 0]);
    let answers = 0;
    for (let seconds = 0; down.wire.paused; seconds += 9) {
      down.clock.advance(9_000);
      down.drain(100_000);
      answers += (await down.read()).filter((line) => line.startsWith("HEADERS")).length;
      expect(seconds).toBeLessThan(600);
    }
    down.drain();
    answers += (await down.read()).filter((line) => line.startsWith("HEADERS")).length;
    expect([answers, down.requests.length, down.closed]).toEqual([many.length, many.length, 0]);
    down.clock.advance(60_000);
    expect(down.closed).toBe(0);
  });

  test("a client that is not read is heard again when its connection ends", async () => {
    const down = await slow();
    down.connection.cut();
    expect([down.wire.paused, down.wire.ended, down.closed]).toEqual([false, true, 1]);
  });

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
    // It speaks all the same, of which there is nothing to say.
    up.answer(ping(), windowUpdate(0, 1_000));
    expect(up.gone).toBe(0);
    up.capacity = 0;
    up.drain();
    up.clock.advance(ABANDONED_MS + WHEEL_LATENESS_MS);
    await up.read();
    expect(up.connection.capacity).toBe(1_000_000);
    expect(up.capacity).toBeGreaterThan(0);
    expect(up.gone).toBe(0);
  });
});
