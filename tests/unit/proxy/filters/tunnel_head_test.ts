/** Bytes through an HTTP proxy: it is asked for where they go, and nothing is said before it agrees. */
import { describe, expect, test } from "bun:test";
import type { Cluster } from "../../../../src/model/cluster.ts";
import { cluster, DataPlane, endpoint, listener, settings, snapshotOf, virtualHost } from "../data_plane.ts";

const AUTHORITY = "far.test:5432";

function plane(method: NonNullable<Cluster["tunnel"]>["method"] = "CONNECT"): DataPlane {
  return new DataPlane(snapshotOf(
    settings(),
    virtualHost(),
    listener({ protocol: "tcp" }),
    cluster({ tunnel: { method, authority: AUTHORITY } }),
    { kind: "endpoints", name: cluster().name, endpoints: [endpoint(1)] },
  ));
}

const SERVICE_ADDRESS = { hostname: "10.96.0.1", port: 80 };

describe("a cluster that tunnels", () => {
  test("asks by CONNECT, and passes bytes once it is granted", async () => {
    const one = plane();
    const client = one.arrives(SERVICE_ADDRESS);
    client.send("hello");
    const proxy = one.network.last.accept();
    expect(proxy.address).toMatchObject({ hostname: "192.0.2.1", port: 8080 });
    expect(await proxy.read()).toBe(`CONNECT ${AUTHORITY} HTTP/1.1\r\nhost: ${AUTHORITY}\r\n\r\n`);
    proxy.say("HTTP/1.1 200 Connection established\r\n\r\nwelcome");
    expect(await client.read()).toBe("welcome");
    expect(await proxy.read()).toBe("hello");
    expect(one.counted()).toEqual(["tcp - shop-1 +1 -0 5/7"]);
  });

  test("asks by POST, with the bytes as bodies", async () => {
    const one = plane("POST");
    const client = one.arrives(SERVICE_ADDRESS);
    client.send("hello");
    const proxy = one.network.last.accept();
    expect(await proxy.read()).toBe(
      `POST / HTTP/1.1\r\nhost: ${AUTHORITY}\r\ntransfer-encoding: chunked\r\n\r\n`,
    );
    proxy.say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n7\r\nwelcome\r\n");
    expect(await client.read()).toBe("welcome");
    expect(await proxy.read()).toBe("5\r\nhello\r\n");
    client.end();
    expect(await proxy.read()).toBe("0\r\n\r\n");
  });

  test.each(["CONNECT", "POST"] as const)(
    "closes the client's connection when %s is refused",
    async (method) => {
      const one = plane(method);
      const client = one.arrives(SERVICE_ADDRESS);
      one.network.last.accept().say("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n");
      await client.read();
      expect(client.wire.closed).toBe(true);
    },
  );

  test("sends requests as they are", async () => {
    const one = plane();
    one.caller().get("/x");
    expect(await one.network.last.accept().read()).toStartWith("GET /x HTTP/1.1\r\n");
  });
});
