import { describe, expect, test } from "bun:test";
import { CHILD_LINE_LENGTH_MAX, ChildStartError, startChild } from "../../../src/runtime/child_process.ts";

const GRACE_MS = 200;

function script(text: string, onStdoutLine?: (line: string) => void) {
  return startChild({
    argv: ["/bin/sh", "-c", text],
    env: { GREETING: "hello" },
    ...(onStdoutLine === undefined ? {} : { onStdoutLine }),
  });
}

describe("startChild()", () => {
  test("gives the environment, both outputs line by line, and the exit code", async () => {
    const out: string[] = [];
    const err: string[] = [];
    const child = startChild({
      argv: ["/bin/sh", "-c", 'echo "$GREETING"; echo; printf last; echo oops >&2; exit 3'],
      env: { GREETING: "hello" },
      onStdoutLine: (line) => out.push(line),
      onStderrLine: (line) => err.push(line),
    });
    expect(await child.exited).toEqual({ code: 3, signal: null });
    expect(out).toEqual(["hello", "", "last"]);
    expect(err).toEqual(["oops"]);
  });

  test("cuts a line only above the limit", async () => {
    const lengths: number[] = [];
    const print = (length: number) => `head -c ${length} /dev/zero | tr '\\0' x; echo;`;
    await script(
      print(CHILD_LINE_LENGTH_MAX) + print(CHILD_LINE_LENGTH_MAX + 1),
      (line) => lengths.push(line.length),
    ).exited;
    expect(lengths[0]).toBe(CHILD_LINE_LENGTH_MAX);
    expect(Math.max(...lengths)).toBe(CHILD_LINE_LENGTH_MAX);
    expect(lengths.reduce((sum, length) => sum + length)).toBe(2 * CHILD_LINE_LENGTH_MAX + 1);
  });

  test("is not held up by output that nobody reads", async () => {
    const child = script("head -c 1000000 /dev/zero");
    expect(await child.exited).toEqual({ code: 0, signal: null });
  });

  test("says which program could not be started", () => {
    const start = () => startChild({ argv: ["/nonexistent/program"], env: {} });
    expect(start).toThrow(ChildStartError);
    expect(start).toThrow("Cannot start /nonexistent/program: ");
  });
});

describe("terminate()", () => {
  test("lets the process end by itself", async () => {
    const ready = Promise.withResolvers<void>();
    const child = script(
      "trap 'exit 0' TERM; echo ready; while :; do sleep 0.01; done",
      () => ready.resolve(),
    );
    await ready.promise;
    expect(await child.terminate(10_000)).toEqual({ code: 0, signal: null });
  });

  test("kills one that does not listen", async () => {
    const ready = Promise.withResolvers<void>();
    const child = script("trap '' TERM; echo ready; while :; do sleep 0.01; done", () => ready.resolve());
    await ready.promise;
    expect(await child.terminate(GRACE_MS)).toEqual({ code: null, signal: "SIGKILL" });
  });

  test("does not mind a process that has ended", async () => {
    const child = script("exit 0");
    await child.exited;
    expect(await child.terminate(GRACE_MS)).toEqual({ code: 0, signal: null });
  });
});
