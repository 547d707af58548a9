import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lockFile } from "../../../src/runtime/process_lock.ts";

const directory = mkdtempSync(join(tmpdir(), "bowline-lock-"));
afterAll(() => rmSync(directory, { recursive: true }));

/** Another process that locks a file, says whether it has it, and holds it until it is killed. */
async function other(path: string) {
  const module = join(import.meta.dirname, "../../../src/runtime/process_lock.ts");
  const script = `const { lockFile } = await import(${JSON.stringify(module)});
    console.log(lockFile(${JSON.stringify(path)}) === null ? "refused" : "locked");
    setInterval(() => {}, 1000);`;
  const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe" });
  const { value } = await child.stdout.getReader().read();
  const end = async () => {
    child.kill("SIGKILL");
    await child.exited;
  };
  return { said: new TextDecoder().decode(value).trim(), end };
}

describe("lockFile()", () => {
  test("lockFile() refuses a second process until the first one is gone, killed or not", async () => {
    const path = join(directory, "killed");
    const first = await other(path);
    expect([first.said, lockFile(path)]).toEqual(["locked", null]);
    await first.end();
    const release = lockFile(path);
    expect(release).not.toBeNull();
    const second = await other(path);
    expect(second.said).toBe("refused");
    await second.end();
    release?.();
    const third = await other(path);
    expect(third.said).toBe("locked");
    await third.end();
  });

  test("lockFile() makes a file that is the owner's alone", () => {
    const path = join(directory, "own");
    lockFile(path)?.();
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });
});
