/** The candidate: a control plane and two sidecars of the compiled executable, a caller's and a service's. */
import { mkdirSync, writeFileSync } from "node:fs";
import { type Pair, SERVICE, UPSTREAM_PORT } from "./pair.ts";
import { type Running, start, until } from "./processes.ts";

const BOWLINE = process.env["BOWLINE_BIN"] ?? new URL("../../dist/bowline", import.meta.url).pathname;
const CONTROL_PLANE = "127.0.46.9";
const CALLER = "127.0.46.1";

const RESOURCES = `
apiVersion: v1
kind: Service
metadata: {name: web, namespace: bench}
spec:
  selector: {app: web}
  ports:
  - {name: http, port: ${UPSTREAM_PORT.small}}
  - {name: http-large, port: ${UPSTREAM_PORT.large}}
  - {name: grpc, port: ${UPSTREAM_PORT.grpc}}
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
  const controlPlane = start("the control plane", [
    ...[BOWLINE, "run", "--role", "control-plane", "--config", config],
    ...["--data", data, "--bind", CONTROL_PLANE],
  ]);
  await until("the control plane", () => fetchOk(`http://${CONTROL_PLANE}:15014/readyz`));
  const caller = await startSidecar(directory, data, "caller", CALLER);
  const service = await startSidecar(directory, data, "web", SERVICE);
  return {
    name: "bowline",
    proxies: [caller, service],
    others: [controlPlane],
    target: (upstream) => ({ address: CALLER, port: 15001, authority: `web:${UPSTREAM_PORT[upstream]}` }),
    mesh: { address: SERVICE, port: 15008 },
  };
}

async function startSidecar(
  directory: string,
  data: string,
  name: string,
  address: string,
): Promise<Running> {
  const created = Bun.spawnSync([
    ...[BOWLINE, "token", "create", "--workload", `bench/${name}`, "--data", data],
  ]);
  if (!created.success) throw new Error(created.stderr.toString());
  const tokenFile = `${directory}/${name}.token`;
  writeFileSync(tokenFile, created.stdout);
  const sidecar = start(`the sidecar of ${name}`, [
    ...[BOWLINE, "run", "--role", "sidecar", "--token-file", tokenFile],
    ...["--data", `${directory}/${name}`, "--bind", address],
  ]);
  await until(`the sidecar of ${name}`, () => fetchOk(`http://${address}:15021/healthz/ready`));
  return sidecar;
}

async function fetchOk(url: string): Promise<boolean> {
  try {
    return (await fetch(url)).ok;
  } catch {
    return false;
  }
}
