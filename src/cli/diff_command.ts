/** `bowline diff OLD NEW`: what the step from one configuration to another changes for each workload, before it is made. */
import { loadResources } from "./config_files.ts";
import { diffText } from "./diff/diff_text.ts";
import { meshDiff } from "./diff/mesh_diff.ts";
import { EXIT, type ExitCode } from "./exit_codes.ts";
import { type OutputFormat, printData } from "./output.ts";
import { TRUST_DOMAIN_DEFAULT } from "./run_command.ts";

/** Both are directories or files of Istio YAML. Throws CommandError when one does not load. */
export async function runDiff(oldPath: string, newPath: string, output: OutputFormat): Promise<ExitCode> {
  const hint = "only configurations that load can be compared";
  const before = await loadResources(oldPath, hint);
  const after = await loadResources(newPath, hint);
  // Both have the same, so nothing of the answer depends on which.
  const diff = meshDiff(before, after, TRUST_DOMAIN_DEFAULT);
  await printData(output, diff, () => diffText(diff));
  return EXIT.ok;
}
