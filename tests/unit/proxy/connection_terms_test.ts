/** What a cluster's limits say of each connection by itself. */
import { describe, expect, test } from "bun:test";
import { ManualClock } from "../../../src/lib/clock.ts";
import { TimerWheel, WHEEL_LATENESS_MS } from "../../../src/lib/timer_wheel.ts";
import { DEFAULT_LIMITS } from "../../../src/model/limits.ts";
import type { ClusterLimits } from "../../../src/model/cluster.ts";
import { Host } from "../../../src/proxy/cluster/host.ts";
import { PoolLimits } from "../../../src/proxy/cluster/pool_limits.ts";
import { connectionTerms, TERMS_DEFAULT } from "../../../src/proxy/connection_terms.ts";
import type { ClientHandler, RequestHead } from "../../../src/proxy/exchange.ts";
import type { TcpKeepalive } from "../../../src/runtime/tcp_keepalive.ts";
import { FakeNetwork } from "./fake_network.ts";
import { SeenResponse } from "./http1/upstream.ts";
import { headers, settings } from "./http2/raw_frames.ts";
import { requestHead } from "./request_head.ts";

const HEAD = requestHead();
const OK = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

class Call extends SeenResponse {
  onConnection(open: (head: RequestHead, ended: boolean) => ReturnType<Host["request"]>): void {
    open(HEAD, true);
  }
}

function limited(limits: ClusterLimits, protocol: "http1" | "http2" | "tcp" = "http1") {
  const clock = new ManualClock();
  const network = new FakeNetwork();
  const watched: TcpKeepalive[] = [];
  const pool = new PoolLimits();
  pool.configure(limits);
  const host = new Host({ hostname: "a", port: 80, spiffeId: null, protocol }, {
    clock,
    wheel: new TimerWheel(clock),
    trustDomain: "mesh.test",
    connect: network.connect,
    tlsMaterial: () => null,
    setTcpKeepalive: (_wire, keepalive) => void watched.push(keepalive),
    warn: () => {},
  }, pool);
  const call = () => {
    const made = new Call();
    host.active++;
    host.request(made as unknown as ClientHandler & Call, HEAD, true, 1_000);
    return made;
  };
  const pass = (ms: number) => clock.advance(ms + WHEEL_LATENESS_MS);
  return { clock, network, call, pass, watched, pool };
}

describe("connectionTerms()", () => {
  test("without limits all is as everywhere", () => {
    expect(connectionTerms({}, DEFAULT_LIMITS)).toEqual(TERMS_DEFAULT);
  });
});

describe("idleTimeoutMs", () => {
  test("an idle HTTP/1 connection is closed, and a busy one is not", () => {
    const { network, call, pass } = limited({ idleTimeoutMs: 5_000 });
    call();
    network.last.accept();
    pass(6_000);
    expect(network.last.wire.closed).toBe(false);
    network.last.say(OK);
    pass(4_000 - 2 * WHEEL_LATENESS_MS);
    expect(network.last.wire.closed).toBe(false);
    pass(1_000 + WHEEL_LATENESS_MS);
    expect(network.last.wire.closed).toBe(true);
  });

  test("0 keeps it for ever", () => {
    const { network, call, pass } = limited({ idleTimeoutMs: 0 });
    call();
    network.last.accept().say(OK);
    pass(7_200_000);
    expect(network.last.wire.closed).toBe(false);
  });

  test("an idle HTTP/2 connection ends", () => {
    const { network, call, pass } = limited({ idleTimeoutMs: 5_000 }, "http2");
    call();
    network.last.accept().say(settings(), headers(1, [":status", "200"], true));
    pass(4_000);
    expect(network.last.wire.closed).toBe(false);
    pass(2_000);
    expect(network.last.wire.closed).toBe(true);
  });

  test("a TCP connection in which nothing moves is broken off", () => {
    const { network, call, pass } = limited({ idleTimeoutMs: 5_000 }, "tcp");
    call();
    network.last.accept();
    pass(4_000);
    expect(network.last.wire.closed).toBe(false);
    pass(2_000);
    expect(network.last.wire.closed).toBe(true);
  });
});

describe("maxConnectionDurationMs", () => {
  test("a connection of that age closes when it is idle, and takes no more requests before", () => {
    const { network, call, pass, pool } = limited({ maxConnectionDurationMs: 10_000 });
    call();
    network.last.accept().say(OK);
    const second = call();
    pass(10_000);
    expect(network.last.wire.closed).toBe(false);
    network.last.say(OK);
    expect([second.ended, network.last.wire.closed, pool.connections]).toEqual([true, true, 0]);
    call();
    expect(network.attempts).toHaveLength(2);
  });

  test("an idle one closes at once, and a younger one stays", () => {
    const { network, call, pass } = limited({ maxConnectionDurationMs: 10_000 });
    call();
    network.last.accept().say(OK);
    pass(9_000);
    expect(network.last.wire.closed).toBe(false);
    pass(1_000);
    expect(network.last.wire.closed).toBe(true);
  });
});

test("maxConcurrentStreams: another connection is made where the peer would have taken more", () => {
  const { network, call } = limited({ maxConcurrentStreams: 2 }, "http2");
  call();
  network.last.accept().say(settings());
  call();
  expect(network.attempts).toHaveLength(1);
  call();
  expect(network.attempts).toHaveLength(2);
});

test("http2KeepAlive: a silent peer is given up when the cluster says so", () => {
  const { network, call, pass } = limited(
    { http2KeepAlive: { intervalMs: 2_000, timeoutMs: 1_000 } },
    "http2",
  );
  const waiting = call();
  network.last.accept().say(settings());
  pass(1_000);
  expect(waiting.reset).toBeNull();
  pass(1_000);
  pass(1_000);
  expect(waiting.reset).toEqual(["closed", true]);
});

test("http2KeepAlive: idle connections are asked too, and only where a cluster says so", async () => {
  const asks = async (limits: ClusterLimits) => {
    const { network, call, pass } = limited(limits, "http2");
    call();
    const upstream = network.last.accept();
    upstream.say(settings(), headers(1, [":status", "204"], true));
    await upstream.read();
    pass(DEFAULT_LIMITS.keepaliveIntervalMs + 1_000);
    return (await upstream.read()).includes("\0\0\x08\x06\0");
  };
  expect(await asks({ http2KeepAlive: {} })).toBe(true);
  expect(await asks({ maxConcurrentStreams: 100 })).toBe(false);
});

test("tcpKeepalive: the kernel is told of each connection of the cluster, and of no other", () => {
  const quick = { timeMs: 1_000, probes: 3 };
  const one = limited({ tcpKeepalive: quick });
  one.call();
  one.network.last.accept();
  expect(one.watched).toEqual([quick]);
  const other = limited({ maxConnections: 1 });
  other.call();
  other.network.last.accept();
  expect(other.watched).toEqual([]);
});
