/** Ports of a gateway that come, go, and are somebody else's. */
import { describe, expect, test } from "bun:test";
import { ManualClock } from "../../../../src/lib/clock.ts";
import type { GatewayListener } from "../../../../src/model/gateway_listener.ts";
import { DOOR_RETRY_MS, Doors } from "../../../../src/proxy/listener/doors.ts";
import type { ListenAddress } from "../../../../src/runtime/socket.ts";

function wanted(...ports: number[]): ReadonlyMap<string, GatewayListener> {
  return new Map(ports.map((port) => {
    const name = `:${port}`;
    return [name, { kind: "gatewayListener", name, bind: port === 81 ? "::1" : null, port, chains: [] }];
  }));
}

function doors() {
  const clock = new ManualClock();
  const open = new Map<number, ListenAddress>();
  const taken = new Set<number>();
  const warnings: string[] = [];
  /** Doors whose connections were told to drain. */
  const drained: string[] = [];
  /** Ports that were shut whenever that changed. */
  const shut: number[][] = [];
  let attempts = 0;
  const held = new Doors({
    clock,
    owner: "gateway",
    hostname: "127.0.0.1",
    shared: true,
    listen(address) {
      attempts++;
      if (taken.has(address.port)) throw new Error(`port ${address.port} is taken`);
      open.set(address.port, address);
      return { port: address.port, stop: () => void open.delete(address.port) };
    },
    door: (name) => ({ accept: () => null, close: () => void drained.push(name) }),
    warn: (message) => void warnings.push(message),
    onShut: () => void shut.push(held.shut.map(({ port }) => port)),
  });
  return { clock, open, taken, warnings, drained, shut, held, attempts: () => attempts };
}

describe("Doors", () => {
  test("update() opens what is new, closes what is gone and has it drain, and leaves the rest", () => {
    const { held, open, drained, attempts } = doors();
    held.update(wanted(80, 81));
    expect(open.get(80)).toEqual({ hostname: "127.0.0.1", port: 80, shared: true });
    expect(open.get(81)?.hostname).toBe("::1");
    held.update(wanted(81, 82));
    expect([...open.keys()]).toEqual([81, 82]);
    expect(drained).toEqual([":80"]);
    expect(attempts()).toBe(3);
  });

  test("a port that is taken keeps no other shut, is told once, and opens at the first try after it is free", () => {
    const { held, open, taken, warnings, shut, clock, attempts } = doors();
    taken.add(80);
    held.update(wanted(80, 81));
    expect([...open.keys()]).toEqual([81]);
    expect(held.shut).toEqual([{ port: 80, reason: "port 80 is taken" }]);
    clock.advance(DOOR_RETRY_MS);
    expect(attempts()).toBe(3);
    expect(warnings).toEqual([
      "The gateway's port 80 is shut, its others serve; it is tried again: port 80 is taken",
    ]);
    taken.clear();
    clock.advance(DOOR_RETRY_MS - 1);
    expect(open.has(80)).toBe(false);
    clock.advance(1);
    expect(open.has(80)).toBe(true);
    expect(held.shut).toEqual([]);
    expect(warnings.at(-1)).toBe("The gateway's port 80 could be opened at last");
    expect(shut).toEqual([[80], []]);
    expect(clock.pending).toBe(0);
  });

  test("a port that is wanted no more is not tried again", () => {
    const { held, taken, shut, clock } = doors();
    taken.add(80);
    held.update(wanted(80));
    held.update(wanted());
    expect(held.shut).toEqual([]);
    expect(shut).toEqual([[80], []]);
    expect(clock.pending).toBe(0);
  });

  test("close() closes all, tries nothing again, and leaves connections to the drain of the process", () => {
    const { held, open, taken, drained, clock } = doors();
    taken.add(82);
    held.update(wanted(80, 82));
    held.close();
    expect(open.size).toBe(0);
    expect(drained).toEqual([]);
    expect(clock.pending).toBe(0);
  });
});
