/**
 * YAML with a way back: a text becomes plain values, and every path into a value finds its line and column again.
 * Depth and expansion are bounded before anything walks the tree, so that no file can exhaust the stack or the memory.
 */
import { type Alias, Composer, type Document, isAlias, isMap, isScalar, isSeq, Lexer, Parser } from "yaml";
import type { CST, Node, Scalar, YAMLError } from "yaml";
import { FILE_BYTES_MAX, type SourceFile } from "../runtime/read_files.ts";
import { CODES } from "./codes.ts";
import type { Finding } from "./finding.ts";
import type { Position } from "./resource.ts";
import { Lines, type Path, type Places, PlacesBuilder } from "./yaml_places.ts";

/** How deep lists and mappings may nest; Istio's deepest message needs about 15. */
export const YAML_DEPTH_MAX = 100;

/** How many values one file may hold, with every alias counted as what it stands for. */
export const YAML_VALUES_MAX = 100_000;

/** Names that JavaScript's objects give a meaning of their own; no field, label or header of Istio's has them. */
const RESERVED_KEYS: ReadonlySet<string> = new Set(["__proto__", "constructor", "prototype"]);

/** What one text says: its documents that are not empty, and why others could not be read. */
export interface ParsedFile {
  readonly nodes: readonly YamlNode[];
  readonly findings: readonly Finding[];
  /** How many values it holds, with every alias counted as what it stands for. */
  readonly valueCount: number;
}

/** A value of a YAML document, and where it and its parts were written. */
export class YamlNode {
  readonly value: unknown;
  readonly #places: Places;
  /** Its number there. */
  readonly #at: number;

  constructor(places: Places, at: number, value: unknown) {
    this.#places = places;
    this.#at = at;
    this.value = value;
  }

  /** Where the value at `path` begins; that of the nearest ancestor when it is absent. */
  positionOf(path: Path): Position {
    return this.#places.position(this.#find(path));
  }

  /** Where the key at the end of `path` stands; for a list's item, the item. */
  keyPositionOf(path: Path): Position {
    return this.#places.keyPosition(this.#find(path));
  }

  /** The items of the list at `path`, each a node of its own. */
  items(path: Path): YamlNode[] {
    let list = this.value;
    for (const step of path) list = (list as Record<string | number, unknown>)[step];
    if (!Array.isArray(list)) return [];
    const at = this.#find(path);
    return list.map((item, index) => new YamlNode(this.#places, this.#places.child(at, index), item));
  }

  #find(path: Path): number {
    return this.#places.find(this.#at, this.value, path);
  }
}

/** Whether a file is more than is read of one. */
export function isTooLarge(text: string): boolean {
  return text.length > FILE_BYTES_MAX || new TextEncoder().encode(text).length > FILE_BYTES_MAX;
}

/** Reads all documents of a text, whose first line has that number in the file. Never throws. */
export function parseYaml({ file, text }: SourceFile, firstLine = 1): ParsedFile {
  const lines = new Lines(file, text, firstLine);
  const at = (offset: number) => lines.position(offset);
  if (isTooLarge(text)) {
    return failed(CODES.limitExceeded, at(0), `the file is larger than ${FILE_BYTES_MAX} bytes`);
  }
  const tokens = tokenize(text);
  if (typeof tokens === "number") {
    return failed(
      CODES.limitExceeded,
      at(tokens),
      `lists and mappings are nested more than ${YAML_DEPTH_MAX} deep`,
    );
  }
  const nodes: YamlNode[] = [];
  const findings: Finding[] = [];
  const budget = { values: YAML_VALUES_MAX };
  // toValue() finds keys that stand twice: the composer compares each with each, minutes for a large mapping.
  const composer = new Composer({ uniqueKeys: false, stringKeys: true, schema: "core" });
  for (const document of composer.compose(tokens)) {
    const fault = document.errors[0] ?? document.warnings[0];
    if (fault !== undefined) {
      findings.push(finding(CODES.yamlSyntax, at(fault.pos[0]), syntaxReason(fault)));
      continue;
    }
    try {
      const node = readDocument(document, budget, (places) => places.finish(lines));
      if (node !== null) nodes.push(node);
    } catch (error) {
      if (!(error instanceof UnreadableValue)) throw error;
      findings.push(finding(error.code, at(error.offset), error.message));
      if (error.code === CODES.limitExceeded) break;
    }
  }
  return { nodes, findings, valueCount: YAML_VALUES_MAX - budget.values };
}

/** The text's tokens as `yaml`'s parser groups them, or the offset where they nest too deep. */
function tokenize(text: string): CST.Token[] | number {
  const parser = new Parser();
  const tokens: CST.Token[] = [];
  for (const lexeme of new Lexer().lex(text)) {
    tokens.push(...parser.next(lexeme));
    // The parser's stack holds the document and the scalar in hand besides the collections; toValue() is exact.
    if (parser.stack.length > YAML_DEPTH_MAX + 2) return parser.offset;
  }
  tokens.push(...parser.end());
  return tokens;
}

function readDocument(
  document: Document.Parsed,
  budget: { values: number },
  finish: (places: PlacesBuilder) => Places,
): YamlNode | null {
  const root = document.contents as Node | null;
  if (root === null || (isScalar(root) && root.value === null)) return null;
  const source = new Source();
  source.bindAliases(root);
  const value = toValue(root, source, budget, 0);
  const places = new PlacesBuilder();
  addPlaces(places, root, null, value, source);
  return new YamlNode(finish(places), 0, value);
}

/** Of a value and of all in it, those of aliases as often as they stand for something. */
function addPlaces(
  places: PlacesBuilder,
  node: Node,
  key: Node | null,
  value: unknown,
  source: Source,
): void {
  const at = places.begin(offsetOf(node), key === null ? null : offsetOf(key));
  const resolved = source.resolve(node);
  if (isSeq(resolved)) {
    for (const [index, item] of resolved.items.entries()) {
      addPlaces(places, item as Node, null, (value as unknown[])[index], source);
    }
  } else if (isMap(resolved)) {
    const pairs = new Map(resolved.items.map((pair) => [keyText(pair.key), pair]));
    for (const [name, part] of Object.entries(value as Record<string, unknown>)) {
      const pair = pairs.get(name);
      if (pair !== undefined) {
        addPlaces(places, (pair.value ?? pair.key) as Node, pair.key as Node, part, source);
      }
    }
  }
  places.end(at);
}

/** One document's anchors. */
class Source {
  readonly #targets = new Map<Alias, Node>();

