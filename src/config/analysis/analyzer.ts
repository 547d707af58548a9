/** What an analyzer is, and how it says what it found. */
import type { Finding } from "../finding.ts";
import type { ConfigResource, ResourceSet } from "../resource.ts";
import { formatPath } from "../schema_findings.ts";
import type { HostRegistry } from "./host_registry.ts";

export type Analyzer = (resources: ResourceSet, hosts: HostRegistry) => Iterable<Finding>;

/** A warning at the field `path` of a resource. */
export function warning(
  code: string,
  resource: ConfigResource<unknown>,
  path: readonly (string | number)[],
  message: string,
  hint: string | null,
): Finding {
  return {
    code,
    severity: "warning",
    ...resource.positionOf(path),
    resource: `${resource.kind} ${resource.namespace}/${resource.name}`,
    field: formatPath(path),
    message,
    hint,
  };
}
