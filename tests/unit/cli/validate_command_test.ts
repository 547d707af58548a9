import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { service } from "../config/config_texts.ts";

const MODULE = join(import.meta.dir, "../../../src/cli/validate_command.ts");

let root = "";

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "bowline-validate-"));
  mkdirSync(join(root, "mesh"));
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

function write(file: string, text: string): void {
  writeFileSync(join(root, "mesh", file), text);
}

/** Runs the command in a process of its own, in `root`: it writes to the process's own streams. */
function validate(paths: string[], output = "table", lenient = false) {
  const script = `import { runValidate } from ${JSON.stringify(MODULE)};
    process.exit(await runValidate(${JSON.stringify(paths)}, ${JSON.stringify({ output, lenient })}));`;
  const { exitCode, stdout, stderr } = Bun.spawnSync([process.execPath, "-e", script], { cwd: root });
  return { exitCode, stdout: stdout.toString(), stderr: stderr.toString() };
}

describe("runValidate()", () => {
  test("runValidate() says in one line what is good", () => {
    write("a.yaml", service("a"));
    write("b.yaml", `${service("b")}---\n${service("c")}`);
    expect(validate(["mesh"])).toEqual({ exitCode: 0, stdout: "ok: 3 resources in 2 files\n", stderr: "" });
    expect(validate(["mesh/a.yaml"]).stdout).toBe("ok: 1 resource in 1 file\n");
  });

  test("runValidate() names files as the user did, and ends with 65", () => {
    write("a.yaml", "kind: Servce\n");
    const stderr = 'mesh/a.yaml:1:7: error BOW0006 kind: unknown kind "Servce"; did you mean "Service"?\n' +
      "not valid: 1 error, 1 file read\n";
    expect(validate(["mesh/"])).toEqual({ exitCode: 65, stdout: "", stderr });
    expect(validate(["./mesh/a.yaml"]).stderr).toBe(stderr);
  });

  test("runValidate() reads several paths as one configuration, and each file once", () => {
    write("a.yaml", service("a"));
    writeFileSync(join(root, "b.yaml"), service("a"));
    expect(validate(["mesh", "mesh/a.yaml"]).stdout).toBe("ok: 1 resource in 1 file\n");
    expect(validate(["mesh", "b.yaml"]).stderr).toContain(
      "error BOW0009 Service tutorial/a: metadata.name: Service tutorial/a is already defined at mesh/a.yaml:1:1",
    );
  });

  test("runValidate() tells warnings and still succeeds", () => {
    write("a.yaml", `${service("a")}---\n${REFERENCE}`);
    const { exitCode, stdout, stderr } = validate(["mesh"]);
    expect(exitCode).toBe(0);
    expect(stdout).toBe("ok: 2 resources in 1 file\n");
    expect(stderr).toContain(": warning IST0174 ");
  });

  test("runValidate() with lenient accepts what is not implemented", () => {
    write("a.yaml", "apiVersion: networking.istio.io/v1\nkind: Telemetry\nmetadata: {name: g}\n");
    expect(validate(["mesh"]).exitCode).toBe(65);
    expect(validate(["mesh"], "table", true).exitCode).toBe(0);
  });

  test("runValidate() prints JSON alone with -o json", () => {
    write("a.yaml", "kind: Servce\n");
    const { exitCode, stdout, stderr } = validate(["mesh"], "json");
    expect({ exitCode, stderr }).toEqual({ exitCode: 65, stderr: "" });
    expect(JSON.parse(stdout)).toEqual({
      valid: false,
      files: 1,
      resources: 0,
      findings: [{
        code: "BOW0006",
        severity: "error",
        file: "mesh/a.yaml",
        line: 1,
        column: 7,
        resource: null,
        field: "kind",
        message: 'unknown kind "Servce"',
        hint: 'did you mean "Service"?',
      }],
    });
  });

  test("runValidate() names a path that does not exist", () => {
    expect(validate(["none"])).toEqual({
      exitCode: 65,
      stdout: "",
      stderr: "none:1:1: error BOW0010: could not be read: there is no such file or directory\n" +
        "not valid: 1 error, 0 files read\n",
    });
  });

  test("runValidate() lets no control character of a file reach the terminal", () => {
    write("a.yaml", 'kind: "\\u001b[31mred"\n');
    expect(validate(["mesh"]).stderr).not.toContain("\u001b");
    write("a.yaml", 'apiVersion: v1\nkind: Service\nmetadata: {name: "\\u001b\\u202e"}\n');
    expect(validate(["mesh"]).stderr).not.toMatch(/[\u001b\u202e]/);
  });
});

const REFERENCE = `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: b, namespace: tutorial}
spec: {host: b}
`;
