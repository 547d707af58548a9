/** The pool of one host: who gets which connection, and what becomes of those who wait. */
import { DEFAULT_LIMITS } from "../../../../src/model/limits.ts";
import { describe, expect, test } from "bun:test";
import { certificateInfo } from "../../../../src/identity/certificate_info.ts";
import { ManualClock } from "../../../../src/lib/clock.ts";
import { TimerWheel, WHEEL_LATENESS_MS } from "../../../../src/lib/timer_wheel.ts";
import {
  Host,
  type HostContext,
  IDLE_CONNECTIONS_MAX,
  PENDING_REQUESTS_MAX,
  type PendingRequest,
} from "../../../../src/proxy/cluster/host.ts";
import { HostTable, PASSTHROUGH_HOSTS_MAX } from "../../../../src/proxy/cluster/host_table.ts";
import { PeerCertificates } from "../../../../src/proxy/peer_certificates.ts";
import type { ClientStream, RequestHead } from "../../../../src/proxy/exchange.ts";
import { DOUBT_MS } from "../../../../src/proxy/http2/keepalive.ts";
import { Setting } from "../../../../src/proxy/http2/frames.ts";
import { TestAuthority } from "../../identity/odd_certificates.ts";
import { FakeNetwork, OTHER_NAME } from "../fake_network.ts";
import { OK, SeenResponse } from "../http1/upstream.ts";
import { ACK, headers, ping, settings } from "../http2/raw_frames.ts";
import { requestHead } from "../request_head.ts";

const ID = "spiffe://mesh.test/ns/shop/sa/cart";
const MATERIAL = { chain: "chain", key: "key", roots: "roots" };
const authority = await TestAuthority.make();
const good = await authority.issue({ names: [{ type: "url", value: ID }] });
const other = await authority.issue({ names: [{ type: "url", value: `${ID}2` }] });

class Waiting extends SeenResponse implements PendingRequest {
  stream: ClientStream | null = null;

  onConnection(open: (head: RequestHead, ended: boolean) => ClientStream): void {
    this.stream = open(HEAD, true);
  }
}

const PLAIN = { hostname: "a", port: 1, spiffeId: null, protocol: "http1" } as const;
const HEAD = requestHead();
const CONNECT_TIMEOUT_MS = 1_000;

function hostOf(
  spiffeId: string | null = null,
  more: Partial<HostContext> = {},
  protocol: "http1" | "http2" = "http1",
) {
  // Certificates are of today, and so is the clock.
  const clock = new ManualClock(Date.now());
  const network = new FakeNetwork();
  const warnings: string[] = [];
  const context: HostContext = {
    clock,
    wheel: new TimerWheel(clock),
    trustDomain: "mesh.test",
    connect: network.connect,
    tlsMaterial: () => MATERIAL,
    warn: (message) => warnings.push(message),
    ...more,
  };
  const host = new Host({ hostname: "192.0.2.7", port: 80, spiffeId, protocol }, context);
  const request = (waiting = new Waiting(), connectTimeoutMs = CONNECT_TIMEOUT_MS) => {
    const stream = host.request(waiting, HEAD, true, connectTimeoutMs);
    if (stream === "overflow") throw new Error("overflow");
    waiting.stream = stream;
    return waiting;
  };
  return { host, clock, network, warnings, request, context };
}

