/** No guard against floods trips over traffic as honest peers make it, however long a connection lives: a false GOAWAY is an outage. */
import { describe, expect, test } from "bun:test";
import { PREMATURE_RESET_AGE_MS, STRAY_FRAMES_MAX } from "../../../../src/proxy/http2/limits.ts";
import { Http2Downstream } from "./downstream.ts";
import {
  data,
  get,
  headers,
  ping,
  post,
  PRIORITY,
  raw,
  type RawFrame,
  rstStream,
  settings,
  windowUpdate,
} from "./raw_frames.ts";
import { FrameLog } from "./raw_frames.ts";
import { Http2Upstream } from "./upstream.ts";

const OK = [":status", "200"];

describe("Http2ServerConnection serves without complaint", () => {
  test("100,000 small requests on one connection, 100 at a time", async () => {
    const down = await Http2Downstream.greeted();
    down.onAccept = (request) => request.answer("ok");
    let id = 1;
    for (let batch = 0; batch < 1_000; batch++) {
      const frames: Buffer[] = [];
      for (let i = 0; i < 100; i++, id += 2) frames.push(headers(id, get(), true));
      down.send(...frames);
      down.requests.length = 0;
      await down.read();
    }
    expect(down.closed).toBe(0);
    expect(id).toBe(200_001);
  }, 30_000);

  test("a client that pings with every request (as gRPC does to measure), for as long as it lives", async () => {
    const down = await Http2Downstream.greeted();
    down.onAccept = (request) => request.answer("ok");
    for (let n = 0; n < 5_000; n++) {
      expect(await down.exchange(ping(), headers(2 * n + 1, get(), true), ping())).toHaveLength(4);
    }
    expect(down.closed).toBe(0);
  });

  test("a download whose every frame is credited at once, for the stream and for the connection", async () => {
    for (const piece of [100, 16_384, 512 * 1024]) {
      const down = await Http2Downstream.greeted([4, 1_000_000]);
      down.send(windowUpdate(0, 1_000_000), headers(1, get(), true));
      const { last: { stream } } = down;
      stream.respond({ status: 200, headers: [], bodyLength: -1 });
      const acknowledge = acknowledger((frames) => down.send(...frames));
      for (let round = 0; round < 60; round++) {
        stream.body(Buffer.alloc(piece));
        await settled();
        acknowledge(down.wire.take());
      }
      expect([piece, down.closed, down.malformed]).toEqual([piece, 0, []]);
    }
  });

  test("a download credited in crumbs, as a reader with a small buffer does", async () => {
    const down = await Http2Downstream.greeted([4, 65_535]);
    down.send(headers(1, get(), true));
    const { last: { stream } } = down;
    stream.respond({ status: 200, headers: [], bodyLength: -1 });
    const acknowledge = acknowledger((frames) => down.send(...frames), 4_096);
    for (let round = 0; round < 500; round++) {
      stream.body(Buffer.alloc(16_384));
      await settled();
      acknowledge(down.wire.take());
    }
    expect([down.closed, down.malformed]).toEqual([0, []]);
  });

  test("uploads that are answered early, again and again, with what was still on its way", async () => {
    const down = await Http2Downstream.greeted();
    down.onAccept = (request) => request.answer("no");
    for (let n = 0; n < 2_000; n++) {
      const id = 2 * n + 1;
      const late = Array.from({ length: 16 }, () => data(id, "x".repeat(1_000)));
      await down.exchange(headers(id, post()), ...late, windowUpdate(id, 10), rstStream(id, "NO_ERROR"));
    }
    expect([down.closed, down.malformed]).toEqual([0, []]);
  });

  test("a burst of what was on its way to a hundred uploads that were answered early", async () => {
    const down = await Http2Downstream.greeted();
    const ids = Array.from({ length: 100 }, (_, n) => 2 * n + 1);
    down.send(...ids.map((id) => headers(id, post())));
    for (const request of down.requests) request.answer("no");
    await down.read();
    for (let i = 0; i < 50; i++) down.send(...ids.map((id) => data(id, "x".repeat(1_000))));
    expect([down.closed, down.malformed]).toEqual([0, []]);
  });

  test("cancels that cross with the end of the answer", async () => {
    const down = await Http2Downstream.greeted();
    down.onAccept = (request) => request.answer("ok");
    for (let n = 0; n < 2 * STRAY_FRAMES_MAX; n++) {
      await down.exchange(
        headers(2 * n + 1, get(), true),
        windowUpdate(2 * n + 1, 2),
        rstStream(2 * n + 1, "CANCEL"),
      );
    }
    expect([down.closed, down.malformed]).toEqual([0, []]);
  });

  test("watchers: streams that are cancelled after the answer has begun, and never end otherwise", async () => {
    const down = await Http2Downstream.greeted();
    down.onAccept = ({ stream }) => {
      stream.respond({ status: 200, headers: [], bodyLength: -1 });
      stream.body(Buffer.from("event"));
    };
    for (let n = 0; n < 2_000; n++) {
      await down.exchange(headers(2 * n + 1, get(), true));
      await down.exchange(rstStream(2 * n + 1, "CANCEL"));
    }
    expect([down.closed, down.malformed]).toEqual([0, []]);
  });

  test("tunnels that are broken off soon, as browsers do with a WebSocket", async () => {
    const down = await Http2Downstream.greeted();
    down.onAccept = ({ stream }) => stream.respond({ status: 200, headers: [], bodyLength: -1 });
    for (let n = 0; n < 1_000; n++) {
      await down.exchange(headers(2 * n + 1, [":method", "CONNECT", ":authority", "a:443"]));
      await down.exchange(rstStream(2 * n + 1, "CANCEL"));
    }
    expect([down.closed, down.malformed]).toEqual([0, []]);
  });

  test("callers that give up on a hung service after their deadline", async () => {
    const down = await Http2Downstream.greeted();
    for (let n = 0; n < 1_000; n++) {
      down.send(headers(2 * n + 1, get(), true));
      down.clock.advance(PREMATURE_RESET_AGE_MS + 100);
      await down.exchange(rstStream(2 * n + 1, "CANCEL"));
    }
    expect([down.closed, down.malformed]).toEqual([0, []]);
  });

  test("hedged requests, of which every other is cancelled at once", async () => {
    const down = await Http2Downstream.greeted();
    for (let n = 0; n < 4_000; n += 2) {
      const [one, other] = [2 * n + 1, 2 * n + 3];
      down.send(headers(one, get(), true), headers(other, get(), true));
      down.requests.at(-2)?.answer("ok");
      await down.exchange(rstStream(other, "CANCEL"));
    }
    expect([down.closed, down.malformed]).toEqual([0, []]);
  });

  test("a browser: idle streams for priorities, a window for every stream, unknown frames, settings now and then", async () => {
    const down = await Http2Downstream.greeted([4, 131_072]);
    down.onAccept = (request) => request.answer("ok");
    const priority = (id: number) => raw(PRIORITY, 0, id, "\0\0\0\0\x10");
    down.send(windowUpdate(0, 12_517_377), ...[3, 5, 7, 9, 11].map(priority));
    for (let n = 6; n < 5_000; n++) {
      const id = 2 * n + 1;
      await down.exchange(
        headers(id, get(), true),
        windowUpdate(id, 12_451_840),
        priority(id),
        raw(0x10, 0, 0, "u=1"),
        settings(),
      );
    }
    expect([down.closed, down.malformed]).toEqual([0, []]);
  });

  test("an upload in single octets", async () => {
    const down = await Http2Downstream.greeted();
    down.send(headers(1, post()));
    for (let round = 0; round < 100; round++) {
      await down.exchange(...Array.from({ length: 1_000 }, () => data(1, "x")));
    }
    expect(down.last.body).toHaveLength(100_000);
    expect([down.closed, down.malformed]).toEqual([0, []]);
  });
});

