import { describe, expect, test } from "bun:test";
import { BoundedConnect } from "../../../../src/proxy/cluster/bounded_connect.ts";
import { type ProxyCaps, proxyCaps } from "../../../../src/proxy/proxy_caps.ts";
import { NOBODY, type Wire } from "../../../../src/runtime/wire.ts";
import { FakeNetwork } from "../fake_network.ts";

function bounded(caps: Partial<ProxyCaps>) {
  const network = new FakeNetwork();
  const state = { descriptor: 7 };
  const bound = new BoundedConnect(
    network.connect,
    { ...proxyCaps(1_024), ...caps },
    () => state.descriptor,
  );
  const told: string[] = [];
  const connect = (port = 80) =>
    bound.connect({ hostname: "192.0.2.1", port }, null, {
      opened: (_wire: Wire) => {
        told.push("opened");
        return NOBODY;
      },
      failed: ({ message }) => void told.push(message),
    });
  return { network, state, bound, told, connect };
}

describe("BoundedConnect", () => {
  test("connect() makes as many connections at once as the cap says, and fails at once above", () => {
    const { network, bound, told, connect } = bounded({ connecting: 2 });
    connect();
    connect();
    expect([network.attempts.length, told]).toEqual([2, []]);
    connect();
    expect([network.attempts.length, told]).toEqual([2, ["Too many connections are being made"]]);
    expect(bound.refusals).toEqual({ connecting: 1, descriptors: 0 });
  });

  test("connect() keeps one address that never answers from using up what others need", () => {
    const { network, bound, told, connect } = bounded({ connecting: 3, connectingToOne: 2 });
    connect();
    connect();
    connect();
    expect([network.attempts.length, told.splice(0)]).toEqual([2, ["Too many connections are being made"]]);
    connect(81);
    expect([network.attempts.length, told]).toEqual([3, []]);
    network.attempts[0]?.refuse();
    connect();
    expect([network.attempts.length, bound.refusals.connecting]).toEqual([4, 1]);
  });

  test("connect() may be called again when one opened or failed", () => {
    const { network, told, connect } = bounded({ connecting: 1 });
    connect();
    network.last.accept();
    connect();
    network.last.refuse();
    connect();
    expect([network.attempts.length, told]).toEqual([3, ["opened", "Connection refused"]]);
  });

  test("connect() fails when the descriptor is one of the reserve", () => {
    const { network, state, bound, told, connect } = bounded({ descriptors: 48 });
    state.descriptor = 47;
    connect();
    network.last.accept();
    expect([told.splice(0), network.last.wire.closed]).toEqual([["opened"], false]);
    state.descriptor = 48;
    connect();
    network.last.accept();
    expect(told).toEqual(["The process has no more descriptors for connections"]);
    expect(network.last.wire.terminated).toBe(true);
    expect(bound.refusals).toEqual({ connecting: 0, descriptors: 1 });
  });
});
