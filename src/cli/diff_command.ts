/** `bowline diff OLD NEW`: what the step from one configuration to another changes for each workload, before it is made. */
import { loadResources, trustDomainOf } from "./config_files.ts";
import { diffText } from "./diff/diff_text.ts";
import { meshDiff } from "./diff/mesh_diff.ts";
import { EXIT, type ExitCode } from "./exit_codes.ts";
import { type OutputFormat, printData } from "./output.ts";

/** Both are directories or files of Istio YAML. Throws CommandError when one does not load. */
export async function runDiff(oldPath: string, newPath: string, output: OutputFormat): Promise<ExitCode> {
  const hint = "only configurations that load can be compared";
  const before = await loadResources(oldPath, hint);
  const after = await loadResources(newPath, hint);
  // A mesh does not change it.
  const diff = meshDiff(before, after, trustDomainOf(after));
  await printData(output, diff, () => diffText(diff));
  return EXIT.ok;
}
