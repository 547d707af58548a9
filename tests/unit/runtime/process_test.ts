import { expect, test } from "bun:test";
import { join } from "node:path";
import { environmentVariable } from "../../../src/runtime/process.ts";

const MODULE = JSON.stringify(join(import.meta.dir, "../../../src/runtime/process.ts"));

function shell(command: string, script: string) {
  const { stdout, stderr } = Bun.spawnSync(["/bin/sh", "-c", command], {
    env: { ...process.env, BUN: process.execPath, SCRIPT: script },
  });
  return { stdout: stdout.toString(), stderr: stderr.toString() };
}

test("environmentVariable() takes an empty one as unset", () => {
  process.env["BOWLINE_TEST_EMPTY"] = "";
  expect(environmentVariable("BOWLINE_TEST_EMPTY")).toBeUndefined();
  delete process.env["BOWLINE_TEST_EMPTY"];
});

test("writeStdout() writes everything to a slow reader", () => {
  const script = `import { writeStdout } from ${MODULE};
    for (let i = 0; i < 20; i++) if (!writeStdout("x".repeat(100_000))) process.exit(1);`;
  expect(shell('"$BUN" -e "$SCRIPT" | (sleep 0.1; wc -c)', script).stdout.trim()).toBe("2000000");
});

test("writeStdout() says without a stack when nobody reads any more", () => {
  const script = `import { writeStderr, writeStdout } from ${MODULE};
    let written = 0;
    while (writeStdout("x".repeat(100_000)) && written < 1000) written++;
    writeStderr(written < 1000 && !writeStdout("more") ? "stopped" : "went on");`;
  expect(shell('"$BUN" -e "$SCRIPT" | head -c 1 >/dev/null', script).stderr).toBe("stopped");
});
