import { expect, test } from "bun:test";
import { dlopen } from "bun:ffi";
import { connect, listenTcp } from "../../../src/runtime/socket.ts";
import { descriptorOf, NOBODY, type Wire } from "../../../src/runtime/wire.ts";
import { setTcpKeepalive } from "../../../src/runtime/tcp_keepalive.ts";

const IPPROTO_TCP = 6;

test("setTcpKeepalive() sets what the kernel then says, in whole seconds", async () => {
  const { symbols } = dlopen("libc.so.6", {
    getsockopt: { args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" },
  });
  const read = (wire: Wire, level: number, option: number) => {
    const value = new Int32Array(1);
    const length = new Uint32Array([4]);
    expect(symbols.getsockopt(descriptorOf(wire), level, option, value, length)).toBe(0);
    return value[0];
  };
  const listener = listenTcp({ hostname: "127.0.0.1", port: 0 }, () => NOBODY);
  const { promise, resolve } = Promise.withResolvers<Wire>();
  connect({ hostname: "127.0.0.1", port: listener.port }, null, {
    opened: (wire) => {
      resolve(wire);
      return NOBODY;
    },
    failed: () => {},
  });
  const wire = await promise;
  const numbers = () => [read(wire, 1, 9), ...[4, 5, 6].map((option) => read(wire, IPPROTO_TCP, option))];
  const [, , interval, probes] = numbers();
  expect(setTcpKeepalive(wire, { timeMs: 1_500 })).toBe(true);
  expect(numbers()).toEqual([1, 2, interval, probes]);
  expect(setTcpKeepalive(wire, { timeMs: 40_000_000, intervalMs: 3_000, probes: 1_000 })).toBe(true);
  expect(numbers()).toEqual([1, 32_767, 3, 127]);
  wire.terminate();
  listener.stop();
});
