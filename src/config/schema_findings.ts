/** Validates a document against its kind's schema, and says what is wrong as findings with positions. */
import * as v from "valibot";
import { isMap } from "../lib/is_map.ts";
import { CODES } from "./codes.ts";
import type { Finding } from "./finding.ts";
import type { Schema } from "./schema/fields.ts";
import { type Problem, readProblem } from "./schema/problem.ts";
import { type Refused, refusedIn } from "./schema/unimplemented.ts";
import type { YamlNode } from "./yaml_node.ts";
import type { Path } from "./yaml_places.ts";

/** How much of a wrong value a message repeats, in UTF-16 units. */
const QUOTED_LENGTH_MAX = 60;

export interface Validation<Output> {
  /** Null when there is an error among the findings. */
  readonly output: Output | null;
  readonly findings: readonly Finding[];
}

/** A problem at its place in the document. */
interface PlacedProblem extends Problem {
  readonly path: Path;
  /** The position is that of the key, not of the value. */
  readonly atKey: boolean;
  /** Whether the problem is how the fields of one mapping go together. */
  readonly aboutWhole: boolean;
  /** The field whose absence it is about. */
  readonly missing: string | null;
}

/** What is known of a document of a kind before it is validated; other documents have none, and nothing to refuse. */
export interface Subject {
  readonly kind: string;
  /** Its name in findings. */
  readonly resource: string | null;
}

/**
 * Validates against the kind's schema, and refuses what is not implemented. With `lenient`, fields that are not
 * implemented are taken out and reported as warnings.
 */
export function validate<Output>(
  schema: Schema<Output>,
  node: YamlNode,
  subject: Subject | null,
  lenient: boolean,
): Validation<Output> {
  const place = (problem: PlacedProblem, severity: "error" | "warning") =>
    toFinding(problem, severity, node, subject?.resource ?? null);
  const refused = subject === null ? [] : refusedIn(subject.kind, node.value).map(placed);
  let result = v.safeParse(schema, node.value);
  let problems = [...refused, ...(result.issues ?? []).map(toProblem)];
  let warnings: Finding[] = [];
  if (problems.length > 0 && lenient) {
    const dropped = problems.filter((problem) => problem.code === CODES.unimplementedField);
    warnings = dropped.map((problem) => place({ ...problem, hint: "it has no effect" }, "warning"));
    result = v.safeParse(schema, without(node.value, dropped.map((problem) => problem.path)));
    problems = [
      ...refused.filter((problem) => problem.code !== CODES.unimplementedField),
      ...(result.issues ?? []).map(toProblem),
    ];
  }
  if (result.success && problems.length === 0) return { output: result.output, findings: warnings };
  const errors = withoutConsequences(problems).map((problem) => place(problem, "error"));
  return { output: null, findings: [...warnings, ...errors] };
}

/** A field is pointed at by its name, a value by itself. */
function placed(problem: Refused): PlacedProblem {
  return { ...problem, atKey: problem.code === CODES.unimplementedField, aboutWhole: false, missing: null };
}

/** `spec.http[0].headers["x-a"]`; null for the root. */
export function formatPath(path: Path): string | null {
  let text = "";
  for (const step of path) {
    if (typeof step === "number") text += `[${step}]`;
    else if (!/^[A-Za-z_][A-Za-z0-9_-]*$/.test(step)) text += `[${JSON.stringify(step)}]`;
    else text += text === "" ? step : `.${step}`;
  }
  return text === "" ? null : text;
}

function toFinding(
  problem: PlacedProblem,
  severity: "error" | "warning",
  node: YamlNode,
  resource: string | null,
): Finding {
  const { code, message, hint, path, atKey } = problem;
  const position = atKey ? node.keyPositionOf(path) : node.positionOf(path);
  return { code, severity, ...position, resource, field: formatPath(path), message, hint };
}

