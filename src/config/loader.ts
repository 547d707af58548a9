/**
 * Files to resources: one generation of the configuration, all or nothing. Pure: the same texts give the same
 * resources and the same findings.
 */
import { compareTexts } from "../lib/compare_texts.ts";
import type { SourceFile } from "../runtime/read_files.ts";
import { analyze } from "./analysis/analyzers.ts";
import { CODES } from "./codes.ts";
import { CollectedResources } from "./collected_resources.ts";
import { readDocuments, type ReadPart } from "./documents.ts";
import type { Finding } from "./finding.ts";
import type { ResourceSet } from "./resource.ts";
import { isTooLarge, YAML_VALUES_MAX } from "./yaml_node.ts";
import { sectionsOf } from "./yaml_sections.ts";

/** How many findings one load keeps; a broken generator of YAML can make any number. */
export const FINDINGS_MAX = 1_000;

export interface LoadOptions {
  /** Fields and kinds that are not implemented are warnings, and left out. @default false */
  readonly lenient?: boolean;
  /** The mesh's: a MeshConfig may not say otherwise. @default nobody knows */
  readonly trustDomain?: string;
}

export interface LoadResult {
  /** Null when there is an error among the findings. */
  readonly resources: ResourceSet | null;
  /** By file, line and column. */
  readonly findings: readonly Finding[];
  /** How many resources were valid, whether or not the whole is. */
  readonly resourceCount: number;
}

/** Reads all documents of `files`, validates each, and then the whole. Never throws. */
export function loadConfig(files: readonly SourceFile[], options: LoadOptions = {}): LoadResult {
  const { resources, findings, resourceCount } = new ConfigReader(options).read(files);
  return { resources, findings: allFindings(resources, findings), resourceCount };
}

/** What was found while reading, and what only shows across resources; by position, and no more than FINDINGS_MAX. */
export function allFindings(resources: ResourceSet | null, findings: readonly Finding[]): readonly Finding[] {
  const found = [...findings, ...resources === null ? [] : analyze(resources)];
  return limited(found.sort(byPosition));
}

/**
 * Reads one state of the same files after the other. A file that is as it was keeps its resources, the very objects, so
 * that an edit costs the files that it touches.
 */
export class ConfigReader {
  readonly #lenient: boolean;
  readonly #trustDomain: string | undefined;
  #known: ReadonlyMap<string, ReadWhole> = new Map();
  #collected: CollectedResources | null = null;

  constructor(options: LoadOptions = {}) {
    this.#lenient = options.lenient ?? false;
    this.#trustDomain = options.trustDomain;
  }

  /** All but allFindings(): its findings are those of the files, in no order. Never throws. */
  read(files: readonly SourceFile[]): LoadResult {
    const read = new Map<string, ReadWhole>();
    const parts = files.map(({ file, text }) => {
      const known = this.#known.get(file);
      const part = known?.text === text ? known : this.#readFile({ file, text }, known);
      read.set(file, part);
      return part;
    });
    this.#known = read;
    const collected = this.#collected = new CollectedResources(parts, this.#collected);
    if (this.#trustDomain !== undefined) collected.holdTo(this.#trustDomain);
    const { findings, count: resourceCount } = collected;
    const broken = findings.some((finding) => finding.severity === "error");
    return { resources: broken ? null : collected.resources(), findings, resourceCount };
  }

  /** Documents that stand where they stood keep their resources, too. Where anything is wrong the whole file says what. */
  #readFile(source: SourceFile, known: ReadWhole | undefined): ReadWhole {
    const { file, text } = source;
    const whole = (): ReadWhole => {
      const { resources, findings } = readDocuments(source, this.#lenient);
      return { text, resources, findings, sections: new Map() };
    };
    const pieces = isTooLarge(text) ? null : sectionsOf(text);
    if (pieces === null) return whole();
    const sections = new Map<string, ReadSection>();
    for (const { text, line } of pieces) {
      const before = known?.sections.get(text);
      const section = before?.line === line
        ? before
        : { line, ...readDocuments({ file, text }, this.#lenient, line) };
      if (section.findings.length > 0 || sections.has(text)) return whole();
      sections.set(text, section);
    }
    const all = [...sections.values()];
    if (all.reduce((sum, { valueCount }) => sum + valueCount, 0) > YAML_VALUES_MAX) return whole();
    return { text, resources: all.flatMap(({ resources }) => resources), findings: [], sections };
  }
}

interface ReadSection extends ReadPart {
  /** In the file, from 1. */
  readonly line: number;
}

interface ReadWhole extends Pick<ReadPart, "resources" | "findings"> {
  readonly text: string;
  /** By their texts; none where something was found. */
  readonly sections: ReadonlyMap<string, ReadSection>;
}

function byPosition(a: Finding, b: Finding): number {
  return compareTexts(a.file, b.file) || a.line - b.line || a.column - b.column;
}

function limited(findings: Finding[]): Finding[] {
  const last = findings[FINDINGS_MAX - 1];
  if (last === undefined || findings.length <= FINDINGS_MAX) return findings;
  const { file, line, column } = last;
  const more = findings.length - FINDINGS_MAX;
  const severity = findings.slice(FINDINGS_MAX).some((finding) => finding.severity === "error")
    ? "error"
    : "warning";
  const message = `${more} more findings are not shown`;
  const rest = {
    code: CODES.limitExceeded,
    severity,
    file,
    line,
    column,
    resource: null,
    field: null,
  } as const;
  return [...findings.slice(0, FINDINGS_MAX), { ...rest, message, hint: null }];
}