describe("Host", () => {
  test("Host connects for each request that finds no idle connection, and reuses them afterwards", () => {
    const { network, request, host } = hostOf();
    const [a, b] = [request(), request()];
    expect(network.attempts).toHaveLength(2);
    expect([a.stream, b.stream]).toEqual([null, null]);
    for (const connection of network.attempts) connection.accept();
    for (const connection of network.attempts) connection.say(OK);
    expect([a.ended, b.ended]).toEqual([true, true]);
    const c = request();
    expect(c.stream).not.toBeNull();
    expect(network.attempts).toHaveLength(2);
    expect(host.isIdle).toBe(true);
  });

  test("Host.request() gives a wary request a connection without a past, whatever falls free meanwhile", () => {
    const { host, network, request } = hostOf();
    const [a, b] = [request(), request()];
    for (const connection of network.attempts) connection.accept();
    network.attempts[0]?.say(OK);
    expect(a.ended).toBe(true);
    const wary = new Waiting();
    expect(host.request(wary, HEAD, true, 1_000, true)).toBeNull();
    expect(network.attempts).toHaveLength(3);
    network.attempts[1]?.say(OK);
    expect(b.ended).toBe(true);
    expect(wary.stream).toBeNull();
    network.attempts[2]?.accept();
    expect(wary.stream).not.toBeNull();
    network.attempts[2]?.say(OK);
    expect(wary.ended).toBe(true);
  });

  test("Host fails as many requests as connections fail, the oldest first", () => {
    const { network, request } = hostOf();
    const all = [request(), request(), request()];
    network.attempts[2]?.refuse();
    expect(all.map((one) => one.reset)).toEqual([["connect-failure", false], null, null]);
    network.attempts[0]?.accept();
    network.attempts[1]?.refuse();
    expect(all[2]?.reset).toEqual(["connect-failure", false]);
    network.attempts[0]?.say(OK);
    expect(all[1]?.ended).toBe(true);
  });

  test("Host gives up on a connection that does not stand in time, and closes it when it comes late", () => {
    const { network, request, clock, host } = hostOf();
    const one = request();
    clock.advance(999);
    expect(one.reset).toBeNull();
    clock.advance(1);
    expect(one.reset).toEqual(["connect-timeout", false]);
    network.last.accept();
    expect(network.last.wire.terminated).toBe(true);
    network.last.close();
    expect(host.isIdle).toBe(true);
  });

  test("Host.withdraw() leaves the connection to the next request", () => {
    const { network, request, host } = hostOf();
    const gone = request();
    host.withdraw(gone);
    const next = request();
    expect(network.attempts).toHaveLength(1);
    network.last.accept().say(OK);
    expect(next.ended).toBe(true);
    expect(gone).toMatchObject({ head: null, reset: null });
    host.withdraw(gone);
  });

  test("Host.withdraw() keeps a connection that nobody wants any more for later", () => {
    const { network, request, host } = hostOf();
    host.withdraw(request());
    network.last.accept();
    expect(request().stream).not.toBeNull();
    expect(network.attempts).toHaveLength(1);
  });

  test("a connection that closes in silence under its first request saw it, unless it had stood idle before", () => {
    const { host, network, request } = hostOf();
    const first = request();
    network.last.accept().close();
    expect(first.reset).toEqual(["closed", true]);
    // Made for somebody who did not wait.
    host.withdraw(request());
    network.last.accept();
    const late = request();
    network.last.close();
    expect(late.reset).toEqual(["closed", false]);
    expect(network.attempts).toHaveLength(2);
  });

  test("Host gives a connection that falls idle to a request that waits", () => {
    const { network, request } = hostOf();
    const first = request();
    network.last.accept();
    const second = request();
    expect(network.attempts).toHaveLength(2);
    network.attempts[0]?.say(OK);
    expect(first.ended).toBe(true);
    network.attempts[0]?.say(OK);
    expect(second.ended).toBe(true);
    network.attempts[1]?.refuse();
    expect(second.reset).toBeNull();
  });

  test("Host never gives out a connection that was closed", () => {
    const { network, request } = hostOf();
    request();
    network.last.accept().say(OK);
    network.last.close();
    expect(request().stream).toBeNull();
    expect(network.attempts).toHaveLength(2);
  });

  test("Host.retire() closes idle connections now and the others as they fall idle", () => {
    const { network, request, host } = hostOf();
    request();
    const [idle, busy] = [network.last.accept(), (request(), network.last.accept())];
    idle.say(OK);
    host.retire();
    expect(idle.wire.ended).toBe(true);
    expect(busy.wire.closed).toBe(false);
    busy.say(OK);
    expect(busy.wire.ended).toBe(true);
  });

  test("Host lets so many requests wait and refuses one more", () => {
    const { host, request } = hostOf();
    for (let i = 0; i < PENDING_REQUESTS_MAX; i++) request();
    expect(host.request(new Waiting(), HEAD, true, 1_000)).toBe("overflow");
  });

  test("Host keeps so many idle connections and closes one more", () => {
    const { network, request } = hostOf();
    for (let i = 0; i <= IDLE_CONNECTIONS_MAX; i++) request();
    for (const connection of network.attempts) connection.accept();
    for (const connection of network.attempts) connection.say(OK);
    expect(network.attempts.filter(({ wire }) => wire.closed)).toHaveLength(1);
  });
});

