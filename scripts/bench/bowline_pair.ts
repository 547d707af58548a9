/** The candidate: a control plane and two sidecars of the compiled executable, a caller's and a service's. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { program, type Running, start, until } from "./processes.ts";

const BOWLINE = new URL("../../dist/bowline", import.meta.url).pathname;
const CONTROL_PLANE = "127.0.3.9";
const CALLER = "127.0.3.1";
const SERVICE = "127.0.3.2";
export const UPSTREAM_PORT = 8080;

export interface Pair {
  readonly name: string;
  readonly url: string;
  /** Host header that leads to the service. */
  readonly authority: string;
  /** The two proxies, whose CPU time is what counts. */
  readonly proxies: readonly Running[];
  readonly others: readonly Running[];
}

const RESOURCES = `
apiVersion: v1
kind: Service
metadata: {name: web, namespace: bench}
spec: {selector: {app: web}, ports: [{name: http, port: ${UPSTREAM_PORT}}]}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: web, namespace: bench}
spec: {address: ${SERVICE}, labels: {app: web}, serviceAccount: web}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: caller, namespace: bench}
spec: {address: ${CALLER}, labels: {app: caller}, serviceAccount: caller}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web, namespace: bench}
spec: {host: web, subsets: [{name: all, labels: {app: web}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: bench}
spec:
  hosts: [web]
  http:
  - match: [{headers: {x-never: {regex: '.*never.*'}}}]
    route: [{destination: {host: web}}]
  - route: [{destination: {host: web, subset: all}}]
`;

export async function startBowlinePair(directory: string): Promise<Pair> {
  const config = `${directory}/config`;
  mkdirSync(config);
  writeFileSync(`${config}/bench.yaml`, RESOURCES);
  const data = `${directory}/control-plane`;
  const common = ["run", "--role"];
  const controlPlane = start("the control plane", [
    ...[BOWLINE, ...common, "control-plane", "--config", config, "--data", data, "--bind", CONTROL_PLANE],
  ]);
  await until("the control plane", () => fetchOk(`http://${CONTROL_PLANE}:15014/readyz`));
  const sidecars: Running[] = [];
  for (const [name, address] of [["caller", CALLER], ["web", SERVICE]] as const) {
    const created = Bun.spawnSync([
      BOWLINE,
      "token",
      "create",
      "--workload",
      `bench/${name}`,
      "--data",
      data,
    ]);
    if (!created.success) throw new Error(created.stderr.toString());
    const tokenFile = `${directory}/${name}.token`;
    writeFileSync(tokenFile, created.stdout);
    sidecars.push(start(`the sidecar of ${name}`, [
      ...[BOWLINE, ...common, "sidecar", "--token-file", tokenFile, "--data", `${directory}/${name}`],
      ...["--bind", address],
    ]));
    await until(`the sidecar of ${name}`, () => fetchOk(`http://${address}:15021/healthz/ready`));
  }
  return {
    name: "bowline",
    url: `http://${CALLER}:15001/`,
    authority: `web:${UPSTREAM_PORT}`,
    proxies: sidecars,
    others: [controlPlane],
  };
}

/** Certificate and key of a joined sidecar in one PEM, and its roots, for a peer that is to be as secure. */
export function identityOf(directory: string, name: string): { certificate: string; roots: string } {
  const { chain, key, roots } = JSON.parse(readFileSync(`${directory}/${name}/identity.json`, "utf8"));
  return { certificate: `${chain}\n${key}\n`, roots };
}

/** A server that answers at once with the same few bytes, on the service's address. */
export function startUpstream(directory: string, body: string): Running {
  const file = `${directory}/upstream.cfg`;
  writeFileSync(
    file,
    `global
  nbthread 1
  maxconn 4000
defaults
  mode http
  timeout connect 5s
  timeout client 120s
  timeout server 120s
frontend upstream
  bind ${SERVICE}:${UPSTREAM_PORT}
  http-request return status 200 content-type text/plain string "${body}"
`,
  );
  return start("the upstream", [program("haproxy"), "-f", file]);
}

export const UPSTREAM_ADDRESS = SERVICE;

async function fetchOk(url: string): Promise<boolean> {
  try {
    return (await fetch(url)).ok;
  } catch {
    return false;
  }
}
