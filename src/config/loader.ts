/**
 * Files to resources: one generation of the configuration, all or nothing. Pure: the same texts give the same
 * resources and the same findings.
 */
import { appendTo } from "../lib/append_to.ts";
import { compareTexts } from "../lib/compare_texts.ts";
import { nearest } from "../lib/edit_distance.ts";
import { isMap } from "../lib/is_map.ts";
import type { SourceFile } from "../runtime/read_files.ts";
import { analyze } from "./analysis/analyzers.ts";
import { CODES } from "./codes.ts";
import type { Finding } from "./finding.ts";
import type { ConfigResource, Position, ResourceSet } from "./resource.ts";
import type { MeshConfigSpec } from "./schema/mesh_config.ts";
import { IMPLEMENTED_KINDS, type Kind, KINDS, LIST_API_VERSION, LIST_KIND } from "./schema/kinds.ts";
import { NAMESPACE_DEFAULT } from "./schema/metadata.ts";
import { UNIMPLEMENTED_KINDS } from "./schema/unimplemented.ts";
import { validate } from "./schema_findings.ts";
import { isTooLarge, parseYaml, YAML_VALUES_MAX, type YamlNode } from "./yaml_node.ts";
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

  constructor(options: LoadOptions = {}) {
    this.#lenient = options.lenient ?? false;
    this.#trustDomain = options.trustDomain;
  }

  /** All but allFindings(): its findings are those of the files, in no order. Never throws. */
  read(files: readonly SourceFile[]): LoadResult {
    const read = new Map<string, ReadWhole>();
    const load = new Load();
    for (const { file, text } of files) {
      const known = this.#known.get(file);
      const documents = known?.text === text ? known : this.#readFile({ file, text }, known);
      read.set(file, documents);
      load.add(documents);
    }
    this.#known = read;
    if (this.#trustDomain !== undefined) load.holdTo(this.#trustDomain);
    const broken = load.findings.some((finding) => finding.severity === "error");
    const resources = broken ? null : load.resources();
    return { resources, findings: load.findings, resourceCount: load.count };
  }

  /** Documents that stand where they stood keep their resources, too. Where anything is wrong the whole file says what. */
  #readFile(source: SourceFile, known: ReadWhole | undefined): ReadWhole {
    const { file, text } = source;
    const whole = (): ReadWhole => {
      const { resources, findings } = new Documents(this.#lenient).read(source);
      return { text, resources, findings, sections: new Map() };
    };
    const pieces = isTooLarge(text) ? null : sectionsOf(text);
    if (pieces === null) return whole();
    const sections = new Map<string, ReadSection>();
    for (const { text, line } of pieces) {
      const before = known?.sections.get(text);
      const section = before?.line === line
        ? before
        : { line, ...new Documents(this.#lenient).read({ file, text }, line) };
      if (section.findings.length > 0 || sections.has(text)) return whole();
      sections.set(text, section);
    }
    const all = [...sections.values()];
    if (all.reduce((sum, { valueCount }) => sum + valueCount, 0) > YAML_VALUES_MAX) return whole();
    return { text, resources: all.flatMap(({ resources }) => resources), findings: [], sections };
  }
}

/** What one file, or a part of it, says for itself. */
interface ReadPart {
  readonly resources: readonly ReadResource[];
  readonly findings: readonly Finding[];
  readonly valueCount: number;
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

interface ReadResource {
  readonly set: keyof ResourceSet;
  readonly resource: ConfigResource<unknown>;
}

/** All files together. */
class Load {
  readonly findings: Finding[] = [];
  readonly #byKey = new Map<string, ConfigResource<unknown>>();
  readonly #sets = new Map<keyof ResourceSet, ConfigResource<unknown>[]>();

  get count(): number {
    return this.#byKey.size;
  }

  add({ resources, findings }: ReadWhole): void {
    this.findings.push(...findings);
    for (const { set, resource } of resources) {
      const key = `${resource.kind} ${resource.namespace}/${resource.name}`;
      const first = this.#byKey.get(key);
      if (first !== undefined) {
        this.findings.push(duplicate(key, resource, first));
        continue;
      }
      this.#byKey.set(key, resource);
      appendTo(this.#sets, set, resource);
    }
  }

  /** The mesh has this trust domain, whatever the files say. */
  holdTo(trustDomain: string): void {
    for (const resource of this.#sets.get("meshConfigs") ?? []) {
      const { trustDomain: written } = resource.spec as MeshConfigSpec;
      if (written !== null && written !== trustDomain) {
        this.findings.push(foreignTrustDomain(resource, written, trustDomain));
      }
    }
  }

  resources(): ResourceSet {
    const of = (set: keyof ResourceSet) => (this.#sets.get(set) ?? []).sort(byName) as never[];
    return {
      services: of("services"),
      serviceEntries: of("serviceEntries"),
      workloadEntries: of("workloadEntries"),
      virtualServices: of("virtualServices"),
      destinationRules: of("destinationRules"),
      gateways: of("gateways"),
      sidecars: of("sidecars"),
      workloadGroups: of("workloadGroups"),
      authorizationPolicies: of("authorizationPolicies"),
      peerAuthentications: of("peerAuthentications"),
      requestAuthentications: of("requestAuthentications"),
      proxyConfigs: of("proxyConfigs"),
      meshConfigs: of("meshConfigs"),
    };
  }
}

function foreignTrustDomain(resource: ConfigResource<unknown>, written: string, own: string): Finding {
  return {
    code: CODES.foreignTrustDomain,
    severity: "error",
    ...resource.positionOf(["spec", "trustDomain"]),
    resource: `${resource.kind} ${resource.namespace}/${resource.name}`,
    field: "spec.trustDomain",
    message: `the trust domain is ${JSON.stringify(own)}, not ${JSON.stringify(written)}`,
    hint: "it is the control plane's --trust-domain; names that it had before go to trustDomainAliases",
  };
}

function duplicate(key: string, resource: ConfigResource<unknown>, first: ConfigResource<unknown>): Finding {
  return {
    code: CODES.duplicateResource,
    severity: "error",
    ...resource.positionOf(["metadata", "name"]),
    resource: key,
    field: "metadata.name",
    message: `${key} is already defined at ${formatPosition(first.position)}`,
    hint: "rename or remove one of them",
  };
}

/** One file, or a part of it, in progress. */
class Documents {
  readonly findings: Finding[] = [];
  readonly resources: ReadResource[] = [];
  readonly #lenient: boolean;

  constructor(lenient: boolean) {
    this.#lenient = lenient;
  }

  read(source: SourceFile, firstLine = 1): ReadPart {
    const { nodes, findings, valueCount } = parseYaml(source, firstLine);
    this.findings.push(...findings);
    for (const node of nodes) this.#document(node);
    return { resources: this.resources, findings: this.findings, valueCount };
  }

  #document(node: YamlNode): void {
    const { value } = node;
    if (!isMap(value)) {
      return this.#refuse(
        node,
        [],
        CODES.yamlSyntax,
        "a document is a mapping with apiVersion, kind, metadata and spec",
      );
    }
    const name = value["kind"];
    if (typeof name !== "string") {
      return this.#refuse(
        node,
        ["kind"],
        CODES.unknownKind,
        "the document does not say what it is",
        'add "kind:"',
      );
    }
    if (name === LIST_KIND && value["apiVersion"] === LIST_API_VERSION) return this.#list(node);
    const kind = KINDS.get(name);
    if (kind === undefined || UNIMPLEMENTED_KINDS.has(name)) return this.#otherKind(node, name);
    const version = value["apiVersion"];
    if (typeof version === "string" && !kind.apiVersions.includes(version)) {
      return this.#refuse(
        node,
        ["apiVersion"],
        CODES.wrongApiVersion,
        `${name} has no API version ${JSON.stringify(version)}`,
        `use ${kind.apiVersions.join(", ")}`,
      );
    }
    this.#resource(node, name, kind);
  }

  #list(node: YamlNode): void {
    if (!Array.isArray((node.value as Record<string, unknown>)["items"])) {
      return this.#refuse(node, ["items"], CODES.schema, "a List needs a list of items");
    }
    for (const item of node.items(["items"])) this.#document(item);
  }

  #otherKind(node: YamlNode, name: string): void {
    if (!UNIMPLEMENTED_KINDS.has(name)) {
      const meant = nearest(name, [...KINDS.keys(), ...UNIMPLEMENTED_KINDS]);
      const hint = meant === undefined
        ? `bowline reads ${IMPLEMENTED_KINDS.join(", ")}`
        : `did you mean "${meant}"?`;
      return this.#refuse(node, ["kind"], CODES.unknownKind, `unknown kind ${JSON.stringify(name)}`, hint);
    }
    const message = `the kind ${name} is Istio's, but this version of bowline does not implement it`;
    if (this.#lenient) {
      this.#say("warning", node, ["kind"], CODES.unimplementedKind, message, "it has no effect");
    } else {
      const hint = "remove it, or pass --lenient to load without it";
      this.#refuse(node, ["kind"], CODES.unimplementedKind, message, hint);
    }
  }

  #resource(node: YamlNode, name: string, kind: Kind): void {
    const subject = { kind: name, resource: describe(node.value) };
    const { output, findings } = validate(kind.schema, node, subject, this.#lenient);
    this.findings.push(...findings);
    if (output === null) return;
    const { namespace, labels, annotations } = output.metadata;
    const resource: ConfigResource<unknown> = {
      kind: output.kind,
      apiVersion: output.apiVersion,
      namespace,
      name: output.metadata.name,
      labels,
      annotations,
      spec: output.spec,
      position: node.positionOf([]),
      positionOf: (path) => node.positionOf(path),
    };
    this.resources.push({ set: kind.set, resource });
  }

  #refuse(node: YamlNode, path: string[], code: string, message: string, hint: string | null = null): void {
    this.#say("error", node, path, code, message, hint);
  }

  #say(
    severity: "error" | "warning",
    node: YamlNode,
    path: string[],
    code: string,
    message: string,
    hint: string | null,
  ): void {
    const field = path.length === 0 ? null : path.join(".");
    const resource = describe(node.value);
    this.findings.push({ code, severity, ...node.positionOf(path), resource, field, message, hint });
  }
}

/** `KIND NAMESPACE/NAME` as far as the document says it. */
function describe(value: unknown): string | null {
  if (!isMap(value) || typeof value["kind"] !== "string" || !isMap(value["metadata"])) return null;
  const { name, namespace } = value["metadata"];
  if (typeof name !== "string") return null;
  return `${value["kind"]} ${typeof namespace === "string" ? namespace : NAMESPACE_DEFAULT}/${name}`;
}

function formatPosition({ file, line, column }: Position): string {
  return `${file}:${line}:${column}`;
}

function byName(a: ConfigResource<unknown>, b: ConfigResource<unknown>): number {
  return compareTexts(a.namespace, b.namespace) || compareTexts(a.name, b.name);
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
