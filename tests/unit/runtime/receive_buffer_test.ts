import { expect, test } from "bun:test";
import { LOCAL_RECEIVE_BYTES } from "../../../src/runtime/receive_buffer.ts";
import { connect, type Wire } from "../../../src/runtime/socket.ts";

const SENT_BYTES = 8 * 1024 * 1024;

test("boundLocalReceiveBuffer() keeps what comes at once of a connection on this machine small, and loses nothing", async () => {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: () => new Response(Buffer.alloc(SENT_BYTES)),
  });
  let largest = 0;
  const received = new Promise<number>((resolve) => {
    let bytes = 0;
    connect({ hostname: "127.0.0.1", port: server.port as number }, null, {
      opened: (wire: Wire) => {
        wire.write(new TextEncoder().encode("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
        return {
          onData(chunk) {
            bytes += chunk.length;
            largest = Math.max(largest, chunk.length);
          },
          onDrain() {},
          onEnd: () => wire.end(),
          onClose: () => resolve(bytes),
        };
      },
      failed: () => resolve(0),
    });
  });
  expect(await received).toBeGreaterThan(SENT_BYTES);
  expect(largest).toBeLessThanOrEqual(2 * LOCAL_RECEIVE_BYTES);
  await server.stop(true);
});
