/** Faults that a route injects: delays and aborts, each by its own draw. */
import { describe, expect, test } from "bun:test";
import type { Fault } from "../../../../src/model/route.ts";
import { accepted, forward, retries, routedPlane } from "../routed_plane.ts";
import { OK } from "../http1/upstream.ts";

const NONE: Fault = { delay: null, abort: null };

describe("fault.abort", () => {
  const abort = { percentage: 100, httpStatus: 555 };

  test("answers in the upstream's place, with FI", async () => {
    const plane = routedPlane({ fault: { ...NONE, abort } });
    const client = plane.caller();
    client.get();
    expect(plane.network.attempts).toEqual([]);
    const answer = await client.read();
    expect(answer).toStartWith("HTTP/1.1 555 ");
    expect(answer).toContain("x-bowline-reply: FI fault_filter_abort; outbound shop/caller\r\n");
    expect(answer).toEndWith("\r\n\r\nfault filter abort");
    expect(plane.counted()).toEqual(["555 FI unknown"]);
  });

  test("with a gRPC status answers gRPC by it, and others by what it means to them", async () => {
    const plane = routedPlane({ fault: { ...NONE, abort: { percentage: 100, grpcStatus: 14 } } });
    const grpc = plane.caller();
    grpc.get("/", "Content-Type: application/grpc");
    expect(await grpc.read()).toMatch(
      /^HTTP\/1\.1 200 OK\r\n[^]*grpc-status: 14\r\ngrpc-message: fault%20filter/,
    );
    const plain = plane.caller();
    plain.get();
    expect(await plain.read()).toStartWith("HTTP/1.1 503 ");
  });

  test("meets as many requests as its percentage says, to a fraction, and none at 0", async () => {
    const aborted = (percentage: number) => {
      const plane = routedPlane({ fault: { ...NONE, abort: { percentage, httpStatus: 500 } } });
      for (let i = 0; i < 10_000; i++) {
        const client = plane.caller();
        client.get();
        client.close();
      }
      const others = /0 DC shop-1 x(\d+)/.exec(plane.counted().join())?.[1];
      return 10_000 - Number(others);
    };
    expect(aborted(0)).toBe(0);
    // Three standard deviations of a binomial distribution.
    expect(Math.abs(aborted(0.5) - 50)).toBeLessThanOrEqual(3 * Math.sqrt(50 * 0.995));
    expect(Math.abs(aborted(50) - 5_000)).toBeLessThanOrEqual(150);
  });
});

describe("fault.delay", () => {
  const delay = { percentage: 100, fixedMs: 2_000 };

  test("holds the request back, body and all, then sends it on: DI", async () => {
    const plane = routedPlane({ fault: { ...NONE, delay } });
    const client = plane.caller();
    client.send("POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 5\r\n\r\nhello");
    plane.clock.advance(1_999);
    expect(plane.network.attempts).toEqual([]);
    plane.clock.advance(1);
    const upstream = accepted(plane);
    expect(await upstream.read()).toEndWith("\r\n\r\nhello");
    upstream.say(OK);
    expect(await client.read()).toStartWith("HTTP/1.1 200 OK\r\n");
    expect(plane.counted()).toEqual(["200 DI shop-1"]);
    expect(plane.active).toBe(0);
  });

  test("reads on a body that came while it waited, and what comes after", async () => {
    const plane = routedPlane({ fault: { ...NONE, delay } });
    const client = plane.caller();
    client.send("POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 5\r\n\r\nhe");
    expect(client.wire.paused).toBe(true);
    plane.clock.advance(2_000);
    const upstream = accepted(plane);
    expect(client.wire.paused).toBe(false);
    client.send("llo");
    expect(await upstream.read()).toEndWith("\r\n\r\nhello");
  });

  test("and abort are two draws: a delayed request may be aborted then", async () => {
    const plane = routedPlane({ fault: { delay, abort: { percentage: 100, httpStatus: 500 } } });
    const client = plane.caller();
    client.get();
    expect(await client.read()).toBe("");
    plane.clock.advance(2_000);
    expect(await client.read()).toContain("x-bowline-reply: FI,DI fault_filter_abort");
    expect(plane.counted()).toEqual(["500 FI,DI unknown"]);
  });

  test("counts a client that does not wait for the end of it", () => {
    const plane = routedPlane({ fault: { ...NONE, delay } });
    const client = plane.caller();
    client.get();
    client.close();
    plane.clock.advance(5_000);
    expect(plane.network.attempts).toEqual([]);
    expect(plane.counted()).toEqual(["0 DC,DI unknown"]);
    expect(plane.inFlight.count).toBe(0);
  });

  test("leaves neither timeout nor retries in force", async () => {
    const action = forward({ timeoutMs: 100, retries: retries({ retryOn: ["5xx"] }) });
    const plane = routedPlane({ action, fault: { ...NONE, delay } });
    const client = plane.caller();
    client.get();
    plane.clock.advance(2_000);
    const upstream = accepted(plane);
    plane.clock.advance(1_000);
    expect(await client.read()).toBe("");
    upstream.say("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
    expect(await client.read()).toStartWith("HTTP/1.1 503 ");
    expect(plane.counted()).toEqual(["503 DI shop-1"]);
  });
});
