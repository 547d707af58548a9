/** A cluster's limits: what they count, what they refuse, at the limit and one above. */
import { describe, expect, test } from "bun:test";
import { ManualClock } from "../../../../src/lib/clock.ts";
import { Prng } from "../../../../src/lib/prng.ts";
import { TimerWheel, WHEEL_LATENESS_MS } from "../../../../src/lib/timer_wheel.ts";
import type { ClusterLimits } from "../../../../src/model/cluster.ts";
import { Host, type PendingRequest } from "../../../../src/proxy/cluster/host.ts";
import { HostTable } from "../../../../src/proxy/cluster/host_table.ts";
import { PoolLimits } from "../../../../src/proxy/cluster/pool_limits.ts";
import type { ClientStream, RequestHead } from "../../../../src/proxy/exchange.ts";
import { type FakeConnection, FakeNetwork } from "../fake_network.ts";
import { OK, SeenResponse } from "../http1/upstream.ts";
import { requestHead } from "../request_head.ts";

const HEAD = requestHead();
const ADDRESS = { hostname: "a", port: 1, spiffeId: null, protocol: "http1", pool: "c" } as const;

/** A request as an exchange makes it: it counts from here to its end. */
class Call extends SeenResponse implements PendingRequest {
  overflow = false;

  constructor(readonly host: Host, fresh = false) {
    super();
    host.active++;
    const stream = host.request(this, HEAD, true, 1_000, fresh);
    if (stream === "overflow") {
      this.overflow = true;
      host.active--;
    }
  }

  get isOpen(): boolean {
    return !this.overflow && !this.ended && this.reset === null;
  }

  onConnection(open: (head: RequestHead, ended: boolean) => ClientStream): void {
    open(HEAD, true);
  }

  override onResponseEnd(): void {
    super.onResponseEnd(null);
    this.host.active--;
  }

  override onUpstreamReset(...why: Parameters<SeenResponse["onUpstreamReset"]>): void {
    super.onUpstreamReset(...why);
    this.host.active--;
  }
}

/** A request was written on it that has no answer yet. */
async function isBusy(connection: FakeConnection): Promise<boolean> {
  return !connection.wire.closed && await connection.read() !== "";
}

function limited(settings: ClusterLimits, protocol: "http1" | "http2" | "tcp" = "http1") {
  const clock = new ManualClock();
  const network = new FakeNetwork();
  const context = {
    clock,
    wheel: new TimerWheel(clock),
    trustDomain: "mesh.test",
    connect: network.connect,
    tlsMaterial: () => null,
    warn: () => {},
  };
  const limits = new PoolLimits();
  limits.configure(settings);
  const host = (hostname: string) => new Host({ ...ADDRESS, protocol, hostname }, context, limits);
  const used = () => [limits.connections, limits.pending, limits.requests];
  return { network, limits, context, clock, host, one: host("a"), used };
}

