import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  allInherited,
  borrow,
  idleSocketsWarning,
  inheritedAt,
  type InheritedSocket,
  placeOf,
  useInheritedSockets,
} from "../../../src/runtime/inherited_sockets.ts";
import { holdPort } from "../../../src/runtime/socket.ts";

const COPY = 42;

const outbound = socket("127.0.0.1", 15001, "sidecar.socket");
const secure = socket("::1", 443, "gateway.socket");

function socket(hostname: string, port: number, name: string): InheritedSocket {
  return { address: { hostname, port }, name, duplicate: () => COPY };
}

describe("inherited sockets", () => {
  beforeEach(() => useInheritedSockets([outbound, secure]));
  afterEach(() => useInheritedSockets([]));

  test("are found by address and port, however that is written", () => {
    expect(inheritedAt({ hostname: "127.0.0.1", port: 15001 })).toBe(outbound);
    expect(inheritedAt({ hostname: "0:0:0:0:0:0:0:1", port: 443 })).toBe(secure);
    for (
      const [hostname, port] of [["127.0.0.1", 443], ["0.0.0.0", 15001], ["::1", 15001], [
        "unix:///x",
        0,
      ]] as const
    ) {
      expect(inheritedAt({ hostname, port })).toBeNull();
    }
  });

  test("are told of as long as nobody listens at them", () => {
    expect(idleSocketsWarning()).toStartWith(
      "Nobody serves 127.0.0.1:15001 (sidecar.socket), [::1]:443 (gateway.socket),",
    );
    const borrowed = borrow(outbound);
    expect(borrowed.descriptor).toBe(COPY);
    expect(idleSocketsWarning()).toStartWith("Nobody serves [::1]:443 (gateway.socket),");
    expect(idleSocketsWarning([443])).toBeNull();
    const other = borrow(secure);
    expect(idleSocketsWarning()).toBeNull();
    other.giveBack();
    expect(idleSocketsWarning()).toStartWith(`Nobody serves ${placeOf(secure)}`);
  });

  test("are held by whoever has them already", () => {
    const held = holdPort({ hostname: "127.0.0.1", port: 15001 });
    expect(held.port).toBe(15001);
    held.stop();
    expect(idleSocketsWarning()).toContain(placeOf(outbound));
  });

  test("go on to children by descriptor, from 3 on", () => {
    expect(allInherited()).toEqual({ descriptors: [3, 4], names: ["sidecar.socket", "gateway.socket"] });
    useInheritedSockets([]);
    expect(allInherited().descriptors).toEqual([]);
    expect(idleSocketsWarning()).toBeNull();
  });
});
