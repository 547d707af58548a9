import { expect, test } from "bun:test";
import { connect, listenTcp } from "../../../src/runtime/socket.ts";
import { readSocketOption } from "../../../src/runtime/socket_options.ts";
import { setTcpUserTimeout } from "../../../src/runtime/tcp_user_timeout.ts";
import { descriptorOf, NOBODY, type Wire } from "../../../src/runtime/wire.ts";

const IPPROTO_TCP = 6;
const TCP_USER_TIMEOUT = 18;

test("setTcpUserTimeout() sets what the kernel then says", async () => {
  const listener = listenTcp({ hostname: "127.0.0.1", port: 0 }, () => NOBODY);
  const { promise, resolve, reject } = Promise.withResolvers<Wire>();
  connect({ hostname: "127.0.0.1", port: listener.port }, null, {
    opened: (wire) => {
      resolve(wire);
      return NOBODY;
    },
    failed: reject,
  });
  const wire = await promise;
  expect(setTcpUserTimeout(wire, 5_000)).toBe(true);
  const value = new Uint8Array(4);
  expect(readSocketOption(descriptorOf(wire), IPPROTO_TCP, TCP_USER_TIMEOUT, value)).toBe(true);
  expect(new Uint32Array(value.buffer)[0]).toBe(5_000);
  wire.terminate();
  listener.stop();
});
