/** What is read of the environment; sockets that were really handed over: tests/integration/service_manager_test.ts. */
import { afterEach, describe, expect, test } from "bun:test";
import { INHERITED_SOCKETS_MAX } from "../../../src/runtime/inherited_sockets.ts";
import { ListenFdsError, takeListenFds } from "../../../src/runtime/listen_fds.ts";

const VARIABLES = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"];

function handOver(count: string, pid = process.pid): void {
  process.env["LISTEN_PID"] = String(pid);
  process.env["LISTEN_FDS"] = count;
  process.env["LISTEN_FDNAMES"] = "a.socket:b.socket";
}

describe("takeListenFds()", () => {
  afterEach(() => {
    for (const name of VARIABLES) delete process.env[name];
  });

  test("finds none where nothing is said, none were handed over, or they are another process's", () => {
    expect(takeListenFds()).toEqual([]);
    handOver("0");
    expect(takeListenFds()).toEqual([]);
    handOver("2", process.pid + 1);
    expect(takeListenFds()).toEqual([]);
  });

  test("leaves no variable for a child", () => {
    handOver("2", process.pid + 1);
    takeListenFds();
    handOver("no number");
    expect(takeListenFds).toThrow(ListenFdsError);
    expect(Object.keys(process.env).filter((name) => VARIABLES.includes(name))).toEqual([]);
  });

  test("refuses what is no number of sockets", () => {
    for (const count of ["two", "-1", "1.5", String(INHERITED_SOCKETS_MAX + 1)]) {
      handOver(count);
      expect(takeListenFds).toThrow(
        `LISTEN_FDS is ${JSON.stringify(count)}, not a number up to ${INHERITED_SOCKETS_MAX}`,
      );
    }
    // So many are looked for, and are not there.
    handOver(String(INHERITED_SOCKETS_MAX));
    expect(takeListenFds).toThrow("is no TCP socket that listens");
  });

  test("names the descriptor that is none", () => {
    handOver("1");
    expect(takeListenFds).toThrow("Descriptor 3 (a.socket) is no TCP socket that listens");
  });
});