describe("Host with limits", () => {
  test("Host counts connections, those who wait, and requests, and comes back to nothing", () => {
    const { network, one, used } = limited({});
    const calls = [new Call(one), new Call(one)];
    expect(used()).toEqual([2, 2, 2]);
    network.attempts[0]?.accept();
    network.attempts[1]?.refuse();
    expect(used()).toEqual([1, 0, 1]);
    network.attempts[0]?.say(OK);
    expect([used(), calls[0]?.ended]).toEqual([[1, 0, 0], true]);
    network.attempts[0]?.close();
    expect(used()).toEqual([0, 0, 0]);
  });

  test("Host makes as many connections as it may, and the others wait for them", () => {
    const { network, one, used } = limited({ maxConnections: 2 });
    const calls = Array.from({ length: 4 }, () => new Call(one));
    expect([network.attempts.length, used()]).toEqual([2, [2, 4, 4]]);
    for (const connection of network.attempts) connection.accept();
    for (const connection of [...network.attempts, ...network.attempts]) connection.say(OK);
    expect(calls.map(({ ended }) => ended)).toEqual([true, true, true, true]);
    expect([network.attempts.length, used()]).toEqual([2, [2, 0, 0]]);
  });

  test("Host makes another connection when one that kept it from doing so is gone", () => {
    const { network, one, used } = limited({ maxConnections: 1 });
    const [first, second] = [new Call(one), new Call(one)];
    network.last.accept().close();
    expect(first.reset?.[0]).toBe("closed");
    expect([network.attempts.length, used()]).toEqual([2, [1, 1, 1]]);
    network.last.accept().say(OK);
    expect(second.ended).toBe(true);
  });

  test("Host may always make its first connection, however many the cluster's other hosts have", () => {
    const { network, host, used } = limited({ maxConnections: 1 });
    const [a, b] = [host("a"), host("b")];
    new Call(a);
    new Call(b);
    new Call(b);
    expect([network.attempts.length, used()]).toEqual([2, [2, 3, 3]]);
  });

  test("Host lets as many requests wait as it may, in all hosts together, and refuses one more", () => {
    const { host, network, used } = limited({ maxPendingRequests: 2 });
    const [a, b] = [host("a"), host("b")];
    expect([new Call(a), new Call(b), new Call(b)].map(({ overflow }) => overflow)).toEqual([
      false,
      false,
      true,
    ]);
    expect(used()).toEqual([2, 2, 2]);
    network.attempts[0]?.accept();
    expect(new Call(b).overflow).toBe(false);
    expect(new Call(b).overflow).toBe(true);
  });

  test("Host carries as many requests as it may, and refuses one more", () => {
    const { network, one, used } = limited({ maxRequests: 2 });
    new Call(one);
    new Call(one);
    for (const connection of network.attempts) connection.accept();
    expect(used()).toEqual([2, 0, 2]);
    expect(new Call(one).overflow).toBe(true);
    network.last.say(OK);
    expect(new Call(one).overflow).toBe(false);
  });

  test("Host lets nobody wait for a connection that carries bytes, and makes as many as it may", () => {
    const { network, one, host, used } = limited({ maxConnections: 2 }, "tcp");
    expect([new Call(one), new Call(host("b")), new Call(one)].map(({ overflow }) => overflow)).toEqual([
      false,
      false,
      true,
    ]);
    expect([new Call(host("c")).overflow, used()[0]]).toEqual([true, 2]);
    network.attempts[0]?.refuse();
    expect([new Call(one).overflow, used()[0]]).toEqual([false, 2]);
  });

  test("Host closes a connection that took its last request", () => {
    const { network, one, used } = limited({ maxRequestsPerConnection: 2 });
    for (let i = 0; i < 2; i++) {
      const call = new Call(one);
      if (i === 0) network.last.accept();
      expect(network.last.wire.closed).toBe(false);
      network.last.say(OK);
      expect(call.ended).toBe(true);
    }
    expect([network.last.wire.closed, used()]).toEqual([true, [0, 0, 0]]);
    new Call(one);
    expect(network.attempts).toHaveLength(2);
  });

  test.each(["http1", "http2", "tcp"] as const)(
    "Host gives nobody a connection that came to its age as it stood idle: %s",
    (protocol) => {
      const { network, clock, one, used } = limited({ maxConnectionDurationMs: 1_000 }, protocol);
      one.withdraw(new Call(one));
      network.last.accept();
      clock.advance(1_000 + WHEEL_LATENESS_MS);
      expect([network.last.wire.closed, used()]).toEqual([true, [0, 0, 1]]);
      new Call(one);
      expect(network.attempts).toHaveLength(2);
    },
  );

  test("Host makes an HTTP/2 connection for every so many requests, and keeps the others that are free", () => {
    const { network, one, used } = limited({ maxRequestsPerConnection: 2 }, "http2");
    for (let i = 0; i < 3; i++) new Call(one);
    expect(network.attempts).toHaveLength(2);
    for (const connection of network.attempts) connection.accept();
    expect(used()).toEqual([2, 0, 3]);
    // The second has room for one, the first for none.
    new Call(one);
    expect([network.attempts.length, used()[1]]).toEqual([2, 0]);
    new Call(one);
    expect([network.attempts.length, used()[1]]).toEqual([3, 1]);
  });

  test("Host makes as many HTTP/2 connections as the streams that each may carry ask for", () => {
    const { network, one, used } = limited({ maxConcurrentStreams: 2 }, "http2");
    const calls = Array.from({ length: 5 }, () => new Call(one));
    expect(network.attempts).toHaveLength(3);
    for (const connection of network.attempts) connection.accept();
    expect([calls.every(({ isOpen }) => isOpen), used()]).toEqual([true, [3, 0, 5]]);
  });

  test("Host.withdraw() makes room for who wants to wait", () => {
    const { one, used } = limited({ maxPendingRequests: 1 });
    const call = new Call(one);
    expect(new Call(one).overflow).toBe(true);
    one.withdraw(call);
    one.active--;
    expect(used()).toEqual([1, 0, 0]);
    expect(new Call(one).overflow).toBe(false);
  });

  test("Host gives a wary request a used connection when it may not make another", () => {
    const { network, one } = limited({ maxConnections: 1 });
    new Call(one);
    network.last.accept().say(OK);
    const idle = new Call(one, true);
    network.last.say(OK);
    expect(idle.ended).toBe(true);
    new Call(one);
    const busy = new Call(one, true);
    network.last.say(OK);
    network.last.say(OK);
    expect([busy.ended, network.attempts.length]).toEqual([true, 1]);
  });

  test.each([
    {},
    { maxConnections: 1 },
    { maxConnections: 3, maxPendingRequests: 4 },
    { maxRequestsPerConnection: 1 },
    { maxRequestsPerConnection: 3, maxConnections: 2, maxRequests: 5 },
    { maxConnectionDurationMs: 500, maxConnections: 3 },
    { idleTimeoutMs: 500, maxConnections: 3 },
  ])(
    "Host leaves nobody waiting and nothing counted, whatever happens, within %p",
    async (settings: ClusterLimits) => {
      for (let seed = 0; seed < 10; seed++) {
        const random = new Prng(seed);
        const { network, host, used, limits, clock } = limited(settings);
        const hosts = [host("a"), host("b"), host("c")];
        const calls: Call[] = [];
        const open: FakeConnection[] = [];
        let attempted = 0;
        for (let step = 0; step < 150; step++) {
          const chance = random.below(10);
          const some = open[random.below(Math.max(1, open.length))];
          if (chance < 4) calls.push(new Call(hosts[random.below(3)] as Host, random.below(5) === 0));
          else if (chance < 6 && attempted < network.attempts.length) {
            const attempt = network.attempts[attempted++] as FakeConnection;
            if (random.below(5) === 0) attempt.refuse();
            else open.push(attempt.accept());
          } else if (chance < 9 && some !== undefined && await isBusy(some)) some.say(OK);
          else if (chance === 9 && some?.wire.closed === false) some.close();
          if (random.below(4) === 0) clock.advance(100);
          expect(limits.pending).toBeLessThanOrEqual(settings.maxPendingRequests ?? Infinity);
          // Each host may have one, and each request that falls due together with its connection's end another.
          expect(limits.connections).toBeLessThanOrEqual((settings.maxConnections ?? Infinity) + 2);
        }
        for (let turn = 0; turn < 300 && calls.some((one) => one.isOpen); turn++) {
          while (attempted < network.attempts.length) {
            open.push((network.attempts[attempted++] as FakeConnection).accept());
          }
          for (const one of open) if (await isBusy(one)) one.say(OK);
        }
        expect(calls.filter((one) => one.isOpen).length).toBe(0);
        expect(calls.filter(({ ended }) => ended).length).toBeGreaterThan(10);
        for (const one of open) if (!one.wire.closed) one.close();
        expect(used()).toEqual([0, 0, 0]);
      }
    },
  );
});

