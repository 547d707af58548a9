/** The plainest resources, so that a test spells out only what it is about. All in the namespace `shop`. */

export const NAMESPACE = "shop";

/** A Service that finds its workloads by `app: NAME`. */
export function service(name: string, port = 8080, namespace = NAMESPACE): string {
  return `apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: ${namespace} }
spec:
  selector: { app: ${name} }
  ports:
  - { name: http, port: ${port} }
`;
}

/** One of the Services of a program that has a port for each. */
export function serviceOf(app: string, name: string, port: number): string {
  return `apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: ${NAMESPACE} }
spec: { selector: { app: ${app} }, ports: [{ name: http, port: ${port} }] }
`;
}

export interface WorkloadOptions {
  /** @default the workload's name */
  readonly app?: string;
  /** @default "v1" */
  readonly version?: string;
  /** Null: it has no sidecar. @default the app's name */
  readonly serviceAccount?: string | null;
  readonly namespace?: string;
}

export function workload(name: string, address: string, options: WorkloadOptions = {}): string {
  const { app = name, version = "v1", serviceAccount = app, namespace = NAMESPACE } = options;
  return `apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: ${name}, namespace: ${namespace} }
spec:
  address: ${address}
  labels: { app: ${app}, version: ${version} }
${serviceAccount === null ? "" : `  serviceAccount: ${serviceAccount}\n`}`;
}

/** Subsets `v1` and `v2` by the label `version`. */
export function subsets(host: string): string {
  return `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: ${host}, namespace: ${NAMESPACE} }
spec:
  host: ${host}
  subsets:
  - { name: v1, labels: { version: v1 } }
  - { name: v2, labels: { version: v2 } }
`;
}

/** What a DestinationRule says of a host, or of a wildcard. `policy` is its `trafficPolicy` on one line. */
export function trafficPolicy(host: string, policy: string): string {
  return `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: "${host.replaceAll("*", "any")}", namespace: ${NAMESPACE} }
spec:
  host: "${host}"
  trafficPolicy: ${policy}
`;
}

/** Connections to the host carry so many requests, so that there are handshakes all the time. */
export function requestsPerConnection(host: string, count: number): string {
  return trafficPolicy(host, `{ connectionPool: { http: { maxRequestsPerConnection: ${count} } } }`);
}

/** `spec` on one line. */
export function authorizationPolicy(name: string, spec: string): string {
  return `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ${name}, namespace: ${NAMESPACE} }
spec: ${spec}
`;
}

/** The one MeshConfig; `spec` on one line. */
export function meshConfig(spec: string): string {
  return `apiVersion: mesh.istio.io/v1alpha1
kind: MeshConfig
metadata: { name: mesh, namespace: istio-system }
spec: ${spec}
`;
}

/** `http` is the list of rules, in YAML, without indentation. */
export function virtualService(host: string, http: string): string {
  return `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: ${host}, namespace: ${NAMESPACE} }
spec:
  hosts: [${host}]
  http:
${http.trimEnd().split("\n").map((line) => `  ${line}`).join("\n")}
`;
}
