import { describe, expect, test } from "bun:test";
import { COMMAND_OUTPUT_BYTES_MAX, runCommand } from "../../../src/runtime/run_command.ts";

const never = new AbortController().signal;
const run = (argv: string[], timeoutMs = 30_000, signal = never) => runCommand({ argv, timeoutMs, signal });

/** Whether a process that is no zombie has this id. */
async function lives(pid: number): Promise<boolean> {
  const status = await Bun.file(`/proc/${pid}/stat`).text().catch(() => ") Z");
  return !/\) [ZX]/.test(status);
}

describe("runCommand()", () => {
  test("runCommand() tells the exit code and what was printed", async () => {
    expect(await run(["sh", "-c", "echo out; echo err >&2; exit 3"])).toMatchObject({
      code: 3,
      trouble: null,
    });
    expect(await run(["true"])).toEqual({ code: 0, trouble: null, output: "" });
    expect((await run(["echo", "$HOME *"])).output).toBe("$HOME *");
  });

  test("runCommand() gives the program PATH, the root directory, and nothing else", async () => {
    const { output } = await run(["env"]);
    expect(output.split("\n").map((line) => line.split("=")[0])).toEqual(["PATH"]);
    expect((await run(["pwd"])).output).toBe("/");
  });

  test("runCommand() keeps so many bytes of the output, and reads the rest", async () => {
    const { code, output } = await run(["sh", "-c", "head -c 1000000 /dev/zero | tr '\\0' x"]);
    expect([code, output.length]).toEqual([0, COMMAND_OUTPUT_BYTES_MAX]);
  });

  test("runCommand() kills the program and its children when time is up", async () => {
    const result = await run(["sh", "-c", "sleep 300 & echo $!; trap '' TERM; wait"], 2_000);
    expect(result).toMatchObject({ code: null, trouble: "it did not end within 2000 ms" });
    expect(Number(result.output)).toBeGreaterThan(1);
    // The signal has been sent; when the child hears it is for the kernel to say.
    while (await lives(Number(result.output))) await Bun.sleep(10);
  });

  test("runCommand() kills it when it is called off", async () => {
    const stop = new AbortController();
    const running = run(["sleep", "300"], 30_000, stop.signal);
    stop.abort();
    expect(await running).toMatchObject({ code: null, trouble: "it was ended early" });
    expect(await run(["sleep", "300"], 30_000, stop.signal)).toMatchObject({ trouble: "it was ended early" });
  });

  test("runCommand() says so when a program cannot be started, or was killed by others", async () => {
    const missing = await run(["/no/such/program"]);
    expect(missing.code).toBeNull();
    expect(missing.trouble).toStartWith("it cannot be started: ");
    expect(await run(["sh", "-c", "kill -9 $$"])).toMatchObject({
      code: null,
      trouble: "it was ended by SIGKILL",
    });
  });

  test("runCommand() does not wait for somebody who was left behind with the pipes", async () => {
    const { code, output } = await run(["sh", "-c", "sleep 300 & echo $!"]);
    expect(code).toBe(0);
    process.kill(Number(output), "SIGKILL");
  });
});
