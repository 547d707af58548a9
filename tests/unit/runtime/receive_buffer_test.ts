import { describe, expect, test } from "bun:test";
import {
  boundReceiveBuffer,
  RECEIVE_BYTES,
  UNBOUND_CONNECTIONS_MAX,
  UnboundConnections,
} from "../../../src/runtime/receive_buffer.ts";
import { connect } from "../../../src/runtime/socket.ts";
import type { Wire } from "../../../src/runtime/wire.ts";

const SENT_BYTES = 8 * 1024 * 1024;

test("boundReceiveBuffer() keeps what comes at once of a connection small, and loses nothing", async () => {
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
        boundReceiveBuffer(wire);
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
  expect(largest).toBeLessThanOrEqual(2 * RECEIVE_BYTES);
  await server.stop(true);
});

describe("UnboundConnections", () => {
  const OPEN = 1;
  const wire = (remoteAddress: string, localAddress = "192.0.2.1") =>
    ({ remoteAddress, localAddress, readyState: OPEN }) as unknown as Wire & { readyState: number };

  test("UnboundConnections admits none that stays on this machine", () => {
    const unbound = new UnboundConnections();
    expect([wire("127.0.0.1"), wire("127.9.9.9"), wire("192.0.2.1")].map((one) => unbound.admits(one)))
      .toEqual([false, false, false]);
    expect(unbound.admits(wire("192.0.2.2"))).toBe(true);
  });

  test("UnboundConnections admits so many at a time: one that has closed makes room", () => {
    const unbound = new UnboundConnections();
    const wires = Array.from({ length: UNBOUND_CONNECTIONS_MAX + 1 }, () => wire("192.0.2.2"));
    expect(wires.filter((one) => unbound.admits(one))).toHaveLength(UNBOUND_CONNECTIONS_MAX);
    (wires[3] as { readyState: number }).readyState = -1;
    expect([wire("192.0.2.3"), wire("192.0.2.4")].map((one) => unbound.admits(one))).toEqual([true, false]);
  });
});
