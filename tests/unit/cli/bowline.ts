/** Runs bowline from source as a process of its own, in the root of the repository. */
import { join } from "node:path";

const ROOT = join(import.meta.dir, "../../..");

export interface Result {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Its environment holds nothing but `env`. */
export async function bowline(args: readonly string[], env: Record<string, string> = {}): Promise<Result> {
  const child = Bun.spawn([process.execPath, join(ROOT, "src/main.ts"), ...args], {
    cwd: ROOT,
    env,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { exitCode, stdout, stderr };
}
