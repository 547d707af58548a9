/** Small texts for tests: resources as YAML, and the loader's answers to them. */
import { formatFinding } from "../../../src/config/format_finding.ts";
import { loadConfig, type LoadOptions } from "../../../src/config/loader.ts";
import type { ResourceSet } from "../../../src/config/resource.ts";

/** A document of any kind; `spec` is YAML, indented as one likes. */
export function document(
  kind: string,
  name: string,
  spec: string,
  apiVersion = "networking.istio.io/v1",
): string {
  const lines = spec.replace(/^\n+|\s+$/g, "").split("\n");
  const indent = Math.min(...lines.map((line) => line.length - line.trimStart().length));
  const body = lines.map((line) => `  ${line.slice(indent)}`).join("\n");
  return `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata:\n  name: ${name}\n  namespace: tutorial\nspec:\n${body}\n`;
}

/** A Service with one port or the given ones. */
export function service(name: string, ports: readonly number[] = [8080]): string {
  const list = ports.map((port) => `{name: http-${port}, port: ${port}}`).join(", ");
  return document("Service", name, `selector: {app: ${name}}\nports: [${list}]`, "v1");
}

/** The resources of documents that must be without a fault. */
export function load(...texts: string[]): ResourceSet {
  const { resources, findings } = loadConfig([{ file: "mesh.yaml", text: texts.join("---\n") }]);
  if (resources === null) throw new Error(findings.map(formatFinding).join("\n"));
  return resources;
}

/** The findings of documents, as people read them. */
export function findingsOf(texts: readonly string[], options: LoadOptions = {}): string[] {
  return loadConfig([{ file: "mesh.yaml", text: texts.join("---\n") }], options).findings.map(formatFinding);
}
