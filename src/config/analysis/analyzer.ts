/** What an analyzer is, and how it says what it found. */
import type { Finding, Severity } from "../finding.ts";
import type { ConfigResource, ResourceSet } from "../resource.ts";
import { formatPath } from "../schema_findings.ts";
import type { HostRegistry } from "./host_registry.ts";

export type Analyzer = (resources: ResourceSet, hosts: HostRegistry) => Iterable<Finding>;

/** Steps from a document's root to a field. */
export type FieldPath = readonly (string | number)[];

/** Something that most likely is not what was meant, at the field `path` of a resource. */
export function warning(
  code: string,
  resource: ConfigResource<unknown>,
  path: FieldPath,
  message: string,
  hint: string | null,
): Finding {
  return findingAt("warning", code, resource, path, message, hint);
}

/** Something that may well be meant, and is worth knowing. */
export function notice(
  code: string,
  resource: ConfigResource<unknown>,
  path: FieldPath,
  message: string,
  hint: string | null,
): Finding {
  return findingAt("info", code, resource, path, message, hint);
}

/** Whether somebody wrote the field at `path`; its parent is there. */
export function isWritten(resource: ConfigResource<unknown>, path: FieldPath): boolean {
  const [own, parent] = [resource.positionOf(path), resource.positionOf(path.slice(0, -1))];
  return own.line !== parent.line || own.column !== parent.column;
}

/** `KIND NAMESPACE/NAME (FILE:LINE:COLUMN)`, for messages about two resources. */
export function located({ kind, namespace, name, position }: ConfigResource<unknown>): string {
  return `${kind} ${namespace}/${name} (${position.file}:${position.line}:${position.column})`;
}

function findingAt(
  severity: Severity,
  code: string,
  resource: ConfigResource<unknown>,
  path: FieldPath,
  message: string,
  hint: string | null,
): Finding {
  return {
    code,
    severity,
    ...resource.positionOf(path),
    resource: `${resource.kind} ${resource.namespace}/${resource.name}`,
    field: formatPath(path),
    message,
    hint,
  };
}
