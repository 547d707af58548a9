/** The configuration that a command works on, read from the files alone. */
import { readErrorFinding } from "../config/config_store.ts";
import type { Finding } from "../config/finding.ts";
import { loadConfig, type LoadResult } from "../config/loader.ts";
import type { ResourceSet } from "../config/resource.ts";
import { nearest } from "../lib/edit_distance.ts";
import { TRUST_DOMAIN_DEFAULT } from "../model/spiffe_id.ts";
import { workloadKey } from "../model/workload.ts";
import { meshConfigOf } from "../pilot/mesh_defaults.ts";
import { fileWorkloads, type MeshWorkload } from "../pilot/file_workloads.ts";
import { FileReadError, type ReadFile, readSourceFiles } from "../runtime/read_files.ts";
import { CommandError, EXIT } from "./exit_codes.ts";
import { printFindings } from "./findings.ts";

/** How many known workloads an error names when none is near. */
const WORKLOADS_NAMED_MAX = 10;

/** What a directory says, and how many files say it. */
export interface LoadedConfig extends LoadResult {
  readonly files: number;
}

/** Reads `path` as one configuration; findings name files as the user would write them. Throws CommandError. */
export async function readConfig(path: string): Promise<LoadedConfig> {
  const files = await readFiles(path, "configuration");
  const paths = new Map(files.map((one) => [one.file, one.path]));
  const named = (finding: Finding) => ({ ...finding, file: paths.get(finding.file) ?? finding.file });
  const result = loadConfig(files);
  return { ...result, findings: result.findings.map(named), files: files.length };
}

/** The resources of a configuration that must be valid; `hint` says what cannot be done otherwise. Throws CommandError. */
export async function loadResources(path: string, hint: string): Promise<ResourceSet> {
  const { resources, findings } = await readConfig(path);
  if (resources !== null) return resources;
  printFindings(findings);
  throw new CommandError(EXIT.badInput, `The configuration in ${path} is not valid`, hint);
}

/** Of the mesh that the files describe, as far as they say. */
export function trustDomainOf(resources: ResourceSet): string {
  return meshConfigOf(resources).trustDomain ?? TRUST_DOMAIN_DEFAULT;
}

/** Why there is nothing to say of a workload, with the name that was probably meant. */
export function unknownWorkload(from: string, config: string, resources: ResourceSet): CommandError {
  return unknownAmong(fileWorkloads(resources.workloadEntries), from, {
    who: `WorkloadEntry in ${config}`,
    none:
      "there is no WorkloadEntry at all; a workload that joined with a token alone needs one to be explained, " +
      "or explain --live",
    others: "; bowline explain --live knows all that joined",
  });
}

/** The same of all `workloads`; `none` is the hint where there is not one, `others` ends it where none is near. */
export function unknownAmong(
  workloads: readonly MeshWorkload[],
  from: string,
  { who, none, others = "" }: { readonly who: string; readonly none: string; readonly others?: string },
): CommandError {
  const known = workloads.map(workloadKey);
  const meant = nearest(from, known);
  const named = known.slice(0, WORKLOADS_NAMED_MAX).join(", ");
  const more = known.length > WORKLOADS_NAMED_MAX ? `, and ${known.length - WORKLOADS_NAMED_MAX} more` : "";
  const hint = meant !== undefined
    ? `did you mean ${meant}?`
    : known.length === 0
    ? none
    : `there are ${named}${more}${others}`;
  return new CommandError(EXIT.badInput, `No ${who} is ${from}`, hint);
}

/** The texts of files, of which an error says that they are `what`. Throws CommandError. */
export async function readFiles(path: string, what: string): Promise<readonly ReadFile[]> {
  try {
    return await readSourceFiles(path);
  } catch (error) {
    if (!(error instanceof FileReadError)) throw error;
    printFindings([readErrorFinding(error, error.path)]);
    throw new CommandError(EXIT.badInput, `The ${what} in ${path} cannot be read`, undefined, {
      cause: error,
    });
  }
}
