import { expect, test } from "bun:test";
import { originalDestination } from "../../../src/runtime/original_destination.ts";
import { connect, listenTcp } from "../../../src/runtime/socket.ts";
import { type Address, NOBODY } from "../../../src/runtime/wire.ts";

const HERE = "127.0.0.1";

// Captured ones need a packet filter: tests/integration/capture_test.ts.
test("originalDestination() knows of a connection that was only dialled that nobody captured it", async () => {
  const found = await new Promise<Address | null>((resolve) => {
    const listener = listenTcp({ hostname: HERE, port: 0 }, (wire) => {
      listener.stop();
      resolve(originalDestination(wire));
      return null;
    });
    connect({ hostname: HERE, port: listener.port }, null, { opened: () => NOBODY, failed: () => {} });
  });
  expect(found).toBeNull();
});
