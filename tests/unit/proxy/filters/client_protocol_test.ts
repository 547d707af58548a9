/** `useClientProtocol`: an upstream is spoken to as the client spoke, whoever stands between. */
import { describe, expect, test } from "bun:test";
import type { Cluster } from "../../../../src/model/cluster.ts";
import type { InboundPort } from "../../../../src/model/snapshot.ts";
import { cluster, DataPlane, endpoint, settings, snapshotOf, virtualHost } from "../data_plane.ts";
import { CLIENT_PREFACE, get, headers, settings as settingsFrame } from "../http2/raw_frames.ts";
import { TestAuthority } from "../../identity/odd_certificates.ts";
import { SHOP_ID } from "../data_plane.ts";
import { OTHER_NAME } from "../fake_network.ts";
import { MeshUpstream } from "../mesh_upstream.ts";
import { settle } from "../fake_wire.ts";

const authority = await TestAuthority.make();
const shop = await authority.issue({ names: [{ type: "url", value: SHOP_ID }] });
const H2_GET = [CLIENT_PREFACE, settingsFrame(), headers(1, get(), true)];
const H1_GET = ["GET / HTTP/1.1\r\nHost: shop\r\n\r\n"];
const WORKLOAD = { hostname: "192.0.2.1", port: 8080 };

function outbound(more: Partial<Cluster>, mesh = false): DataPlane {
  return new DataPlane(snapshotOf(
    settings(),
    virtualHost({ domains: ["shop", "a"] }),
    cluster(more),
    { kind: "endpoints", name: cluster().name, endpoints: [endpoint(1, mesh)] },
  ));
}

/** What the upstream reads first: HTTP/2's preface, or a line of HTTP/1.1. */
async function firstBytes({ network }: DataPlane): Promise<string> {
  return (await network.last.accept().read()).slice(0, 14);
}

describe("a cluster that follows its clients", () => {
  test.each([
    ["HTTP/1.1", H1_GET, "GET / HTTP/1.1"],
    ["HTTP/2", H2_GET, "PRI * HTTP/2.0"],
  ])("a client that speaks %s", async (_, request, first) => {
    const plane = outbound({ followsClient: true, protocol: "http1" });
    plane.arrives(null).send(...request);
    expect(await firstBytes(plane)).toBe(first);
  });

  test("any other cluster is spoken to as it is configured", async () => {
    const plane = outbound({ protocol: "http1" });
    plane.arrives(null).send(...H2_GET);
    expect(await firstBytes(plane)).toBe("GET / HTTP/1.1");
  });

  test("both kinds of connections are kept with the snapshot, and counted as one endpoint", () => {
    const plane = outbound({ followsClient: true });
    plane.arrives(null).send(...H2_GET);
    plane.arrives(null).send(...H1_GET);
    const [one] = plane.compiled.clusters.get(cluster().name)?.endpoints ?? [];
    expect([one?.active, one?.host.active, plane.compiled.hosts.size]).toEqual([2, 1, 4]);
  });
});

describe("the next proxy", () => {
  test.each([
    ["HTTP/1.1", H1_GET, "caller;caller;v1"],
    ["HTTP/2", H2_GET, "caller;caller;v1;h2"],
  ])("hears that the client speaks %s", async (_, request, peer) => {
    const plane = outbound({}, true);
    plane.arrives(null).send(...request);
    const mesh = new MeshUpstream(plane.network.last.accept(), plane.wheel);
    plane.network.last.handshake(shop.der, OTHER_NAME);
    for (let i = 0; i < 3; i++) await settle();
    const { headers: fields } = mesh.last.head;
    expect(fields[fields.indexOf("x-bowline-peer") + 1]).toBe(peer);
  });

  const inbound: InboundPort = {
    port: 8080,
    service: { host: "shop.test", name: "shop", namespace: "shop" },
    followsClient: true,
  };
  const receiving = (more: Partial<InboundPort> = {}) =>
    new DataPlane(snapshotOf(settings({ inbound: [{ ...inbound, ...more }] })));

  test.each(
    [
      ["x-bowline-peer: a;a;v1", {}, "GET / HTTP/1.1"],
      ["x-bowline-peer: a;a;v1;h2", {}, "PRI * HTTP/2.0"],
      ["x: y", {}, "GET / HTTP/1.1"],
      ["x-bowline-peer: a;a;v1;h2", { followsClient: false }, "GET / HTTP/1.1"],
      ["x-bowline-peer: a;a;v1", { followsClient: false, protocol: "http2" }, "PRI * HTTP/2.0"],
    ] as const,
  )("speaks to its workload accordingly: %s %j", async (field, more, first) => {
    const plane = receiving(more);
    plane.peer().get("/", "x-bowline-port: 8080", field);
    expect(await firstBytes(plane)).toBe(first);
  });

  test.each([
    [8080, H1_GET, "GET / HTTP/1.1"],
    [8080, H2_GET, "PRI * HTTP/2.0"],
    [9999, H2_GET, "PRI * HTTP/2.0"],
  ])("does the same for calls from outside to port %d", async (port, request, first) => {
    const plane = receiving();
    plane.arrivesPlain({ ...WORKLOAD, port }).send(...request);
    expect(await firstBytes(plane)).toBe(first);
  });
});