describe("PoolLimits", () => {
  test("PoolLimits lets as many clients' connections carry bytes as there may be connections", () => {
    const { limits } = limited({ maxConnections: 2 });
    expect([limits.beginTunnel(), limits.beginTunnel(), limits.beginTunnel()]).toEqual([true, true, false]);
    limits.endTunnel();
    expect([limits.beginTunnel(), limits.beginTunnel()]).toEqual([true, false]);
  });

  test("beginRetry() lets as many retries go on at once as it may", () => {
    const { limits } = limited({ maxRetries: 2 });
    expect([limits.beginRetry(), limits.beginRetry(), limits.beginRetry()]).toEqual([true, true, false]);
    limits.endRetry();
    expect(limits.beginRetry()).toBe(true);
    limits.configure({});
    for (let i = 0; i < 1_000; i++) expect(limits.beginRetry()).toBe(true);
  });

  test("beginRetry() with a budget allows a share of the requests, and always a few", () => {
    const { limits } = limited({ maxRetries: 1, retryBudget: { percent: 20, minConcurrency: 3 } });
    const allowed = (requests: number) => {
      limits.requests = requests;
      limits.retries = 0;
      while (limits.beginRetry());
      return limits.retries;
    };
    expect([0, 15, 19, 20, 24, 25, 1_000].map(allowed)).toEqual([3, 3, 3, 4, 4, 5, 200]);
  });
});

describe("HostTable with limits", () => {
  test("get() keeps connections of a cluster with limits apart from everybody's", () => {
    const { context, limits } = limited({});
    const table = new HostTable(context);
    const { pool: _, ...shared } = ADDRESS;
    expect(table.get(shared)).not.toBe(table.get(ADDRESS, limits));
    expect(table.get(ADDRESS, limits)).toBe(table.get(ADDRESS, limits));
  });

  test("get() makes a host anew that counts for other limits", () => {
    const { context, limits } = limited({});
    const table = new HostTable(context);
    const left = table.get(ADDRESS, new PoolLimits());
    const host = table.get(ADDRESS, limits);
    expect(host).not.toBe(left);
    expect(table.get(ADDRESS, limits)).toBe(host);
  });
});
