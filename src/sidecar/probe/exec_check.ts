/** Health by a program (Kubernetes `exec`): an exit code of 0 is good. It runs as the user of the sidecar. */
import { runCommand } from "../../runtime/run_command.ts";

export async function checkByCommand(
  argv: readonly string[],
  timeoutMs: number,
  signal: AbortSignal,
): Promise<string | null> {
  const { code, trouble, output } = await runCommand({ argv, timeoutMs, signal });
  if (code === 0) return null;
  const said = output === "" ? "" : `, saying ${JSON.stringify(output)}`;
  return `${argv[0]}: ${trouble ?? `it ended with ${code}`}${said}`;
}
