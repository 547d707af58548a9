/** What arrives at a port of the sidecar's own: it goes to services that have the port, and nowhere else. */
import { describe, expect, test } from "bun:test";
import type { SidecarDoor } from "../../../../src/model/sidecar_door.ts";
import type { Resource } from "../../../../src/model/snapshot.ts";
import type { PortProtocol } from "../../../../src/model/port_protocol.ts";
import { cluster, DataPlane, endpoint, listener, settings, snapshotOf, virtualHost } from "../data_plane.ts";
import { CLIENT_HELLOS } from "./client_hellos.ts";

const OUTSIDE = "shop.test";

/** A sidecar with a door for the port 80, and a service with that port, if not others too. */
function plane(protocol: PortProtocol, ...more: Resource[]) {
  return planeAt({ side: "outbound", bind: "127.0.0.1", port: 80, protocol }, ...more);
}

/** The same at a socket. */
function atSocket(protocol: PortProtocol, host?: string, ...more: Resource[]) {
  const named = host === undefined ? {} : { host };
  return planeAt({ side: "outbound", bind: "unix:///run/a", port: 0, protocol, ...named }, ...more);
}

function planeAt(door: SidecarDoor, ...more: Resource[]) {
  const mesh = new DataPlane(snapshotOf(
    settings({ doors: [door] }),
    virtualHost({ domains: ["shop:80", "shop", listener().name, `${OUTSIDE}:80`] }),
    virtualHost({ name: "other:81", port: 81, domains: ["other:81", "other"] }),
    cluster(),
    listener(),
    { kind: "endpoints", name: cluster().name, endpoints: [endpoint(11)] },
    ...more,
  ));
  return { mesh, door };
}

/** Where a request for this authority went. */
function went(authority: string, ...more: Resource[]): string {
  const { mesh, door } = plane("http", ...more);
  mesh.arrivesAt(door).send(`GET / HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
  const { hostname, port } = mesh.network.last.address;
  return `${hostname}:${port}`;
}

const SECOND = listener({ name: "second:80", port: 80 });

describe("OutboundDoor", () => {
  test.each(["shop", "shop:80", "SHOP.", OUTSIDE, "localhost", "127.0.0.1:80", "127.0.0.1", "[::1]:080"])(
    "%s is the service that has the port",
    (authority) => expect(went(authority)).toBe("192.0.2.11:8080"),
  );

  test.each([
    ["nobody.test", "nobody.test:80"],
    ["other:81", "other:81"],
    ["192.0.2.99:8000", "192.0.2.99:8000"],
  ])("%s passes through to where it says", (authority, where) => expect(went(authority)).toBe(where));

  test("an address says nothing where several services have the port", () => {
    expect(went("192.0.2.99", SECOND)).toBe("192.0.2.99:80");
  });

  test("bytes go to the first service that has the port, TLS to the one that it names", () => {
    for (const [protocol, said] of [["tcp", ""], ["auto", CLIENT_HELLOS.bun]] as const) {
      const { mesh, door } = plane(protocol, SECOND);
      mesh.arrivesAt(door).send(said.toString("latin1"));
      expect(mesh.network.last.address).toMatchObject({
        hostname: "192.0.2.11",
        port: 8080,
        protocol: "tcp",
      });
    }
  });

  test("bytes for a service whose name is looked up go to that name, and never back to the port itself", () => {
    const named = { ...endpoint(1), address: "db.test" };
    for (const [resolution, went] of [["ON_DEMAND", ["db.test"]], ["AUTHORITY", []]] as const) {
      const { mesh, door } = plane(
        "tcp",
        cluster({ toOriginalDestination: true, resolution }),
        { kind: "endpoints", name: cluster().name, endpoints: [named] },
      );
      mesh.arrivesAt(door);
      expect(mesh.network.attempts.map(({ address }) => address.hostname)).toEqual([...went]);
    }
  });

  test("a port that is wanted no more takes nobody", () => {
    const { mesh, door } = plane("http");
    expect(mesh.arrivesAt({ ...door, port: 81 }).taken).toBe(false);
  });
});

describe("OutboundDoor at a socket", () => {
  test.each([["shop", "192.0.2.11:8080"], ["other:81", null], ["nobody.test:9", "nobody.test:9"]])(
    "a request for %s goes where it goes at the proxy's own port",
    (authority, went) => {
      const { mesh, door } = atSocket("http");
      mesh.arrivesAt(door).send(`GET / HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
      const attempts = mesh.network.attempts.map(({ address: { hostname, port } }) => `${hostname}:${port}`);
      expect(attempts).toEqual(went === null ? ["192.0.2.11:8080"] : [went]);
    },
  );

  test("bytes go to the only port of the host, and are closed where there is none, or several", () => {
    const second = listener({ name: `${OUTSIDE}:81`, port: 81 });
    for (
      const [host, more, count] of [
        [OUTSIDE, [], 1],
        [OUTSIDE, [second], 0],
        ["nobody.test", [], 0],
        [undefined, [], 0],
      ] as const
    ) {
      const { mesh, door } = atSocket("tcp", host, ...more);
      const client = mesh.arrivesAt(door);
      expect([mesh.network.attempts.length, client.wire.terminated]).toEqual([count, count === 0]);
    }
  });

  test("bytes ask another proxy for the service by its name", () => {
    const { mesh, door } = atSocket("tcp", OUTSIDE);
    mesh.exchanges.tap.open(10_000);
    const client = mesh.arrivesAt(door);
    mesh.network.last.accept();
    client.close();
    expect(mesh.exchanges.tap.take().calls).toMatchObject([{ method: "CONNECT", authority: "shop.test:80" }]);
  });

  test("TLS goes to the service that it names, and to the host that it asks for where none has the name", () => {
    const tls = listener({ protocol: "tls", serverNames: ["api.shop.example"] });
    for (const [more, went] of [[[tls], "192.0.2.11"], [[], "api.shop.example"]] as const) {
      const { mesh, door } = atSocket("tls", undefined, ...more);
      mesh.arrivesAt(door).send(CLIENT_HELLOS.bun.toString("latin1"));
      expect(mesh.network.last.address.hostname).toBe(went);
    }
  });
});
