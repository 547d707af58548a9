/** What a connection says first, as haproxy's document has it, and that it is said before TLS. */
import { describe, expect, test } from "bun:test";
import { type ProxiedEnds, proxyHeader } from "../../../../src/proxy/cluster/proxy_protocol.ts";
import { cluster, DataPlane, endpoint, listener, settings, snapshotOf, virtualHost } from "../data_plane.ts";

function ends(source: string, destination: string): ProxiedEnds {
  return { source: { hostname: source, port: 56_324 }, destination: { hostname: destination, port: 443 } };
}

const OWN = ends("192.0.2.1", "192.0.2.2");
const CLIENT = ends("198.51.100.7", "203.0.113.9");
const CLIENT_V6 = ends("2001:db8::7", "2001:db8::9");
const SIGNATURE = "0d0a0d0a000d0a515549540a";

describe("proxyHeader() of version 1", () => {
  test.each([
    ["the client's ends", CLIENT, "PROXY TCP4 198.51.100.7 203.0.113.9 56324 443\r\n"],
    ["IPv6", CLIENT_V6, "PROXY TCP6 2001:db8::7 2001:db8::9 56324 443\r\n"],
    [
      "IPv4 on a socket of IPv6",
      ends("::ffff:198.51.100.7", "203.0.113.9"),
      "PROXY TCP4 198.51.100.7 203.0.113.9 56324 443\r\n",
    ],
    ["ends of two kinds", ends("198.51.100.7", "2001:db8::9"), "PROXY UNKNOWN\r\n"],
    ["ends that are no addresses", ends("198.51.100.7", "api.test"), "PROXY UNKNOWN\r\n"],
    ["its own ends for many clients", null, "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n"],
  ])("tells %s", (_, of, text) => {
    expect(proxyHeader("V1", of, OWN).toString("latin1")).toBe(text);
  });
});

describe("proxyHeader() of version 2", () => {
  test.each([
    ["the client's ends", CLIENT, "2111000cc6336407cb007109dc0401bb"],
    [
      "IPv6",
      CLIENT_V6,
      "2121002420010db800000000000000000000000720010db8000000000000000000000009dc0401bb",
    ],
    ["nothing for many clients", null, "20000000"],
    ["nothing where the ends are no addresses", ends("198.51.100.7", "api.test"), "20000000"],
  ])("tells %s", (_, of, hex) => {
    expect(proxyHeader("V2", of, OWN).toString("hex")).toBe(SIGNATURE + hex);
  });
});

describe("a cluster with PROXY protocol", () => {
  const plane = (mesh = false) =>
    new DataPlane(snapshotOf(
      settings(),
      virtualHost(),
      listener({ protocol: "tcp" }),
      cluster({ proxyProtocol: "V1" }),
      { kind: "endpoints", name: cluster().name, endpoints: [endpoint(1, mesh)] },
    ));
  const first = ({ network: { last } }: DataPlane) => {
    const { prelude } = last.address as { prelude?: (wire: unknown) => Uint8Array };
    const own = { localAddress: "192.0.2.1", localPort: 4, remoteAddress: "192.0.2.9", remotePort: 5 };
    return prelude === undefined ? null : Buffer.from(prelude(own)).toString();
  };

  test("tells of each client's connection by itself, in one of its own", () => {
    const one = plane();
    for (let i = 0; i < 2; i++) one.arrives({ hostname: "10.96.0.1", port: 80 });
    expect(one.network.attempts).toHaveLength(2);
    expect(first(one)).toMatch(/^PROXY TCP4 192\.0\.2\.1 10\.96\.0\.1 \d+ 80\r\n$/);
  });

  test("tells the proxy's own ends where requests of many share a connection", () => {
    const one = plane();
    one.caller().get();
    expect(first(one)).toBe("PROXY TCP4 192.0.2.1 192.0.2.9 4 5\r\n");
  });

  test("says nothing over the mesh", () => {
    const one = plane(true);
    one.caller().get();
    expect(first(one)).toBeNull();
  });
});