  /** What an alias stands for, or the node itself. */
  resolve(node: Node): Node {
    return isAlias(node) ? this.#targets.get(node) ?? node : node;
  }

  /** Ties each alias to the last anchor of its name before it (YAML 1.2 §7.1). */
  bindAliases(root: Node): void {
    const anchors = new Map<string, Node>();
    const visit = (node: Node | null): void => {
      if (node === null) return;
      if (isAlias(node)) {
        const target = anchors.get(node.source);
        if (target === undefined) {
          throw new UnreadableValue(
            CODES.yamlSyntax,
            offsetOf(node),
            `nothing before defines the anchor &${node.source}`,
          );
        }
        this.#targets.set(node, target);
        return;
      }
      if (node.anchor !== undefined) anchors.set(node.anchor, node);
      if (isMap(node)) {
        for (const pair of node.items) {
          visit(pair.key as Node | null);
          visit(pair.value as Node | null);
        }
      } else if (isSeq(node)) { for (const item of node.items) visit(item as Node | null); }
    };
    visit(root);
  }
}

/** Plain values for a node. An alias is followed as often as it stands somewhere; `budget` ends what never would. */
function toValue(node: Node | null, source: Source, budget: { values: number }, depth: number): unknown {
  if (node === null) return null;
  if (--budget.values < 0) {
    throw new UnreadableValue(
      CODES.limitExceeded,
      offsetOf(node),
      `the file holds more than ${YAML_VALUES_MAX} values`,
    );
  }
  const resolved = source.resolve(node);
  if (isScalar(resolved)) return scalarValue(resolved);
  if (depth >= YAML_DEPTH_MAX) {
    throw new UnreadableValue(
      CODES.limitExceeded,
      offsetOf(node),
      `lists and mappings are nested more than ${YAML_DEPTH_MAX} deep`,
    );
  }
  if (isSeq(resolved)) {
    return resolved.items.map((item) => toValue(item as Node | null, source, budget, depth + 1));
  }
  if (!isMap(resolved)) return null;
  const value: Record<string, unknown> = {};
  for (const pair of resolved.items) {
    const name = keyText(pair.key);
    const fault = RESERVED_KEYS.has(name)
      ? `"${name}" cannot be the name of a field`
      : Object.hasOwn(value, name)
      ? `the key "${name}" stands twice in one mapping`
      : null;
    if (fault !== null) throw new UnreadableValue(CODES.yamlSyntax, offsetOf(pair.key as Node), fault);
    value[name] = toValue(pair.value as Node | null, source, budget, depth + 1);
  }
  return value;
}

/** A document can declare YAML 1.1, which has dates and merge keys; resources have neither, so they stay text. */
function scalarValue({ value, source }: Scalar): unknown {
  const isPlain = value === null || ["string", "number", "boolean"].includes(typeof value);
  return isPlain ? value : source ?? String(value);
}

class UnreadableValue extends Error {
  readonly code: string;
  readonly offset: number;

  constructor(code: string, offset: number, message: string) {
    super(message);
    this.code = code;
    this.offset = offset;
  }
}

function keyText(key: unknown): string {
  return isScalar(key) ? String(key.value ?? "") : "";
}

function offsetOf(node: Node): number {
  return node.range?.[0] ?? 0;
}

/** The parser's reason as the rest of a sentence. */
function syntaxReason(error: YAMLError): string {
  const reason = error.message.replace(/[.:]?\s*$/, "");
  return `not valid YAML: ${reason.charAt(0).toLowerCase()}${reason.slice(1)}`;
}

function finding(code: string, position: Position, message: string): Finding {
  return { code, severity: "error", ...position, resource: null, field: null, message, hint: null };
}

function failed(code: string, position: Position, message: string): ParsedFile {
  return { nodes: [], findings: [finding(code, position, message)], valueCount: 0 };
}
