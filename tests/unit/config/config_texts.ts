/** Small texts for tests: resources as YAML, and the loader's answers to them. */
import { formatFinding } from "../../../src/config/format_finding.ts";
import { loadConfig, type LoadOptions } from "../../../src/config/loader.ts";
import type { ResourceSet } from "../../../src/config/resource.ts";
import type { AuthorizationPolicySpec } from "../../../src/config/schema/authorization_policy.ts";
import type { DestinationRuleSpec } from "../../../src/config/schema/destination_rule.ts";
import type { GatewaySpec } from "../../../src/config/schema/gateway.ts";
import { type Kind, KINDS } from "../../../src/config/schema/kinds.ts";
import type { MeshConfigSpec } from "../../../src/config/schema/mesh_config.ts";
import type { PeerAuthenticationSpec } from "../../../src/config/schema/peer_authentication.ts";
import type { ProxyConfigSpec } from "../../../src/config/schema/proxy_config.ts";
import type { RequestAuthenticationSpec } from "../../../src/config/schema/request_authentication.ts";
import type { ServiceSpec } from "../../../src/config/schema/service.ts";
import type { ServiceEntrySpec } from "../../../src/config/schema/service_entry.ts";
import type { SidecarSpec } from "../../../src/config/schema/sidecar.ts";
import type { VirtualServiceSpec } from "../../../src/config/schema/virtual_service.ts";
import type { WorkloadEntrySpec } from "../../../src/config/schema/workload_entry.ts";
import type { WorkloadGroupSpec } from "../../../src/config/schema/workload_group.ts";
import { validate } from "../../../src/config/schema_findings.ts";
import { parseYaml } from "../../../src/config/yaml_node.ts";

/** A document of any kind; `spec` is YAML, indented as one likes. */
export function document(
  kind: string,
  name: string,
  spec: string,
  apiVersion = "networking.istio.io/v1",
  namespace = "tutorial",
): string {
  const lines = spec.replace(/^\n+|\s+$/g, "").split("\n");
  const indent = Math.min(...lines.map((line) => line.length - line.trimStart().length));
  const body = lines.map((line) => `  ${line.slice(indent)}`).join("\n");
  return `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata:\n  name: ${name}\n  namespace: ${namespace}\nspec:\n${body}\n`;
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

/** Kind, name, spec in YAML, and namespace. */
export type Written = readonly [kind: keyof Specs, name: string, spec: string, namespace?: string];

/** A set of resources by their schemas alone, whatever the mesh implements; throws with the findings. */
export function resourcesOf(written: readonly Written[]): ResourceSet {
  const texts = written.map(([kind, name, spec, namespace]) =>
    document(kind, name, spec, KINDS.get(kind)?.apiVersions[0], namespace)
  );
  return resourcesIn(texts.join("---\n"));
}

/** The same of whole documents. */
export function resourcesIn(text: string): ResourceSet {
  const sets: Record<string, unknown[]> = {};
  for (const { set } of KINDS.values()) sets[set] = [];
  for (const node of parseYaml({ file: "mesh.yaml", text }).nodes) {
    const { schema, set } = KINDS.get((node.value as { kind: string }).kind) as Kind;
    const { output, findings } = validate(schema, node, null, false);
    if (output === null) throw new Error(findings.map(formatFinding).join("\n"));
    const { metadata, ...rest } = output;
    const positionOf = (path: readonly (string | number)[]) => node.positionOf(path);
    sets[set]?.push({ ...metadata, ...rest, position: positionOf([]), positionOf });
  }
  return sets as unknown as ResourceSet;
}

/** What the schema alone gives for a spec in YAML, whatever the mesh implements; throws with the findings. */
export function specOf<Kind extends keyof Specs>(kind: Kind, spec: string): Specs[Kind] {
  const { output, findings } = validated(kind, spec);
  if (output === null) throw new Error(findings.map(formatFinding).join("\n"));
  return (output as { spec: Specs[Kind] }).spec;
}

/** What the schema alone says is wrong with a spec: `CODE FIELD: MESSAGE; HINT`. */
export function specFaults(kind: keyof Specs, spec: string): string[] {
  return validated(kind, spec).findings.map((finding) => formatFinding(finding).replace(/^.*?: error /, ""));
}

/** The types that specs come out with. */
interface Specs {
  AuthorizationPolicy: AuthorizationPolicySpec;
  DestinationRule: DestinationRuleSpec;
  Gateway: GatewaySpec;
  MeshConfig: MeshConfigSpec;
  PeerAuthentication: PeerAuthenticationSpec;
  ProxyConfig: ProxyConfigSpec;
  RequestAuthentication: RequestAuthenticationSpec;
  Service: ServiceSpec;
  ServiceEntry: ServiceEntrySpec;
  Sidecar: SidecarSpec;
  VirtualService: VirtualServiceSpec;
  WorkloadEntry: WorkloadEntrySpec;
  WorkloadGroup: WorkloadGroupSpec;
}

function validated(kind: keyof Specs, spec: string) {
  const known = KINDS.get(kind);
  const [node] = parseYaml({ file: "a.yaml", text: document(kind, "a", spec, known?.apiVersions[0]) }).nodes;
  if (known === undefined || node === undefined) throw new Error(`No document of the kind ${kind}: ${spec}`);
  return validate(known.schema, node, null, false);
}
