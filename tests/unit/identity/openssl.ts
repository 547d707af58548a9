/** The `openssl` command as an outside judge of keys, requests and certificates. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * Runs `openssl` with these arguments in a directory of its own that holds `files`, and returns all that it printed.
 * Throws when it fails.
 */
export function openssl(args: readonly string[], files: Readonly<Record<string, string>>): string {
  const path = Bun.which("openssl");
  if (path === null) {
    throw new Error("These tests need the openssl command; on Debian: apt-get install openssl");
  }
  const directory = mkdtempSync(join(tmpdir(), "bowline-openssl-"));
  try {
    for (const [name, text] of Object.entries(files)) {
      writeFileSync(join(directory, name), text, { mode: 0o600 });
    }
    const { exitCode, stdout, stderr } = Bun.spawnSync([path, ...args], { cwd: directory });
    const output = `${stdout}${stderr}`;
    if (exitCode !== 0) throw new Error(`openssl ${args.join(" ")} failed: ${output}`);
    return output;
  } finally {
    rmSync(directory, { recursive: true });
  }
}