describe("Host over mTLS", () => {
  test("Host sends nothing before the peer proved the identity", async () => {
    const { network, request } = hostOf(ID);
    const one = request();
    network.last.accept();
    expect(network.last.tls).toEqual({ ...MATERIAL, alpn: ["http/1.1"] });
    expect(await network.last.read()).toBe("");
    network.last.handshake(good.der, OTHER_NAME);
    expect(await network.last.read()).toStartWith("GET / HTTP/1.1\r\n");
    network.last.say(OK);
    expect(one.ended).toBe(true);
  });

  test.each([
    ["another identity", other.der, OTHER_NAME],
    ["no certificate", null, null],
    [
      "a chain that does not hold",
      good.der,
      Object.assign(new Error("x"), { code: "SELF_SIGNED_CERT_IN_CHAIN" }),
    ],
  ])("Host refuses a peer with %s", async (_what, der, error) => {
    const { network, request, warnings } = hostOf(ID);
    const one = request();
    network.last.accept().handshake(der, error);
    expect(one.reset).toEqual(["peer-refused", false]);
    expect(network.last.wire.terminated).toBe(true);
    expect(warnings).toHaveLength(1);
    expect(await network.last.read()).toBe("");
  });

  test("Host loses the connections of a certificate that is revoked, and takes it no more", () => {
    const peers = new PeerCertificates();
    const { network, request } = hostOf(ID, { peers });
    const { serial } = certificateInfo(good.chain);
    const one = request();
    network.last.accept().handshake(good.der, OTHER_NAME);
    network.last.say(OK);
    expect([one.ended, network.last.wire.terminated]).toEqual([true, false]);
    peers.revoke([serial], []);
    expect(network.last.wire.terminated).toBe(true);
    network.last.close("reset");
    const two = request();
    network.last.accept().handshake(good.der, OTHER_NAME);
    expect([two.reset, network.attempts.length]).toEqual([["peer-refused", false], 2]);
  });

  test("Host fails when the peer speaks before the handshake, closes in it, or takes too long", () => {
    for (const how of ["data", "end", "reset", "time"] as const) {
      const { network, request, clock } = hostOf(ID);
      const one = request();
      network.last.accept();
      if (how === "data") network.last.say("x");
      else if (how === "time") clock.advance(1_000);
      else network.last.close(how);
      expect(one.reset?.[1]).toBe(false);
      expect(network.last.wire.terminated).toBe(true);
    }
  });

  test("Host fails a request for mTLS before there is a certificate, and never connects in the plain", () => {
    const { network, request, host } = hostOf(ID, { tlsMaterial: () => null });
    const one = request();
    expect(one.reset).toEqual(["connect-failure", false]);
    expect(network.attempts).toHaveLength(0);
    expect(host.isIdle).toBe(true);
  });
});

