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

/** Connections to the host carry so many requests, so that there are handshakes all the time. */
export function requestsPerConnection(host: string, count: number): string {
  return `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: ${host}, namespace: ${NAMESPACE} }
spec:
  host: ${host}
  trafficPolicy: { connectionPool: { http: { maxRequestsPerConnection: ${count} } } }
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
