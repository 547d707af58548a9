import { beforeEach, describe, expect, test } from "bun:test";
import { ManualClock } from "../../../src/lib/clock.ts";
import { ServiceReport, type ServiceState, START_WAIT_MS } from "../../../src/runtime/service_report.ts";

const WATCHDOG_MS = 10_000;
const LONG_MS = 60_000;

let clock: ManualClock;
let heard: string[];
let takes: boolean;
let reason: string | null;
let alive: boolean;

const state: ServiceState = { notReady: () => reason, isAlive: () => alive, stopMs: 40_000 };

beforeEach(() => {
  clock = new ManualClock();
  heard = [];
  takes = true;
  reason = null;
  alive = true;
});

function report(watchdogMs: number | null = null): ServiceReport {
  const notify = (lines: string) => {
    if (takes) heard.push(lines);
    return takes;
  };
  return new ServiceReport({ clock, notify, watchdogMs });
}

describe("a ServiceReport", () => {
  test("says that the service has started once it serves, and what becomes of it", () => {
    reason = "waiting for a certificate";
    report().follow(state);
    expect(heard).toEqual(["STATUS=Waiting for a certificate"]);
    reason = null;
    clock.advance(LONG_MS);
    reason = "the certificate has expired";
    clock.advance(LONG_MS);
    expect(heard.slice(1)).toEqual(["READY=1\nSTATUS=Serving", "STATUS=The certificate has expired"]);
  });

  test("says so after a while in any case, of one that listens", () => {
    reason = "waiting for a snapshot";
    const waiting = report();
    clock.advance(LONG_MS);
    expect(heard).toEqual([]);
    waiting.follow(state);
    clock.advance(START_WAIT_MS - 1);
    expect(heard).toEqual(["STATUS=Waiting for a snapshot"]);
    clock.advance(1);
    expect(heard).toEqual(["STATUS=Waiting for a snapshot", "READY=1"]);
  });

  test("says twice in the time of the watchdog that it is alive, unless nothing serves any more", () => {
    report(WATCHDOG_MS).follow(state);
    heard = [];
    clock.advance(2 * WATCHDOG_MS);
    expect(heard).toEqual(Array(4).fill("WATCHDOG=1"));
    alive = false;
    clock.advance(2 * WATCHDOG_MS);
    expect(heard).toHaveLength(4);
  });

  test("says that it stops, and how long that may take", () => {
    const stopping = report();
    stopping.follow(state);
    heard = [];
    stopping.stopping();
    reason = "draining";
    clock.advance(LONG_MS);
    expect(heard).toEqual([
      "STOPPING=1\nSTATUS=Stopping; what is in flight may end\nEXTEND_TIMEOUT_USEC=40000000",
    ]);
  });

  test("asks for no time when it has not begun to serve", () => {
    report().stopping();
    expect(heard).toEqual(["STOPPING=1\nSTATUS=Stopping; what is in flight may end"]);
  });

  test("says again what the manager did not take, as it is by then", () => {
    takes = false;
    report(WATCHDOG_MS).follow(state);
    reason = "no worker serves";
    clock.advance(LONG_MS);
    expect(heard).toEqual([]);
    takes = true;
    clock.advance(1_000);
    expect(heard).toEqual(["READY=1\nSTATUS=No worker serves"]);
  });

  test("has no timer left once it is closed", () => {
    const closed = report(WATCHDOG_MS);
    closed.follow(state);
    closed.stopping();
    closed.close();
    expect(clock.pending).toBe(0);
  });
});