describe("Host with HTTP/2", () => {
  test("Host connects once for as many requests as share a connection, and once more for one more", () => {
    const { network, request } = hostOf(ID, {}, "http2");
    for (let i = 0; i < DEFAULT_LIMITS.http2Streams; i++) request();
    expect(network.attempts).toHaveLength(1);
    request();
    expect(network.attempts).toHaveLength(2);
  });

  test("Host gives a new connection no more than the peer allowed on the one before", () => {
    const { network, request } = hostOf(null, {}, "http2");
    request();
    network.last.accept().say(settings([Setting.MaxConcurrentStreams, 2]));
    for (let i = 0; i < 6; i++) request();
    // The first has room for one more.
    expect(network.attempts).toHaveLength(4);
  });

  test("Host takes a peer that allows nothing yet for one that will allow a request", () => {
    const { network, request } = hostOf(null, {}, "http2");
    request();
    network.last.accept().say(settings([Setting.MaxConcurrentStreams, 0]));
    for (let i = 0; i < 2; i++) request();
    expect(network.attempts).toHaveLength(3);
  });

  test("Host leaves nobody waiting for a connection that will not come", () => {
    const { network, request, host } = hostOf(ID, {}, "http2");
    const all = Array.from({ length: 2 * DEFAULT_LIMITS.http2Streams }, () => request());
    expect(network.attempts).toHaveLength(2);
    const failed = () => all.filter(({ reset }) => reset !== null).length;
    network.attempts[0]?.refuse();
    expect(failed()).toBe(DEFAULT_LIMITS.http2Streams);
    network.attempts[1]?.refuse();
    expect(failed()).toBe(2 * DEFAULT_LIMITS.http2Streams);
    expect(host.isIdle).toBe(true);
  });

  test("Host gives no request to connections with a peer that answers no more on one of them", () => {
    const { clock, network, request } = hostOf(ID, {}, "http2");
    const meet = () => {
      const connection = network.last.accept();
      connection.handshake(good.der, OTHER_NAME, "h2");
      connection.say(settings([Setting.MaxConcurrentStreams, 1]));
      return connection;
    };
    request();
    const first = meet();
    request();
    const second = meet();
    for (const connection of [first, second]) connection.say(headers(1, [":status", "204"], true));
    const lost = request();
    const { keepaliveIntervalMs, keepaliveTimeoutMs } = DEFAULT_LIMITS;
    for (const ms of [keepaliveIntervalMs, keepaliveTimeoutMs]) clock.advance(ms + WHEEL_LATENESS_MS);
    expect(lost.reset).toEqual(["closed", false]);
    expect([first.wire.closed, second.wire.closed]).toEqual([true, true]);
    expect(request().stream).toBeNull();
  });

  test("Host is silent while a question is not answered, connects to see, and again until it can", () => {
    const { host, clock, network, request, warnings } = hostOf(ID, {}, "http2");
    request();
    const first = network.last.accept().handshake(good.der, OTHER_NAME, "h2");
    first.say(settings());
    const pass = (ms: number) => clock.advance(ms + WHEEL_LATENESS_MS);
    pass(DEFAULT_LIMITS.keepaliveIntervalMs);
    expect([host.isSilent, network.attempts.length]).toEqual([false, 1]);
    pass(DOUBT_MS);
    expect([host.isSilent, network.attempts.length]).toEqual([true, 2]);
    // The kernel gives up the connection; the attempts time out, with pauses that grow.
    first.close("reset");
    const untilNextMs = (): number => {
      const { length } = network.attempts;
      for (let ms = 100;; ms += 100) {
        clock.advance(100);
        if (network.attempts.length > length) return ms;
      }
    };
    untilNextMs();
    const pausesMs = Array.from({ length: 5 }, () => untilNextMs() - CONNECT_TIMEOUT_MS);
    expect(pausesMs).toEqual([2_000, 4_000, 8_000, 16_000, 16_000]);
    expect(warnings).toEqual([
      "Nothing comes back from the proxy at 192.0.2.7:80: calls go to other endpoints, if there are any, until it answers",
    ]);
    const second = network.last.accept().handshake(good.der, OTHER_NAME, "h2");
    second.say(settings());
    expect(host.isSilent).toBe(false);
    expect(request().stream).not.toBeNull();
    host.retire();
    second.close("reset");
    pass(1_000_000);
    expect([network.attempts.length, clock.pending]).toEqual([8, 0]);
  });

  test("Host is silent no more when it answers the question after all, or refuses to be connected", () => {
    for (const end of ["answers", "refuses"]) {
      const { host, clock, network, request } = hostOf(ID, {}, "http2");
      request();
      const first = network.last.accept().handshake(good.der, OTHER_NAME, "h2");
      first.say(settings());
      for (const ms of [DEFAULT_LIMITS.keepaliveIntervalMs, DOUBT_MS]) clock.advance(ms + WHEEL_LATENESS_MS);
      expect(host.isSilent).toBe(true);
      if (end === "answers") first.say(ping("\0".repeat(8), ACK));
      else network.last.refuse();
      expect(host.isSilent).toBe(false);
    }
  });

  test("Host is silent after a second in which nobody lets it connect; who is no proxy never is", () => {
    for (const [spiffeId, protocol] of [[ID, "http2"], [ID, "http1"], [null, "http2"]] as const) {
      const { host, clock, network, request } = hostOf(spiffeId, {}, protocol);
      const isProxy = spiffeId !== null && protocol === "http2";
      const waiting = request(new Waiting(), 5_000);
      clock.advance(DOUBT_MS);
      expect(host.isSilent).toBe(isProxy);
      clock.advance(100_000);
      expect([waiting.reset, network.attempts.length > 1]).toEqual([["connect-timeout", false], isProxy]);
    }
  });

  test("Host refuses a peer that does not speak HTTP/2", () => {
    const { network, request } = hostOf(ID, {}, "http2");
    const one = request();
    network.last.accept().handshake(good.der, OTHER_NAME, "http/1.1");
    expect(one.reset).toEqual(["protocol-error", false]);
  });
});

