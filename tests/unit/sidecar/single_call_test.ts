/** One request over a connection of its own, to servers that end it in each way. */
import { expect, test } from "bun:test";
import { ManualClock } from "../../../src/lib/clock.ts";
import { TimerWheel } from "../../../src/lib/timer_wheel.ts";
import { singleCall } from "../../../src/sidecar/single_call.ts";

const HERE = "127.0.0.1";
const BYTES_MAX = 8;
const TIMEOUT_MS = 1_000;
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

interface Story {
  readonly body?: Uint8Array;
  readonly until?: "head" | "end";
  /** Called once the server has answered. */
  onAsked?(clock: ManualClock, end: () => void): void;
}

/** What came of a request to a server that says this, what it was asked, and whether the connection was closed. */
async function called(answer: string, { body, until = "end", onAsked }: Story = {}) {
  const clock = new ManualClock();
  let asked = "";
  const closed = Promise.withResolvers<void>();
  const server = Bun.listen({
    ...{ hostname: HERE, port: 0 },
    socket: {
      data(socket, chunk) {
        asked += chunk.toString("latin1");
        if (!asked.includes("\r\n\r\n")) return;
        socket.write(answer);
        socket.flush();
        onAsked?.(clock, () => socket.end());
      },
      close: () => closed.resolve(),
    },
  });
  try {
    const outcome = await singleCall({
      ...{ address: { hostname: HERE, port: server.port }, tls: false, protocol: "http1", until },
      head: {
        ...{ method: "POST", scheme: "http", authority: "here", path: "/", headers: [] },
        bodyLength: body?.length ?? 0,
      },
      ...{ bytesMax: BYTES_MAX, timeoutMs: TIMEOUT_MS, clock, wheel: new TimerWheel(new ManualClock()) },
      ...body === undefined ? {} : { body },
    }).then(
      ({ status, body }) => `${status} ${new TextDecoder().decode(body)}`,
      (error: Error) => error.message,
    );
    const { pending } = clock;
    // Of the caller's own accord: the server does not end it, unless the story says so.
    await closed.promise;
    return { outcome, asked, pending };
  } finally {
    server.stop(true);
  }
}

test("singleCall() has the answer, closes the connection, and waits for nothing more", async () => {
  expect(await called(OK)).toMatchObject({ outcome: "200 ok", pending: 0 });
});

test("singleCall() sends its body", async () => {
  const { asked, outcome } = await called(OK, { body: new TextEncoder().encode("body") });
  expect(asked).toEndWith("content-length: 4\r\n\r\nbody");
  expect(outcome).toBe("200 ok");
});

test("singleCall() needs no more than the head where that is the answer", async () => {
  const unfinished = "HTTP/1.1 204 No Content\r\n\r\n";
  expect(await called(unfinished, { until: "head" })).toMatchObject({ outcome: "204 ", pending: 0 });
});

test.each<[string, string, Story]>([
  [
    "is longer than it may be",
    `its answer is longer than ${BYTES_MAX} bytes`,
    {},
  ],
  ["does not come in time", "it did not answer in time", { onAsked: (clock) => clock.advance(TIMEOUT_MS) }],
  ["breaks off", "it broke off the answer", { onAsked: (_clock, end) => end() }],
])("singleCall() closes the connection and rejects where the answer %s", async (_how, reason, story) => {
  const length = reason.includes("longer") ? BYTES_MAX + 1 : 3;
  const answer = `HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n${"x".repeat(length)}`;
  expect(await called(answer, story)).toMatchObject({ outcome: reason, pending: 0 });
});
