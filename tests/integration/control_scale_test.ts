/** The control plane and many proxies, in small: light clients that speak the real protocol over mutual TLS. */
import { mkdirSync } from "node:fs";
import { expect } from "bun:test";
import { Fleet } from "../../scripts/control_bench/fleet.ts";
import { GeneratedConfig } from "../../scripts/control_bench/generated_config.ts";
import { issueIdentities } from "../../scripts/control_bench/identities.ts";
import { endEverythingAfterwards, scenario, until } from "./bowline.ts";
import { Mesh } from "./mesh.ts";

const PROXIES = 50;
const SIZE = { namespaces: 4, services: 60, endpointsPerService: 3, scoped: false };
const ADDRESS = { hostname: "127.0.53.9", port: 15012 };

const mesh = new Mesh("127.0.53");
endEverythingAfterwards();
scenario("50 proxies follow edits and restarts of the control plane", async () => {
  const config = new GeneratedConfig(mesh.config, SIZE);
  const workloads = Array.from({ length: PROXIES }, (_, index) => config.workload(index));
  mkdirSync(mesh.controlPlaneData, { mode: 0o700 });
  const { tls } = await issueIdentities(mesh.controlPlaneData, "cluster.local", workloads);
  await mesh.startControlPlane();
  const fleet = new Fleet({ address: ADDRESS, workloads, tls });
  try {
    fleet.await(null);
    await fleet.connect();
    await fleet.all(0, "the first configuration");
    await mesh.untilSynced(PROXIES);

    const edits = [() => config.moveWorkload(0), () => config.changeRoute(1), () => config.moveWorkload(2)];
    for (const next of edits) {
      const edit = next();
      fleet.await(edit.mark, edit.seenBy);
      edit.apply();
      await fleet.all(0, "an edit");
    }
    const received = fleet.bytesReceived;
    await restart(fleet);
    // Whoever has all of it is told so, and nothing else: in each namespace one client reads what it is told.
    expect(fleet.resumed).toBe(SIZE.namespaces);
    expect((fleet.bytesReceived - received) / PROXIES).toBeLessThan(1_000);

    fleet.forget();
    await restart(fleet);
    expect(fleet.resumed).toBe(SIZE.namespaces);
    expect((fleet.bytesReceived - received) / PROXIES).toBeGreaterThan(fleet.lastPushBytes);
  } finally {
    fleet.close();
  }
});

async function restart(fleet: Fleet): Promise<void> {
  await mesh.controlPlane.end("SIGKILL");
  fleet.await(null);
  await mesh.startControlPlane();
  await fleet.all(0, "all after a restart");
  await until("all proxies are synced", async () => (await mesh.proxies()).length === PROXIES);
  await mesh.untilSynced(PROXIES);
}
