import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { EXIT } from "../../../src/cli/exit_codes.ts";
import { bowline } from "./bowline.ts";

const ROOT = join(import.meta.dir, "../../..");

describe("runProgram()", () => {
  test("opens help with examples, on standard output", async () => {
    const { exitCode, stdout, stderr } = await bowline(["--help"]);
    expect([exitCode, stderr]).toEqual([EXIT.ok, ""]);
    expect(stdout).toStartWith("Examples:\n  bowline demo ");
    expect(stdout).toContain("Usage: bowline [options] [command]");
    expect(await bowline(["help", "version"])).toMatchObject({ exitCode: EXIT.ok, stderr: "" });
  });

  test("shows help as an error when nothing was asked", async () => {
    const { exitCode, stdout, stderr } = await bowline([]);
    expect([exitCode, stdout]).toEqual([EXIT.usage, ""]);
    expect(stderr).toContain("Usage: bowline");
  });

  test("shows help for a command below another, and for no more than that", async () => {
    const { stdout } = await bowline(["token", "create", "--help"]);
    expect(stdout).toContain("Usage: bowline token create [options]");
    expect(await bowline(["help", "token", "create"])).toEqual({ exitCode: EXIT.ok, stdout, stderr: "" });
    expect((await bowline(["help", "ca", "rotate", "start"])).stdout).toContain(
      "Usage: bowline ca rotate start ",
    );
    expect((await bowline(["help", "token"])).stdout).toContain("Usage: bowline token [options] [command]");
    // The chapter of the demo is not a command: it is not begun.
    expect((await bowline(["help", "demo", "retry"])).stdout).toContain("Usage: bowline demo ");
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
      ["token", "revoke"],
      "Error: Missing required argument 'id'\n" +
      "  bowline help token revoke shows examples, arguments and flags\n",
    ],
    ...["bind", "address"].map((name): [string[], string] => [
      ["run", "--role", "sidecar", `--${name}`, "web"],
      `Error: Option '--${name} <address>' argument 'web' is invalid. ` +
      "It must be an IP address without a port, such as 10.0.0.7\n" +
      "  bowline help run shows examples, arguments and flags\n",
    ]),
    [
      ["run", "--role", "sidecar", "--control-plane", "10.0.0.1"],
      "Error: Option '--control-plane <host:port>' argument '10.0.0.1' is invalid. " +
      "It must be HOST:PORT, such as 10.0.0.1:15012\n" +
      "  bowline help run shows examples, arguments and flags\n",
    ],
    [["versoin", "--help"], "Error: Unknown command 'versoin'\n  did you mean version?\n"],
    [["token", "craete", "-h"], "Error: Unknown command 'craete'\n  did you mean create?\n"],
    [["help", "versoin"], "Error: Unknown command 'versoin'\n  did you mean version?\n"],
    [["help", "token", "craete"], "Error: Unknown command 'craete'\n  did you mean create?\n"],
    [
      ["--outptu"],
      "Error: Unknown option '--outptu'\n  bowline --help shows the commands, bowline help COMMAND its flags\n",
    ],
  ];
  test.each(misuse)("refuses %j with 64", async (args, message) => {
    expect(await bowline(args)).toEqual({ exitCode: EXIT.usage, stdout: "", stderr: message });
  });

  test("takes --version for the command", async () => {
    expect(await bowline(["--version"])).toEqual(await bowline(["version"]));
    expect((await bowline(["--version", "x"])).exitCode).toBe(EXIT.usage);
  });

  test("reads flags from the environment, and prefers the command line", async () => {
    const env = { BOWLINE_OUTPUT: "json" };
    expect(JSON.parse((await bowline(["version"], env)).stdout)).toMatchObject({
      commit: "source",
      bun: Bun.version,
    });
    expect((await bowline(["version", "-o", "yaml"], env)).stdout).toContain("commit: source\n");
    expect((await bowline(["version"], { BOWLINE_OUTPUT: "xml" })).exitCode).toBe(EXIT.usage);
    expect((await bowline(["version"], { BOWLINE_OUTPUT: "" })).stdout).toStartWith("bowline ");
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

  test.each([[["versoin\x1b[31m"]], [["graph", "--data", "/none/\x1b[31m"]]])(
    "writes no control character of an argument: %j",
    async (args) => {
      const { exitCode, stderr } = await bowline(args);
      expect(exitCode).toBeGreaterThan(0);
      expect(stderr).toContain("\ufffd[31m");
      expect(stderr).not.toContain("\x1b");
    },
  );

  test("writes no colour but to a terminal", async () => {
    expect((await bowline(["nonsense"], { TERM: "xterm-256color" })).stderr).not.toContain("\x1b");
  });
});