describe("HostTable", () => {
  test("HostTable has one host for each name that is asked for over mTLS", () => {
    const { context, network } = hostOf();
    const table = new HostTable(context);
    const address = { hostname: "a", port: 1, spiffeId: ID, protocol: "http1" } as const;
    const named = table.get({ ...address, serverName: "one.test" });
    expect(table.get({ ...address, serverName: "two.test" })).not.toBe(named);
    expect(table.get(address)).not.toBe(named);
    named.request(new Waiting(), HEAD, true, 1_000);
    network.last.accept();
    expect(network.last.tls).toEqual({ ...MATERIAL, serverName: "one.test", alpn: ["http/1.1"] });
  });

  test("HostTable has one host for each address and identity", () => {
    const table = new HostTable(hostOf().context);
    const address = { hostname: "a", port: 1, spiffeId: null, protocol: "http1" } as const;
    const host = table.get(address);
    expect(table.get({ ...address })).toBe(host);
    for (const change of [{ hostname: "b" }, { port: 2 }, { spiffeId: ID }, { protocol: "http2" as const }]) {
      expect(table.get({ ...address, ...change })).not.toBe(host);
    }
    expect(table.passthrough(address)).not.toBe(host);
  });

  test("HostTable.onBehalfOf() adds to the endpoint's load, and to nothing else of it", () => {
    const table = new HostTable(hostOf().context);
    const endpoint = table.get(PLAIN);
    const bytes = { ...PLAIN, protocol: "tcp" } as const;
    const carrier = table.onBehalfOf(endpoint, bytes, null);
    expect(table.onBehalfOf(endpoint, bytes, null)).toBe(carrier);
    endpoint.active++;
    carrier.active += 2;
    expect([endpoint.load, endpoint.active, carrier.load]).toEqual([3, 1, 2]);
    carrier.active--;
    expect(endpoint.load).toBe(2);
    // Of another cluster, or of nobody.
    const other = table.get({ ...PLAIN, protocol: "http2" });
    expect(table.onBehalfOf(other, bytes, null)).not.toBe(carrier);
    expect(table.passthrough(bytes)).not.toBe(carrier);
  });

  test("HostTable.retain() keeps used hosts with their connections and retires the others", () => {
    const { context, network } = hostOf();
    const table = new HostTable(context);
    const [kept, dropped] = ["a", "b"].map((hostname) => table.get({ ...PLAIN, hostname })) as [Host, Host];
    for (const host of [kept, dropped]) {
      host.request(new Waiting(), HEAD, true, 1_000);
      network.last.accept().say(OK);
    }
    table.retain(new Set([kept]));
    expect(network.attempts.map(({ wire }) => wire.ended)).toEqual([false, true]);
    expect(table.get(kept.address)).toBe(kept);
    expect(table.get(dropped.address)).not.toBe(dropped);
  });

  test("HostTable holds so many passed-through hosts, and lets an idle one go for one more", () => {
    const table = new HostTable(hostOf().context);
    const host = (port: number) => table.passthrough({ ...PLAIN, port });
    const all = Array.from({ length: PASSTHROUGH_HOSTS_MAX }, (_, i) => host(i));
    for (const one of all) one.active = 1;
    (all[5] as Host).active = 0;
    host(100_000);
    // The busy ones stay, all of them.
    expect(all.filter((one, port) => host(port) === one)).toHaveLength(PASSTHROUGH_HOSTS_MAX - 1);
  });
});
