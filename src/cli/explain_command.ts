/** `bowline explain`: where a request would go and why, from the files alone. */
import { readErrorFinding } from "../config/config_store.ts";
import { loadConfig } from "../config/loader.ts";
import type { ResourceSet } from "../config/resource.ts";
import { nearest } from "../lib/edit_distance.ts";
import { parseWorkloadKey, workloadKey } from "../model/workload.ts";
import { fileWorkloads } from "../pilot/file_workloads.ts";
import { translateFiles } from "../pilot/translate.ts";
import { explain } from "../proxy/explain/explain.ts";
import { type ExplainRequest, ExplainRequestError, readExplainRequest } from "../proxy/explain/request.ts";
import { FileReadError, type ReadFile, readSourceFiles } from "../runtime/read_files.ts";
import { CommandError, EXIT, type ExitCode } from "./exit_codes.ts";
import { explainText } from "./explain_text.ts";
import { type OutputFormat, printable, printData, printMessage } from "./output.ts";
import { TRUST_DOMAIN_DEFAULT } from "./run_command.ts";
import { printFindings } from "./validate_command.ts";

export interface ExplainOptions {
  readonly output: OutputFormat;
  /** Directory of Istio YAML files. */
  readonly config: string;
  /** `NAMESPACE/NAME` of the caller. */
  readonly from: string;
  readonly method: string;
  readonly url: string;
  /** `NAME: VALUE`. */
  readonly headers: readonly string[];
}

/** How many known workloads an error names when none is near. */
const WORKLOADS_NAMED_MAX = 10;

export async function runExplain(options: ExplainOptions): Promise<ExitCode> {
  const { config, from, output } = options;
  if (parseWorkloadKey(from) === undefined) {
    throw new CommandError(
      EXIT.usage,
      `The caller must be NAMESPACE/NAME in lower case, not ${JSON.stringify(from)}`,
      "for instance --from tutorial/customer",
    );
  }
  const request = readRequest(options);
  const resources = await loadResources(config);
  // Nothing of the answer depends on the trust domain.
  const snapshot = translateFiles(resources, from, TRUST_DOMAIN_DEFAULT);
  if (snapshot === undefined) throw unknownWorkload(from, config, resources);
  const explained = explain(snapshot, request);
  if (output !== "table") {
    for (const { text } of explained.notes) {
      printMessage(`Note: ${printable(text)}`);
    }
  }
  await printData(output, explained.explanation, () => explainText(explained));
  return EXIT.ok;
}

function readRequest({ method, url, headers }: ExplainOptions): ExplainRequest {
  try {
    return readExplainRequest(method, url, headers);
  } catch (error) {
    if (!(error instanceof ExplainRequestError)) throw error;
    throw new CommandError(EXIT.usage, printable(error.message), HINTS[error.code], { cause: error });
  }
}

const HINTS: Readonly<Record<ExplainRequestError["code"], string | undefined>> = {
  method: "the method comes first: bowline explain ... POST http://cart/items",
  url: "for instance http://recommendation:8080/path?query",
  header: "for instance -H 'x-user: ann'",
  refused: undefined,
};

async function loadResources(path: string): Promise<ResourceSet> {
  const files = await readFiles(path);
  const { resources, findings } = loadConfig(files);
  if (resources !== null) return resources;
  // As the user would write them from here, not relative to the directory.
  const paths = new Map(files.map((one) => [one.file, one.path]));
  printFindings(findings.map((finding) => ({ ...finding, file: paths.get(finding.file) ?? finding.file })));
  throw new CommandError(
    EXIT.badInput,
    `The configuration in ${path} is not valid`,
    "nothing can be explained until it loads as a whole",
  );
}

async function readFiles(path: string): Promise<readonly ReadFile[]> {
  try {
    return await readSourceFiles(path);
  } catch (error) {
    if (!(error instanceof FileReadError)) throw error;
    printFindings([readErrorFinding(error, error.path)]);
    throw new CommandError(EXIT.badInput, `The configuration in ${path} cannot be read`, undefined, {
      cause: error,
    });
  }
}

function unknownWorkload(from: string, config: string, resources: ResourceSet): CommandError {
  const known = fileWorkloads(resources.workloadEntries).map(workloadKey);
  const meant = nearest(from, known);
  const named = known.slice(0, WORKLOADS_NAMED_MAX).join(", ");
  const more = known.length > WORKLOADS_NAMED_MAX ? `, and ${known.length - WORKLOADS_NAMED_MAX} more` : "";
  const hint = meant !== undefined
    ? `did you mean ${meant}?`
    : known.length === 0
    ? "there is no WorkloadEntry at all; a workload that joined with a token alone needs one to be explained"
    : `there are ${named}${more}`;
  return new CommandError(EXIT.badInput, `No WorkloadEntry in ${config} is ${from}`, hint);
}
