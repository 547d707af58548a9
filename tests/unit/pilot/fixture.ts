/** Configuration for pilot's tests: YAML through the real loader, and short ways to what a snapshot says. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { loadConfig } from "../../../src/config/loader.ts";
import type { ResourceSet } from "../../../src/config/resource.ts";
import { KINDS } from "../../../src/config/schema/kinds.ts";
import type { Route } from "../../../src/model/route.ts";
import type { Cluster, EndpointSet } from "../../../src/model/cluster.ts";
import type { Snapshot, VirtualHost } from "../../../src/model/snapshot.ts";
import { fileWorkloads, type MeshWorkload } from "../../../src/pilot/file_workloads.ts";
import { translate } from "../../../src/pilot/translate.ts";

export const TRUST_DOMAIN = "cluster.local";

/** The resources of documents; throws on what the loader refuses. */
export function load(...documents: string[]): ResourceSet {
  return loadFiles([{ file: "test.yaml", text: documents.join("\n---\n") }]);
}

/** The resources of a directory of this repository, such as `config/tutorial/retry`. */
export function loadDirectory(directory: string): ResourceSet {
  return loadFiles(sourceFiles(directory));
}

export function sourceFiles(directory: string): { file: string; text: string }[] {
  const root = new URL(`../../../${directory}/`, import.meta.url).pathname;
  return readdirSync(root).sort().flatMap((name) => {
    if (name.endsWith(".yaml")) return [{ file: name, text: readFileSync(root + name, "utf8") }];
    return statSync(root + name).isDirectory() ? sourceFiles(`${directory}/${name}`) : [];
  });
}

export function loadFiles(files: { file: string; text: string }[]): ResourceSet {
  const { resources, findings } = loadConfig(files);
  if (resources === null) throw new Error(JSON.stringify(findings, null, 2));
  return resources;
}

/** The full name of `service("web", "shop")`. */
export const FQDN = "web.shop.svc.cluster.local";

export function service(name: string, namespace: string, ports = "{name: http, port: 8080}"): string {
  return `{apiVersion: v1, kind: Service, metadata: {name: ${name}, namespace: ${namespace}}, ` +
    `spec: {selector: {app: ${name}}, ports: [${ports}]}}`;
}

export function workloadEntry(name: string, namespace: string, spec: string): string {
  return resource(`WorkloadEntry ${namespace}/${name}`, spec);
}

/** The one document about the mesh. */
export function meshConfig(spec: string): string {
  return resource("MeshConfig istio-system/mesh", spec);
}

/** A document: `resource("VirtualService shop/cart", "{hosts: [cart]}")`; `metadata` is more of that in YAML. */
export function resource(what: string, spec: string, metadata = ""): string {
  const [kind = "", namespace, name] = what.split(/[ /]/);
  const [apiVersion] = KINDS.get(kind)?.apiVersions ?? [];
  if (apiVersion === undefined) throw new Error(`There is no kind ${kind}`);
  return `{apiVersion: ${apiVersion}, kind: ${kind}, ` +
    `metadata: {name: ${name}, namespace: ${namespace}, ${metadata}}, spec: ${spec}}`;
}

/** A caller that is in no file. */
export function caller(namespace: string, labels: Record<string, string> = {}): MeshWorkload {
  return {
    namespace,
    name: "caller",
    address: "10.9.9.9",
    labels,
    serviceAccount: "caller",
    ports: {},
    weight: 1,
    hasSidecar: true,
    meshPort: 15008,
  };
}

export function snapshotFor(resources: ResourceSet, proxy: MeshWorkload): Snapshot {
  return translate(resources, fileWorkloads(resources.workloadEntries), proxy, TRUST_DOMAIN);
}

export function virtualHost(snapshot: Snapshot, name: string): VirtualHost | undefined {
  return snapshot.get(`virtualHost/${name}`)?.body as VirtualHost | undefined;
}

export function cluster(snapshot: Snapshot, name: string): Cluster | undefined {
  return snapshot.get(`cluster/${name}`)?.body as Cluster | undefined;
}

/** `ADDRESS:PORT` of each endpoint. */
export function endpoints(snapshot: Snapshot, name: string): string[] | undefined {
  const set = snapshot.get(`endpoints/${name}`)?.body as EndpointSet | undefined;
  return set?.endpoints.map(({ address, port }) => `${address}:${port}`);
}

/** `CLUSTER*WEIGHT` of each destination of each route. */
export function destinations(routes: readonly Route[] | undefined): string[][] | undefined {
  return routes?.map(({ action }) =>
    action.type === "forward" ? action.destinations.map(({ cluster, weight }) => `${cluster}*${weight}`) : []
  );
}
