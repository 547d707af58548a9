import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { EXIT } from "../../../src/cli/exit_codes.ts";
import { collect, flag, wholeNumber } from "../../../src/cli/flags.ts";

const ROOT = join(import.meta.dir, "../../..");

interface Result {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs bowline from source as a process of its own, with nothing in its environment but `env`. */
function bowline(args: string[], env: Record<string, string> = {}): Result {
  return runBun([join(ROOT, "src/main.ts"), ...args], env);
}

function runBun(args: string[], env: Record<string, string>): Result {
  const { exitCode, stdout, stderr } = Bun.spawnSync([process.execPath, ...args], { env });
  return { exitCode, stdout: stdout.toString(), stderr: stderr.toString() };
}

describe("runProgram()", () => {
  test("opens help with examples, on standard output", () => {
    const { exitCode, stdout, stderr } = bowline(["--help"]);
    expect([exitCode, stderr]).toEqual([EXIT.ok, ""]);
    expect(stdout).toStartWith("Examples:\n  bowline demo ");
    expect(stdout).toContain("Usage: bowline [options] [command]");
    expect(bowline(["help", "version"])).toMatchObject({ exitCode: EXIT.ok, stderr: "" });
  });

  test("shows help as an error when nothing was asked", () => {
    const { exitCode, stdout, stderr } = bowline([]);
    expect([exitCode, stdout]).toEqual([EXIT.usage, ""]);
    expect(stderr).toContain("Usage: bowline");
  });

  const misuse: [args: string[], message: string][] = [
    [["versoin"], "Error: Unknown command 'versoin'\n  did you mean version?\n"],
    [["version", "--outptu", "json"], "Error: Unknown option '--outptu'\n  did you mean --output?\n"],
    [
      ["version", "-o", "xml"],
      "Error: Option '-o, --output <format>' argument 'xml' is invalid. Allowed choices are table, json, yaml\n" +
      "  bowline help version shows examples, arguments and flags\n",
    ],
    [
      ["validate"],
      "Error: Missing required argument 'path'\n" +
      "  bowline help validate shows examples, arguments and flags\n",
    ],
    [
      ["--outptu"],
      "Error: Unknown option '--outptu'\n  bowline --help shows the commands, bowline help COMMAND its flags\n",
    ],
  ];
  test.each(misuse)("refuses %j with 64", (args, message) => {
    expect(bowline(args)).toEqual({ exitCode: EXIT.usage, stdout: "", stderr: message });
  });

  test("reads flags from the environment, and prefers the command line", () => {
    const env = { BOWLINE_OUTPUT: "json" };
    expect(JSON.parse(bowline(["version"], env).stdout)).toMatchObject({
      commit: "source",
      bun: Bun.version,
    });
    expect(bowline(["version", "-o", "yaml"], env).stdout).toContain("commit: source\n");
    expect(bowline(["version"], { BOWLINE_OUTPUT: "xml" }).exitCode).toBe(EXIT.usage);
    expect(bowline(["version"], { BOWLINE_OUTPUT: "" }).stdout).toStartWith("bowline ");
  });

  test("ends with 1 when a full disk takes only a part of the output", () => {
    const args = [process.execPath, join(ROOT, "src/main.ts"), "version"];
    const { exitCode, stderr } = Bun.spawnSync(args, {
      env: {},
      stdout: Bun.file("/dev/full"),
      stderr: "pipe",
    });
    expect([exitCode, stderr.toString()]).toEqual([
      EXIT.error,
      "Error: Standard output takes no more, the disk is full: what was written is not all\n",
    ]);
  });

  test("writes no colour but to a terminal", () => {
    expect(bowline(["nonsense"], { TERM: "xterm-256color" }).stderr).not.toContain("\x1b");
  });
});

describe("reportFailure()", () => {
  const script = (error: string) => `
    import { CommandError, EXIT } from ${JSON.stringify(join(ROOT, "src/cli/exit_codes.ts"))};
    import { reportFailure } from ${JSON.stringify(join(ROOT, "src/cli/program.ts"))};
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
    const program = JSON.stringify(join(ROOT, "src/cli/program.ts"));
    const uncaught = (throwing: string) => `
      import { exitProcess, onUncaughtError } from ${runtime};
      import { reportFailure } from ${program};
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

describe("flag()", () => {
  test.each([["1", true], ["yes", true], ["on", true], ["TRUE", true], ["0", false], ["false", false], [
    "",
    false,
  ]])(
    "takes %j of the environment for a flag without a value as %p",
    (value, set) => {
      process.env["BOWLINE_TEST_FLAG"] = value;
      expect(flag("--test-flag", "").envVar).toBe(set ? "BOWLINE_TEST_FLAG" : undefined);
      delete process.env["BOWLINE_TEST_FLAG"];
    },
  );
});

test("wholeNumber() takes the bounds and refuses what is beyond, or no number", () => {
  const parse = wholeNumber(1, 10);
  expect([parse("1"), parse("10")]).toEqual([1, 10]);
  for (const text of ["0", "11", "-1", "1.5", "1e1", "", "x", "9".repeat(30)]) {
    expect(() => parse(text)).toThrow("It must be a whole number from 1 to 10.");
  }
});

test("collect() gathers values in order", () => {
  expect(collect("b", collect("a", undefined))).toEqual(["a", "b"]);
});
