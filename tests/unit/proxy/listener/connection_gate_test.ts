import { describe, expect, test } from "bun:test";
import { ManualClock } from "../../../../src/lib/clock.ts";
import { ConnectionGate, type Door, SILENCE_MS } from "../../../../src/proxy/listener/connection_gate.ts";
import { type ProxyCaps, proxyCaps } from "../../../../src/proxy/proxy_caps.ts";

const DESCRIPTOR = 7;
const NOTHING_REFUSED = { connections: 0, silent: 0, handshakes: 0, descriptors: 0 };

const INBOUND: Door = { side: "inbound", closed: false };
const OUTBOUND: Door = { side: "outbound", closed: false };

function gateOf(caps: Partial<ProxyCaps>, clock = new ManualClock()): ConnectionGate {
  return new ConnectionGate({ ...proxyCaps(1_024), ...caps }, clock);
}

function unproven(closed: string[], name: string) {
  return { close: () => void closed.push(name), drain: () => void closed.push(`${name} drains`) };
}

function proven(told: string[], name: string) {
  return { drain: () => void told.push(`${name} drains`), cut: () => void told.push(`${name} is cut`) };
}

describe("ConnectionGate", () => {
  test("admit() serves up to the cap, all kinds counted, and refuses one above until one is gone", () => {
    const gate = gateOf({ connections: 3 });
    gate.holdProven(proven([], "a"), OUTBOUND);
    gate.holdSilent(unproven([], "b"), OUTBOUND);
    expect(gate.admit(DESCRIPTOR)).toBe("serve");
    const handshaking = gate.holdHandshaking(unproven([], "c"), INBOUND);
    expect(gate.admit(DESCRIPTOR)).toBe("refuse");
    expect(gate.refusals).toEqual({ ...NOTHING_REFUSED, connections: 1 });
    gate.releaseUnproven(handshaking);
    expect(gate.admit(DESCRIPTOR)).toBe("serve");
  });

  test("admit() refuses one above the cap where nobody is silent, and closes none for it", () => {
    const gate = gateOf({ connections: 2 });
    const told: string[] = [];
    gate.holdProven(proven(told, "a"), OUTBOUND);
    gate.holdHandshaking(unproven(told, "b"), INBOUND);
    expect([gate.admit(DESCRIPTOR), told]).toEqual(["refuse", []]);
    expect(gate.refusals).toEqual({ ...NOTHING_REFUSED, connections: 1 });
  });

  test("admit() does not count those that are being refused", () => {
    const gate = gateOf({ connections: 1 });
    gate.holdRefused(unproven([], "a"));
    expect(gate.admit(DESCRIPTOR)).toBe("serve");
  });

  test("admit() closes what has a descriptor of the reserve, whatever else is open", () => {
    const gate = gateOf({ descriptors: 48 });
    expect(gate.admit(47)).toBe("serve");
    expect(gate.admit(48)).toBe("close");
    expect(gate.refusals).toEqual({ ...NOTHING_REFUSED, descriptors: 1 });
  });

  test("admit() closes the oldest that has been silent for long enough, and refuses when none has", () => {
    const clock = new ManualClock();
    const gate = gateOf({ connections: 2 }, clock);
    const closed: string[] = [];
    gate.holdSilent(unproven(closed, "first"), OUTBOUND);
    clock.advance(SILENCE_MS - 1);
    gate.holdSilent(unproven(closed, "second"), OUTBOUND);
    expect([gate.admit(DESCRIPTOR), closed]).toEqual(["refuse", []]);
    clock.advance(1);
    expect([gate.admit(DESCRIPTOR), closed]).toEqual(["serve", ["first"]]);
    gate.holdProven(proven([], "third"), OUTBOUND);
    expect([gate.admit(DESCRIPTOR), closed]).toEqual(["refuse", ["first"]]);
    expect(gate.refusals).toEqual({ ...NOTHING_REFUSED, connections: 2, silent: 1 });
  });

  test("holdHandshaking() closes the oldest above the cap, and none at it", () => {
    const gate = gateOf({ handshakes: 2 });
    const closed: string[] = [];
    const first = gate.holdHandshaking(unproven(closed, "first"), INBOUND);
    gate.holdHandshaking(unproven(closed, "second"), INBOUND);
    expect(closed).toEqual([]);
    gate.holdHandshaking(unproven(closed, "third"), INBOUND);
    expect(closed).toEqual(["first"]);
    gate.releaseUnproven(first);
    expect([gate.unproven, gate.refusals.handshakes]).toEqual([2, 1]);
  });

  test("holdRefused() closes the oldest above the cap, and none at it", () => {
    const gate = gateOf({ refused: 1 });
    const closed: string[] = [];
    gate.holdRefused(unproven(closed, "first"));
    expect(closed).toEqual([]);
    gate.holdRefused(unproven(closed, "second"));
    expect(closed).toEqual(["first"]);
  });

  test("releaseProven() and releaseUnproven() forget a connection of their kind, and twice is once", () => {
    const gate = gateOf({});
    const carrying = gate.holdProven(proven([], "a"), OUTBOUND);
    const others = [
      gate.holdSilent(unproven([], "b"), OUTBOUND),
      gate.holdHandshaking(unproven([], "c"), INBOUND),
      gate.holdRefused(unproven([], "d")),
    ];
    expect([gate.proven, gate.unproven]).toEqual([1, 3]);
    for (const other of [...others, ...others]) gate.releaseUnproven(other);
    gate.releaseProven(carrying);
    gate.releaseProven(carrying);
    expect([gate.proven, gate.unproven]).toEqual([0, 0]);
  });

  test("drain() tells the connections of one side, and those that come of them", () => {
    const gate = gateOf({});
    const told: string[] = [];
    gate.holdProven(proven(told, "inbound"), INBOUND);
    gate.holdProven(proven(told, "outbound"), OUTBOUND);
    gate.holdSilent(unproven(told, "silent"), OUTBOUND);
    gate.holdHandshaking(unproven(told, "handshaking"), INBOUND);
    gate.holdRefused(unproven(told, "refused"));
    gate.drain("inbound");
    expect(told.splice(0)).toEqual(["handshaking drains", "inbound drains"]);
    gate.holdProven(proven(told, "late"), INBOUND);
    gate.holdProven(proven(told, "other"), OUTBOUND);
    expect(told.splice(0)).toEqual(["late drains"]);
    gate.drain("outbound");
    expect(told).toEqual(["silent drains", "outbound drains", "other drains"]);
  });

  test("drainOlder() tells what carries requests on one side, and knows it from what comes later", () => {
    const gate = gateOf({});
    const told: string[] = [];
    const gone = gate.holdProven(proven(told, "gone"), OUTBOUND);
    const stays = gate.holdProven(proven(told, "stays"), OUTBOUND);
    gate.holdProven(proven(told, "inbound"), INBOUND);
    gate.holdSilent(unproven(told, "silent"), OUTBOUND);
    const older = gate.drainOlder("outbound");
    gate.holdProven(proven(told, "late"), OUTBOUND);
    gate.releaseProven(gone);
    expect(older.areOver()).toBe(false);
    older.cut();
    expect(told).toEqual(["gone drains", "stays drains", "stays is cut"]);
    gate.releaseProven(stays);
    expect(older.areOver()).toBe(true);
  });

  test("drainDoor() tells what came in by the door and what comes of it, and cuts what is left when the time is up", () => {
    const clock = new ManualClock();
    const gate = gateOf({}, clock);
    const told: string[] = [];
    const door: Door = { side: "inbound", closed: false };
    const gone = gate.holdProven(proven(told, "gone"), door);
    gate.holdProven(proven(told, "stays"), door);
    gate.holdProven(proven(told, "other"), INBOUND);
    gate.holdSilent(unproven(told, "silent"), door);
    gate.holdHandshaking(unproven(told, "handshaking"), door);
    gate.drainDoor(door, 1_000);
    expect(told.splice(0)).toEqual(["silent drains", "handshaking drains", "gone drains", "stays drains"]);
    gate.holdProven(proven(told, "late"), door);
    expect(told.splice(0)).toEqual(["late drains"]);
    gate.releaseProven(gone);
    clock.advance(999);
    expect(told).toEqual([]);
    clock.advance(1);
    expect(told).toEqual(["stays is cut", "late is cut"]);
  });

  test("open() counts what carries requests on a side, or may yet", () => {
    const gate = gateOf({});
    const handshaking = gate.holdHandshaking(unproven([], "a"), INBOUND);
    gate.holdProven(proven([], "b"), INBOUND);
    gate.holdSilent(unproven([], "c"), OUTBOUND);
    gate.holdRefused(unproven([], "d"));
    expect([gate.open("inbound"), gate.open("outbound")]).toEqual([2, 1]);
    gate.releaseUnproven(handshaking);
    expect(gate.open("inbound")).toBe(1);
  });

  test("cut() breaks off everything", () => {
    const gate = gateOf({});
    const told: string[] = [];
    gate.holdProven(proven(told, "proven"), INBOUND);
    gate.holdSilent(unproven(told, "silent"), OUTBOUND);
    gate.holdHandshaking(unproven(told, "handshaking"), INBOUND);
    gate.holdRefused(unproven(told, "refused"));
    gate.cut();
    expect(told).toEqual(["silent", "handshaking", "refused", "proven is cut"]);
  });
});
