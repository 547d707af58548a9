/** The documents of one file, or of a part of it, each validated by its kind's schema. */
import { nearest } from "../lib/edit_distance.ts";
import { isMap } from "../lib/is_map.ts";
import type { SourceFile } from "../runtime/read_files.ts";
import { CODES } from "./codes.ts";
import type { Finding } from "./finding.ts";
import type { ConfigResource, ResourceSet } from "./resource.ts";
import { IMPLEMENTED_KINDS, type Kind, KINDS, LIST_API_VERSION, LIST_KIND } from "./schema/kinds.ts";
import { NAMESPACE_DEFAULT } from "./schema/metadata.ts";
import { UNIMPLEMENTED_KINDS } from "./schema/unimplemented.ts";
import { validate } from "./schema_findings.ts";
import { parseYaml, type YamlNode } from "./yaml_node.ts";

/** A resource, and where it stands in a ResourceSet. */
export interface ReadResource {
  readonly set: keyof ResourceSet;
  readonly resource: ConfigResource<unknown>;
}

/** What a file, or a part of it, says for itself. */
export interface ReadPart {
  readonly resources: readonly ReadResource[];
  readonly findings: readonly Finding[];
  readonly valueCount: number;
}

/** `firstLine` is where the text stands in its file. */
export function readDocuments(source: SourceFile, lenient: boolean, firstLine = 1): ReadPart {
  return new Documents(lenient).read(source, firstLine);
}

class Documents {
  readonly #findings: Finding[] = [];
  readonly #resources: ReadResource[] = [];
  readonly #lenient: boolean;

  constructor(lenient: boolean) {
    this.#lenient = lenient;
  }

  read(source: SourceFile, firstLine: number): ReadPart {
    const { nodes, findings, valueCount } = parseYaml(source, firstLine);
    this.#findings.push(...findings);
    for (const node of nodes) this.#document(node);
    return { resources: this.#resources, findings: this.#findings, valueCount };
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
    this.#findings.push(...findings);
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
    this.#resources.push({ set: kind.set, resource });
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
    this.#findings.push({ code, severity, ...node.positionOf(path), resource, field, message, hint });
  }
}

/** `KIND NAMESPACE/NAME` as far as the document says it. */
function describe(value: unknown): string | null {
  if (!isMap(value) || typeof value["kind"] !== "string" || !isMap(value["metadata"])) return null;
  const { name, namespace } = value["metadata"];
  if (typeof name !== "string") return null;
  return `${value["kind"]} ${typeof namespace === "string" ? namespace : NAMESPACE_DEFAULT}/${name}`;
}
