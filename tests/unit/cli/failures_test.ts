import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { EXIT } from "../../../src/cli/exit_codes.ts";

const ROOT = join(import.meta.dir, "../../..");

/** Runs the script with nothing in its environment but `env`. */
function runBun(args: string[], env: Record<string, string>) {
  const { exitCode, stdout, stderr } = Bun.spawnSync([process.execPath, ...args], { env });
  return { exitCode, stdout: stdout.toString(), stderr: stderr.toString() };
}

describe("reportFailure()", () => {
  const script = (error: string) => `
    import { CommandError, EXIT } from ${JSON.stringify(join(ROOT, "src/cli/exit_codes.ts"))};
    import { reportFailure } from ${JSON.stringify(join(ROOT, "src/cli/failures.ts"))};
    process.exitCode = reportFailure(${error});`;
  const report = (error: string, env = {}) => runBun(["-e", script(error)], env);

  test("tells what a command says, with its hint and exit code", () => {
    expect(report(`new CommandError(EXIT.unavailable, "It is not there", "start it")`)).toEqual({
      exitCode: EXIT.unavailable,
      stdout: "",
      stderr: "Error: It is not there\n  start it\n",
    });
  });

  test("tells of a busy port as unavailable, and of other operating conditions as they are", () => {
    const listen = `(await import(${JSON.stringify(join(ROOT, "src/runtime/listen_error.ts"))})).ListenError
      .of({ hostname: "127.0.0.1", port: 80 }, { code: "EADDRINUSE" })`;
    const busy = report(listen);
    expect(busy.exitCode).toBe(EXIT.unavailable);
    expect(busy.stderr).toStartWith("Error: Cannot listen on 127.0.0.1:80: ");
    const file = report(`Object.assign(new Error("Cannot read token"), { code: "not-found" })`);
    expect(file).toMatchObject({ exitCode: EXIT.error, stderr: "Error: Cannot read token\n" });
  });

  test("ends the process when nobody caught an error", () => {
    const runtime = JSON.stringify(join(ROOT, "src/runtime/process.ts"));
    const failures = JSON.stringify(join(ROOT, "src/cli/failures.ts"));
    const uncaught = (throwing: string) => `
      import { exitProcess, onUncaughtError } from ${runtime};
      import { reportFailure } from ${failures};
      onUncaughtError((error) => exitProcess(reportFailure(error)));
      setInterval(() => {}, 1000);
      ${throwing}`;
    for (
      const throwing of [
        `setTimeout(() => { throw new Error("boom"); });`,
        `Promise.reject(new Error("boom"));`,
      ]
    ) {
      const { exitCode, stderr } = runBun(["-e", uncaught(throwing)], {});
      expect(exitCode).toBe(EXIT.error);
      expect(stderr.split("\n")[0]).toBe("Error: Internal error: boom");
    }
  });

  test("tells of anything else in one line, without a stack", () => {
    expect(report(`new TypeError("x is undefined\\nand more")`)).toEqual({
      exitCode: EXIT.error,
      stdout: "",
      stderr: "Error: Internal error: x is undefined\n" +
        "  this is a bug in bowline; BOWLINE_DEBUG=1 shows where it happened\n",
    });
    expect(report(`"text"`).stderr).toStartWith("Error: Internal error: text\n");
  });

  test("shows the stack to those who ask", () => {
    expect(report(`new TypeError("x")`, { BOWLINE_DEBUG: "1" }).stderr).toMatch(/\n {4}at /);
  });
});