describe("Http2ClientConnection calls without complaint", () => {
  test("a server that credits every frame of our uploads at once", async () => {
    for (const piece of [100, 16_384, 512 * 1024]) {
      const up = await Http2Upstream.greeted([4, 1_000_000]);
      up.answer(windowUpdate(0, 1_000_000));
      const { stream, response } = up.request({ method: "POST", bodyLength: -1 });
      const acknowledge = acknowledger((frames) => up.answer(...frames));
      for (let round = 0; round < 60; round++) {
        stream.body(Buffer.alloc(piece));
        await settled();
        acknowledge(up.wire.take());
      }
      expect([piece, up.gone, response.reset]).toEqual([piece, 0, null]);
    }
  });

  test("a server whose answers are large and whose requests are small", async () => {
    const up = await Http2Upstream.greeted();
    const log = new FrameLog();
    for (let n = 0; n < 200; n++) {
      const id = 2 * n + 1;
      const { response } = up.request();
      // nginx and others open the connection's window further as streams come.
      up.answer(windowUpdate(0, 1_000), windowUpdate(id, 1_000), headers(id, OK));
      for (let i = 0; i < 20; i++) up.answer(data(id, Buffer.alloc(16_384), i === 19));
      await settled();
      log.tell(up.wire.take());
      expect(response.ended).toBeTrue();
    }
    expect(up.gone).toBe(0);
  });

  test("100,000 small requests on one connection", async () => {
    const up = await Http2Upstream.greeted();
    for (let n = 0; n < 100_000; n++) {
      const { response } = up.request();
      up.answer(headers(2 * n + 1, OK), data(2 * n + 1, "ok", true));
      if (n % 500 === 0) {
        expect(response.ended).toBeTrue();
        await settled();
        up.wire.take();
      }
    }
    expect(up.gone).toBe(0);
    expect(up.connection.capacity).toBe(100);
  }, 30_000);

  test("a server that refuses or resets uploads, again and again", async () => {
    const up = await Http2Upstream.greeted();
    for (let n = 0; n < 2_000; n++) {
      const { response } = up.request({ method: "POST", bodyLength: -1 });
      up.answer(rstStream(2 * n + 1, n % 2 === 0 ? "REFUSED_STREAM" : "CANCEL"));
      expect(response.reset).toEqual([n % 2 === 0 ? "refused" : "closed", n % 2 !== 0]);
      if (n % 100 === 0) await up.read();
    }
    expect(up.gone).toBe(0);
  });

  test("a server whose answers cross with our cancels", async () => {
    const up = await Http2Upstream.greeted();
    for (let n = 0; n < 2_000; n++) {
      const id = 2 * n + 1;
      up.request().stream.reset();
      up.answer(
        headers(id, OK),
        data(id, "x".repeat(1_000)),
        data(id, "", true),
        rstStream(id, "NO_ERROR"),
        windowUpdate(id, 1),
      );
      if (n % 100 === 0) await up.read();
    }
    expect(up.gone).toBe(0);
  });
});

/** Gives back every DATA frame for its stream and for the connection, in pieces of so many bytes. */
function acknowledger(send: (frames: Buffer[]) => void, piece = Infinity): (written: string) => void {
  const log = new FrameLog();
  return (written) => {
    const credits = log.cut(written).filter(({ type, payload }: RawFrame) => type === 0 && payload.length > 0)
      .flatMap(({ id, payload: { length } }) => {
        const frames: Buffer[] = [];
        for (let left = length; left > 0; left -= piece) {
          const bytes = Math.min(left, piece);
          frames.push(windowUpdate(id, bytes), windowUpdate(0, bytes));
        }
        return frames;
      });
    if (credits.length > 0) send(credits);
  };
}

async function settled(): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(resolve));
}
