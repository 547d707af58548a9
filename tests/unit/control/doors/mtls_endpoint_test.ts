/** Port 15012: what a certificate is good for while a connection stands. */
import { afterEach, describe, expect, test } from "bun:test";
import { connect as connectTcp } from "node:net";
import { connect, type TLSSocket } from "node:tls";
import type { Peer } from "../../../../src/control/doors/fetch_bridge.ts";
import {
  type EndpointCaps,
  endpointCaps,
  MtlsEndpoint,
} from "../../../../src/control/doors/mtls_endpoint.ts";
import { ManualClock } from "../../../../src/lib/clock.ts";
import { WHEEL_LATENESS_MS } from "../../../../src/lib/timer_wheel.ts";
import { controlPlaneId } from "../../../../src/model/spiffe_id.ts";
import { DRAIN_IDLE_MS } from "../../../../src/proxy/http1/limits.ts";
import { until } from "../../../integration/bowline.ts";
import { TestAuthority, type TlsLeaf } from "../../identity/odd_certificates.ts";

const LIFE_MS = 30_000;
const CART = "spiffe://mesh.test/ns/shop/sa/cart";
const authority = await TestAuthority.make();
const named = (value: string) => ({ names: [{ type: "url", value } as const] });
const own = await authority.issue(named(controlPlaneId("mesh.test")));

const opened: { close(): void }[] = [];

afterEach(() => {
  for (const each of opened.splice(0)) each.close();
});

/** An endpoint that answers with whom it takes the peer for, and whose clock only the test moves. */
function build(caps: EndpointCaps = endpointCaps(1_024)) {
  const clock = new ManualClock(Date.now());
  const endpoint = new MtlsEndpoint({
    ...{ address: { hostname: "127.0.0.1", port: 0 }, clock, trustDomain: "mesh.test" },
    tlsMaterial: () => ({ key: own.key, chain: own.chain, roots: authority.roots }),
    handler: (_request, { spiffeId, serial }: Peer) => Response.json({ spiffeId, isKnown: serial !== null }),
    openStream: () => null,
    caps,
    warn: () => {},
  });
  opened.push(endpoint);
  return { clock, endpoint };
}

async function open(port: number, leaf: TlsLeaf | null): Promise<TLSSocket> {
  const credentials = leaf === null ? {} : { key: leaf.key, cert: leaf.chain };
  const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false, ...credentials });
  opened.push({ close: () => socket.destroy() });
  socket.on("error", () => {});
  await new Promise((resolve) => socket.once("secureConnect", resolve));
  return socket;
}

/** Who the endpoint says the peer is, in a request over a connection that stands. */
async function askedBy(socket: TLSSocket): Promise<unknown> {
  const said = new Promise<string>((resolve) => {
    let text = "";
    const listen = (bytes: Buffer) => {
      text += bytes.toString("latin1");
      const [body] = /\{.*\}(?=\r\n0\r\n\r\n)/.exec(text) ?? [];
      if (body === undefined) return;
      socket.off("data", listen);
      resolve(body);
    };
    socket.on("data", listen);
  });
  socket.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
  return JSON.parse(await said);
}

const NOBODY = { spiffeId: null, isKnown: false };

describe("MtlsEndpoint", () => {
  test("MtlsEndpoint takes a peer for whom its certificate names, until that has expired", async () => {
    const { clock, endpoint } = build();
    const leaf = await authority.issue({ ...named(CART), notAfterMs: clock.now() + LIFE_MS });
    const [peer, stranger] = await Promise.all([open(endpoint.port, leaf), open(endpoint.port, null)]);
    expect(await askedBy(peer)).toEqual({ spiffeId: CART, isKnown: true });
    expect(await askedBy(stranger)).toEqual(NOBODY);
    // The connection stands, and the certificate proves nothing any more.
    clock.advance(LIFE_MS + 1);
    expect(await askedBy(peer)).toEqual(NOBODY);
    expect(await askedBy(stranger)).toEqual(NOBODY);
  });

  test("MtlsEndpoint bounds each group of peers by itself: the oldest without a proof gives way", async () => {
    const { endpoint } = build({ proven: 1, unproven: 2, handshakes: 2 });
    const leaf = await authority.issue(named(CART));
    const peer = await open(endpoint.port, leaf);
    expect(await askedBy(peer)).toEqual({ spiffeId: CART, isKnown: true });
    const strangers: TLSSocket[] = [];
    for (let i = 0; i < 3; i++) strangers.push(await open(endpoint.port, null));
    for (const stranger of strangers.slice(1)) expect(await askedBy(stranger)).toEqual(NOBODY);
    await until("the first is closed", () => strangers[0]?.closed === true);

    const silent = Array.from({ length: 5 }, () => connectTcp(endpoint.port, "127.0.0.1"));
    for (const one of silent) {
      one.on("error", () => {});
      opened.push({ close: () => one.destroy() });
    }
    await until("three are closed", () => silent.filter(({ closed }) => closed).length === 3);
    // A second one with a certificate is one too many, and nobody suffers from it.
    const second = await open(endpoint.port, leaf);
    await until("it is closed", () => second.closed);
    expect(await askedBy(peer)).toEqual({ spiffeId: CART, isKnown: true });
    for (const stranger of strangers.slice(1)) expect(await askedBy(stranger)).toEqual(NOBODY);
  });

  test("endpointCaps() are shares of the descriptors, up to what any mesh needs", () => {
    expect(endpointCaps(1_000)).toEqual({ proven: 600, unproven: 100, handshakes: 100 });
    expect(endpointCaps(1_048_576)).toEqual({ proven: 20_000, unproven: 2_000, handshakes: 4_096 });
  });

  test("MtlsEndpoint.cut() breaks off whom a certificate shuts out, and nobody who showed none", async () => {
    const { endpoint } = build();
    const leaves = await Promise.all([authority.issue(named(CART)), authority.issue(named(`${CART}2`))]);
    const sockets = await Promise.all([...leaves, null].map((leaf) => open(endpoint.port, leaf)));
    for (const socket of sockets) await askedBy(socket);
    const [bad, good, stranger] = sockets as [TLSSocket, TLSSocket, TLSSocket];
    const closed = new Promise((resolve) => bad.once("close", resolve));
    endpoint.cut(({ spiffeId }) => spiffeId === CART);
    await closed;
    expect(await askedBy(good)).toEqual({ spiffeId: `${CART}2`, isKnown: true });
    expect(await askedBy(stranger)).toEqual(NOBODY);
  });

  test("MtlsEndpoint.close() takes no connection any more, and ends those that wait", async () => {
    const { clock, endpoint } = build();
    const idle = await open(endpoint.port, null);
    await askedBy(idle);
    const ended = new Promise((resolve) => idle.once("end", resolve));
    endpoint.close();
    clock.advance(DRAIN_IDLE_MS + WHEEL_LATENESS_MS);
    await ended;
    const late = connectTcp(endpoint.port, "127.0.0.1");
    expect(await new Promise((resolve) => late.once("connect", resolve).once("error", resolve)))
      .toMatchObject({ code: "ECONNREFUSED" });
  });
});
