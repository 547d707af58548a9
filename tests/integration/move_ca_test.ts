/** From the mesh's own root to a CA that is plugged in, by the steps of the README, under load and without joining again. */
import { beforeAll, expect } from "bun:test";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { AdminClient } from "../../src/cli/admin_client.ts";
import type { RolloverStatus } from "../../src/model/admin.ts";
import { openssl } from "../unit/identity/openssl.ts";
import { istioFiles, makeAuthority } from "../unit/citadel/authority/plugged_files.ts";
import { startEcho } from "./apps.ts";
import { endEverythingAfterwards, scenario, until } from "./bowline.ts";
import { viaSidecar } from "./clients.ts";
import { KeepAliveLoad } from "./keep_alive_load.ts";
import { Mesh } from "./mesh.ts";
import { requestsPerConnection, service, workload } from "./resources.ts";

/** Certificates are renewed over a quarter of a minute. */
const RENEWED_MS = 30_000;
const HOUR_MS = 3_600_000;

const mesh = new Mesh("127.0.85");
const [CLIENT, STORE] = [10, 11];
const directory = join(mesh.directory, "ca");
const now = { notBeforeMs: Date.now() - HOUR_MS, notAfterMs: Date.now() + 1_000 * HOUR_MS };
const root = await makeAuthority({ ...now, name: "CN=Example root" });
const intermediate = await makeAuthority({ ...now, issuer: root });

endEverythingAfterwards();

beforeAll(async () => {
  mkdirSync(directory);
  const entries = [workload("client", mesh.address(CLIENT)), workload("store", mesh.address(STORE))];
  mesh.write("mesh.yaml", service("store"), ...entries, requestsPerConnection("store", 20));
  await startEcho("store", mesh.address(STORE));
  await mesh.startControlPlane();
  await mesh.startSidecar("shop/store", { at: STORE });
  await mesh.startSidecar("shop/client", { at: CLIENT });
  await mesh.untilSynced(2);
});

function write(files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(directory, name), text);
    chmodSync(join(directory, name), 0o600);
  }
}

/** Starts the control plane again, and waits until all are there and that is so. */
async function restarted(what: string, isIt: (status: RolloverStatus) => boolean): Promise<RolloverStatus> {
  await mesh.controlPlane.end();
  await mesh.startControlPlane("--ca", directory);
  let status!: RolloverStatus;
  await until(what, async () => {
    status = await new AdminClient(mesh.controlPlaneData).get("/v1/rollover") as RolloverStatus;
    return status.connected === 2 && status.lacking.length === 0 && isIt(status);
  }, RENEWED_MS);
  return status;
}

scenario("a CA that is plugged in at once would shut all out, and is refused", async () => {
  write(istioFiles(intermediate, intermediate.pem, root.pem));
  await mesh.controlPlane.end();
  const refused = mesh.launchControlPlane("--ca", directory);
  expect(await refused.endsByItself()).toBe(65);
  expect(refused.stderr).toContain(
    `Error: The certificate authority in ${directory} cannot be used: shop/client, shop/store would be shut out, ` +
      "with certificates of the mesh's own root, which its roots do not hold;",
  );
  await mesh.startControlPlane();
});

scenario(
  "by way of its own root, plugged in beside the new one, nobody joins again and no request fails",
  async () => {
    const target = { address: mesh.address(CLIENT), port: 15001, host: "store:8080" };
    const load = new KeepAliveLoad(target, 8);
    const authority = readFileSync(join(mesh.controlPlaneData, "ca", "authority.pem"), "utf8");
    const files = { "authority.pem": authority };
    const own = openssl(["x509", "-in", "authority.pem"], files);
    const key = openssl(["pkey", "-in", "authority.pem"], files);
    write({ "ca-cert.pem": own, "ca-key.pem": key, "cert-chain.pem": own, "root-cert.pem": own + root.pem });
    const both = await restarted("all trust both roots", ({ roots }) => roots.length === 2);
    expect(both.unrenewed).toEqual([]);

    write({ ...istioFiles(intermediate, intermediate.pem, own + root.pem) });
    await restarted("all have renewed", ({ unrenewed }) => unrenewed.length === 0);

    write({ "root-cert.pem": root.pem });
    await restarted("one root is trusted", ({ roots }) => roots.length === 1);
    await load.stop();
    expect([load.failures, load.broken]).toEqual([[], 0]);
    expect(load.answered).toBeGreaterThan(0);
    for (const name of ["shop/client", "shop/store"]) expect(mesh.identityOf(name).roots).toBe(root.pem);
    expect((await viaSidecar(mesh.address(CLIENT), "store:8080")).status).toBe(200);
  },
);

scenario("a start without --ca is refused, and makes no root of its own", async () => {
  await mesh.controlPlane.end();
  const refused = mesh.launchControlPlane();
  expect(await refused.endsByItself()).toBe(65);
  expect(refused.stderr).toContain(
    "shop/client, shop/store would be shut out, with certificates of another CA; start with --ca",
  );
});
