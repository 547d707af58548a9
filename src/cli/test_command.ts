/** `bowline test FILE...`: a mesh's routing, checked in its owner's own CI against what files expect of it. */
import { readErrorFinding } from "../config/config_store.ts";
import type { Finding } from "../config/finding.ts";
import type { ResourceSet } from "../config/resource.ts";
import { fileSnapshots } from "../pilot/translate.ts";
import { explain } from "../proxy/explain/explain.ts";
import { ExplainRequestError, pathFormOf, readExplainRequest } from "../proxy/explain/request.ts";
import { pathFrom } from "../runtime/files.ts";
import { FileReadError, readSourceFiles } from "../runtime/read_files.ts";
import { loadResources, trustDomainOf, unknownWorkload } from "./config_files.ts";
import { CommandError, EXIT, type ExitCode } from "./exit_codes.ts";
import {
  type Expectation,
  type ExpectationsFile,
  readExpectations,
} from "./expectations/expectations_file.ts";
import { type Mismatch, mismatches } from "./expectations/mismatches.ts";
import { printFindings } from "./findings.ts";
import { type OutputFormat, printable, printData, styled } from "./output.ts";

export interface TestOptions {
  readonly output: OutputFormat;
  /** Directory of Istio YAML files, instead of the one that a file names. */
  readonly config?: string | undefined;
}

/** What came of one expectation. */
interface Result {
  readonly name: string;
  readonly file: string;
  readonly line: number;
  readonly ok: boolean;
  readonly mismatches: readonly Mismatch[];
  /** Why there was no answer to compare; null when there was one. */
  readonly error: string | null;
}

/** What `-o json` prints. */
interface Report {
  readonly passed: number;
  readonly failed: number;
  readonly tests: readonly Result[];
}

/** 0 when every answer is as expected, 1 when not; 65 when a file or a configuration does not load. */
export async function runTest(files: readonly string[], options: TestOptions): Promise<ExitCode> {
  const configs = new Map<string, ResourceSet>();
  const tests: Result[] = [];
  for (const path of files) {
    const { config, expectations } = await readFile(path);
    const directory = options.config ?? (config === null ? undefined : pathFrom(path, config));
    if (directory === undefined) {
      throw new CommandError(
        EXIT.usage,
        `${path} names no configuration`,
        `write "config: DIR" into it, or pass --config DIR`,
      );
    }
    const resources = configs.get(directory) ??
      await loadResources(directory, "nothing can be tested until it loads as a whole");
    configs.set(directory, resources);
    for (const one of expectations) tests.push(resultOf(one, directory, resources));
  }
  const failed = tests.filter(({ ok }) => !ok).length;
  const report: Report = { passed: tests.length - failed, failed, tests };
  await printData(options.output, report, () => reportText(report));
  return failed === 0 ? EXIT.ok : EXIT.error;
}

async function readFile(path: string): Promise<ExpectationsFile> {
  let findings: readonly Finding[];
  try {
    const sources = await readSourceFiles(path);
    const [source] = sources;
    if (source === undefined || sources.length > 1 || source.path !== path.replace(/^\.\//, "")) {
      throw new CommandError(
        EXIT.usage,
        `${path} is not one file of expectations`,
        "name the files themselves",
      );
    }
    const read = readExpectations({ file: source.path, text: source.text });
    if (read.file !== null) return read.file;
    findings = read.findings;
  } catch (error) {
    if (!(error instanceof FileReadError)) throw error;
    findings = [readErrorFinding(error, error.path)];
  }
  printFindings(findings);
  throw new CommandError(EXIT.badInput, `${path} cannot be read as a file of expectations`);
}

function resultOf(expectation: Expectation, config: string, resources: ResourceSet): Result {
  const { name, from, method, url, headers, claims, client, expect, position } = expectation;
  const place = { name, file: position.file, line: position.line };
  try {
    const snapshotOf = fileSnapshots(resources, trustDomainOf(resources));
    const snapshot = snapshotOf(from);
    if (snapshot === undefined) throw unknownWorkload(from, config, resources);
    const request = readExplainRequest(method, url, headers, { claims, client, form: pathFormOf(snapshot) });
    const found = mismatches(expect, explain(snapshot, request, snapshotOf).explanation);
    return { ...place, ok: found.length === 0, mismatches: found, error: null };
  } catch (error) {
    if (error instanceof ExplainRequestError) {
      return { ...place, ok: false, mismatches: [], error: error.message };
    }
    if (!(error instanceof CommandError)) throw error;
    const hint = error.hint === undefined ? "" : `; ${error.hint}`;
    return { ...place, ok: false, mismatches: [], error: `${error.message}${hint}` };
  }
}

function reportText({ passed, failed, tests }: Report): string {
  const lines = tests.flatMap(({ ok, name, file, line, mismatches: found, error }) => {
    if (ok) return [`${styled("stdout", "green", "ok")}    ${printable(name)}`];
    return [
      `${styled("stdout", "red", "FAIL")}  ${printable(`${name} (${file}:${line})`)}`,
      ...(error === null ? [] : [`      ${printable(error)}`]),
      ...found.map(({ field, expected, actual }) =>
        `      ${printable(`${field}: expected ${text(expected)}, and it is ${text(actual)}`)}`
      ),
    ];
  });
  return [...lines, `${passed} passed, ${failed} failed`].join("\n");
}

function text(value: unknown): string {
  return value === undefined ? "not there" : JSON.stringify(value);
}
