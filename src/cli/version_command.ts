/** `bowline version`: which bowline this is. */
import { BUILD_INFO } from "../runtime/build_info.ts";
import { EXIT, type ExitCode } from "./exit_codes.ts";
import { type OutputFormat, printData } from "./output.ts";

export interface VersionOptions {
  readonly output: OutputFormat;
}

export async function runVersion(options: VersionOptions): Promise<ExitCode> {
  const { version, commit, bun } = BUILD_INFO;
  await printData(options.output, BUILD_INFO, () => `bowline ${version} (commit ${commit}, Bun ${bun})`);
  return EXIT.ok;
}