function toProblem(issue: v.BaseIssue<unknown>): PlacedProblem {
  const items = issue.path ?? [];
  const path = items.map((item) => item.key as string | number);
  const last = path.at(-1);
  const isMissing = issue.kind === "schema" && issue.received === "undefined" &&
    issue.expected === `"${last}"`;
  const own = readProblem(issue.message);
  return {
    ...(own ?? { code: CODES.schema, ...ofType(issue, isMissing ? String(last) : null) }),
    ...(own?.message.startsWith("{}") ? { message: quote(issue.input) + own.message.slice(2) } : {}),
    path,
    atKey: !isMissing && (items.at(-1) as { origin?: string } | undefined)?.origin === "key",
    aboutWhole: (issue.type === "check" || issue.type === "raw_check") && isMap(issue.input),
    missing: isMissing ? String(last) : null,
  };
}

/** What valibot's own issues, which are about types and absence, mean to the writer of YAML. */
function ofType(
  issue: v.BaseIssue<unknown>,
  missing: string | null,
): { message: string; hint: string | null } {
  if (missing !== null) return { message: `the field "${missing}" is required`, hint: null };
  const expected = EXPECTED[issue.type] ?? issue.expected ?? "another value";
  return {
    message: `expected ${expected}, found ${describe(issue.input)}`,
    hint: typeHint(issue.type, issue.input),
  };
}

const EXPECTED: Readonly<Record<string, string>> = {
  string: "a string",
  number: "a number",
  boolean: "true or false",
  array: "a list",
  custom: "a mapping",
  record: "a mapping",
  loose_object: "a mapping",
};

function typeHint(type: string, input: unknown): string | null {
  if (type === "string" && (typeof input === "number" || typeof input === "boolean")) {
    return `put it in quotes: "${input}"`;
  }
  if (type === "number" && typeof input === "string" && /^\d+$/.test(input)) {
    return `remove the quotes: ${input}`;
  }
  return null;
}

function describe(input: unknown): string {
  if (input === null || input === undefined) return "nothing";
  if (Array.isArray(input)) return "a list";
  if (typeof input === "object") return "a mapping";
  if (typeof input === "number") return `the number ${input}`;
  return typeof input === "boolean" ? String(input) : `the string ${quote(input)}`;
}

function quote(input: unknown): string {
  const text = JSON.stringify(input) ?? "nothing";
  return text.length <= QUOTED_LENGTH_MAX ? text : `${text.slice(0, QUOTED_LENGTH_MAX)}…`;
}

/** One mistake, one finding: drops what only follows from a field that is unknown, or lies in one not implemented. */
function withoutConsequences(problems: readonly PlacedProblem[]): PlacedProblem[] {
  const misnamed = problems.filter(({ code }) =>
    code === CODES.unknownField || code === CODES.unimplementedField
  );
  const refused = misnamed.filter(({ code }) => code === CODES.unimplementedField);
  return problems.filter((problem) => {
    if (refused.some((other) => problem !== other && isPrefix(other.path, problem.path))) return false;
    const { missing, path, aboutWhole } = problem;
    const parent = missing === null ? path : path.slice(0, -1);
    const beside = misnamed.filter((other) => samePath(other.path.slice(0, -1), parent));
    if (missing !== null) return !beside.some((other) => other.meant === missing);
    return !(aboutWhole && beside.length > 0);
  });
}

function samePath(a: Path, b: Path): boolean {
  return a.length === b.length && a.every((step, index) => step === b[index]);
}

function isPrefix(prefix: Path, path: Path): boolean {
  return prefix.length <= path.length && prefix.every((step, index) => step === path[index]);
}

/** A copy without the values at `paths`, and without mappings that are empty then: those would be faults of their own. */
function without(value: unknown, paths: readonly Path[]): unknown {
  const copy = structuredClone(value);
  for (const path of paths) remove(copy, path);
  return copy;
}

function remove(root: unknown, path: Path): void {
  const parents: unknown[] = [root];
  for (const step of path.slice(0, -1)) parents.push((parents.at(-1) as Record<string, unknown>)?.[step]);
  for (let depth = path.length - 1; depth > 0; depth--) {
    const parent = parents[depth];
    // An item keeps its place, so that the paths of others stay true; one field may have gone with another before.
    if (!isMap(parent)) return;
    delete parent[path[depth] as string];
    if (Object.keys(parent).length > 0) return;
  }
}
