/**
 * A mesh to try certificates on: alice calls bob, who also stands behind the gateway `edge`, and rogue is a workload
 * without a sidecar, in whose place a test may speak.
 */
import { startEcho } from "./apps.ts";
import type { Bowline } from "./bowline.ts";
import type { Mesh } from "./mesh.ts";
import { service, workload } from "./resources.ts";

/** Last numbers of their addresses. */
export const AT = { alice: 10, bob: 11, rogue: 12, edge: 13 } as const;

/** Starts all of it, the control plane with more flags; the gateway's configuration is the caller's. */
export async function startAliceAndBob(
  mesh: Mesh,
  ...flags: readonly string[]
): Promise<[alice: Bowline, bob: Bowline]> {
  const entry = (name: keyof typeof AT) => workload(name, mesh.address(AT[name]));
  mesh.write(
    "mesh.yaml",
    ...[service("bob"), service("rogue"), entry("alice"), entry("bob"), entry("rogue")],
    entry("edge").replace("version: v1", "security.istio.io/tlsMode: disabled"),
  );
  await mesh.startControlPlane(...flags);
  const [alice, bob] = await Promise.all([
    mesh.startSidecar("shop/alice", { at: AT.alice }),
    mesh.startSidecar("shop/bob", { at: AT.bob }),
    mesh.startSidecar("shop/edge", { at: AT.edge, role: "gateway" }),
    startEcho("bob", mesh.address(AT.bob)),
  ]);
  await mesh.untilSynced(3);
  return [alice, bob];
}

/** The gateway `edge`, which leads `bob.test` to bob; `servers` is their list, in YAML, without indentation. */
export function edge(servers: string): string {
  return `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: edge, namespace: shop }
spec:
  selector: { app: edge }
  servers:
${servers.trim().split("\n").map((line) => `  ${line}`).join("\n")}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: bob, namespace: shop }
spec:
  hosts: [bob.test]
  gateways: [edge]
  http: [{ route: [{ destination: { host: bob } }] }]
`;
}

/** Takes certificates of the mesh. */
export const OF_THE_MESH = `
- port: { number: 15443, name: https-mesh, protocol: HTTPS }
  hosts: [bob.test]
  tls: { mode: ISTIO_MUTUAL }
`;
