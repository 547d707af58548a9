/** `bowline validate PATH...`: whether files would load as one configuration, and everything that is wrong with them. */
import { readErrorFinding } from "../config/config_store.ts";
import type { Finding } from "../config/finding.ts";
import { loadConfig } from "../config/loader.ts";
import { FileReadError, type ReadFile, readSourceFiles } from "../runtime/read_files.ts";
import { EXIT, type ExitCode } from "./exit_codes.ts";
import { printFindings } from "./findings.ts";
import { type OutputFormat, plural, printData, printMessage } from "./output.ts";

export interface ValidateOptions {
  readonly output: OutputFormat;
  /** Fields and kinds that are not implemented are warnings. */
  readonly lenient: boolean;
}

/** What `-o json` prints. */
interface Report {
  readonly valid: boolean;
  readonly files: number;
  readonly resources: number;
  readonly findings: readonly Finding[];
}

/** Reads all paths as one configuration. Warnings are told and do no harm; any error makes it 65. */
export async function runValidate(paths: readonly string[], options: ValidateOptions): Promise<ExitCode> {
  const report = await validatePaths(paths, options.lenient);
  if (options.output === "table") printFindings(report.findings);
  const count = `${plural(report.resources, "resource")} in ${plural(report.files, "file")}`;
  if (report.valid || options.output !== "table") {
    await printData(options.output, report, () => `ok: ${count}`);
  } else {
    const errors = report.findings.filter((finding) => finding.severity === "error").length;
    printMessage(`not valid: ${plural(errors, "error")}, ${plural(report.files, "file")} read`);
  }
  return report.valid ? EXIT.ok : EXIT.badInput;
}

async function validatePaths(paths: readonly string[], lenient: boolean): Promise<Report> {
  const files = new Map<string, ReadFile>();
  const unread: Finding[] = [];
  for (const path of paths) {
    try {
      // A file that two of the paths lead to is read as one, not as its own duplicate.
      for (const file of await readSourceFiles(path)) files.set(file.path, file);
    } catch (error) {
      if (!(error instanceof FileReadError)) throw error;
      unread.push(readErrorFinding(error, error.path));
    }
  }
  const sources = [...files.values()].map(({ path, text }) => ({ file: path, text }));
  const { resources, findings, resourceCount } = loadConfig(sources, { lenient });
  return {
    valid: resources !== null && unread.length === 0,
    files: files.size,
    resources: resourceCount,
    findings: [...unread, ...findings],
  };
}
