/** A file that is one document of its own schema, and no resource. */
import type { SourceFile } from "../runtime/read_files.ts";
import { CODES } from "./codes.ts";
import type { Finding } from "./finding.ts";
import type { Schema } from "./schema/fields.ts";
import { validate } from "./schema_findings.ts";
import { parseYaml, type YamlNode } from "./yaml_node.ts";

/** `document` is null, with the reasons, when the file has no such document; `wanted` says what it should be. */
export function readSingleDocument<Output>(
  source: SourceFile,
  schema: Schema<Output>,
  wanted: string,
): { readonly document: { node: YamlNode; output: Output } | null; readonly findings: readonly Finding[] } {
  const { nodes, findings } = parseYaml(source);
  if (findings.length > 0) return { document: null, findings };
  const [node, second] = nodes;
  if (node === undefined || second !== undefined) {
    const position = second?.positionOf([]) ?? { file: source.file, line: 1, column: 1 };
    const about = { code: CODES.schema, severity: "error", resource: null, field: null, hint: null } as const;
    return { document: null, findings: [{ ...about, ...position, message: wanted }] };
  }
  const { output, findings: problems } = validate(schema, node, null, false);
  return { document: output === null ? null : { node, output }, findings: problems };
}
