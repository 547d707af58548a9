/** What is read of the environment; a manager that hears: tests/integration/service_manager_test.ts. */
import { afterEach, describe, expect, test } from "bun:test";
import { systemClock } from "../../../src/lib/clock.ts";
import { openNotifySocket } from "../../../src/runtime/notify_socket.ts";
import { openServiceReport } from "../../../src/runtime/service_manager.ts";

const VARIABLES = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];

describe("openServiceReport()", () => {
  afterEach(() => {
    for (const name of VARIABLES) delete process.env[name];
  });

  const warnings: string[] = [];
  const open = () => openServiceReport(systemClock, (message) => void warnings.push(message));

  test("makes none where nobody asks for it, and leaves no variable for a child", async () => {
    expect(await open()).toBeNull();
    process.env["WATCHDOG_USEC"] = "1000000";
    expect(await open()).toBeNull();
    Object.assign(process.env, { NOTIFY_SOCKET: "@nobody", WATCHDOG_USEC: "1000000", WATCHDOG_PID: "1" });
    expect(await open()).not.toBeNull();
    expect(Object.keys(process.env).filter((name) => VARIABLES.includes(name))).toEqual([]);
  });

  test("tells of a place that it cannot speak to", async () => {
    process.env["NOTIFY_SOCKET"] = "vsock:2:1234";
    expect(await open()).toBeNull();
    expect(warnings).toEqual([
      'The service manager is told nothing: NOTIFY_SOCKET is "vsock:2:1234", not a path or an @name',
    ]);
  });
});

describe("openNotifySocket()", () => {
  const longest = `/${"x".repeat(106)}`;

  test("takes paths and abstract names of up to 107 bytes", () => {
    for (const name of ["/run/nobody", "@nobody", longest]) expect(openNotifySocket(name)).not.toBeNull();
    for (const name of ["", "@", "/", "run/nobody", "vsock:2:1234", `${longest}x`]) {
      expect(openNotifySocket(name)).toBeNull();
    }
  });

  test("does not wait for a manager that is not there", () => {
    expect(openNotifySocket("/nowhere/at/all")?.("READY=1")).toBe(false);
    expect(openNotifySocket(`@nobody-${process.pid}`)?.("READY=1")).toBe(false);
  });
});
