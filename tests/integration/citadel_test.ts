/** The certificate authority through the executable: a CA that is plugged in, and one that cannot be. */
import { afterAll, beforeAll, describe, expect } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { CertificatesReply } from "../../src/model/admin.ts";
import { openssl } from "../unit/identity/openssl.ts";
import { istioFiles, makeAuthority, writeFiles } from "../unit/citadel/plugged_files.ts";
import { startEcho, stopEchoes } from "./apps.ts";
import { bowline, endEverythingAfterwards, scenario } from "./bowline.ts";
import { viaSidecar } from "./clients.ts";
import { Mesh } from "./mesh.ts";
import { service, workload } from "./resources.ts";

const HOUR_MS = 3_600_000;

const mesh = new Mesh("127.0.41");
const [CLIENT, STORE] = [10, 11];
/** Certificates of now, since the executable has the time of day. */
const now = { notBeforeMs: Date.now() - HOUR_MS, notAfterMs: Date.now() + 1_000 * HOUR_MS };
const root = await makeAuthority({ ...now, name: "CN=Example root" });
const intermediate = await makeAuthority({ ...now, issuer: root, pathLength: 0 });
const plugged = writeFiles(istioFiles(intermediate, intermediate.pem + root.pem, root.pem));

endEverythingAfterwards();

beforeAll(async () => {
  mesh.write(
    "mesh.yaml",
    service("store"),
    workload("client", mesh.address(CLIENT)),
    workload("store", mesh.address(STORE)),
  );
  await startEcho("store", mesh.address(STORE));
});

afterAll(async () => {
  await stopEchoes();
  mesh.remove();
  rmSync(plugged, { recursive: true });
});

describe("run --ca", () => {
  scenario("run --ca ends with the file and the reason when the CA cannot be used", async () => {
    const expired = await makeAuthority({ ...now, issuer: root, notAfterMs: Date.now() - 1 });
    const directory = writeFiles(istioFiles(expired, expired.pem, root.pem));
    const process = mesh.launchControlPlane("--ca", directory);
    expect(await process.endsByItself()).toBe(1);
    expect(process.stderr).toContain(
      `Error: The certificate authority in ${join(directory, "ca-cert.pem")} cannot be used: ` +
        '"CN=intermediate" expired at ',
    );
    rmSync(directory, { recursive: true });
  });

  scenario(
    "run --ca signs with the intermediate, and workloads speak to each other by the root",
    async () => {
      await mesh.startControlPlane("--ca", plugged);
      await mesh.startSidecar("shop/client", { at: CLIENT });
      await mesh.startSidecar("shop/store", { at: STORE });
      await mesh.untilSynced(2);
      expect((await viaSidecar(mesh.address(CLIENT), "store:8080")).status).toBe(200);
      const file = join(mesh.dataOf("shop/store"), "identity.json");
      const { chain, roots } = await Bun.file(file).json() as { chain: string; roots: string };
      expect(roots).toBe(root.pem);
      const args = ["verify", "-CAfile", "roots.pem", "-untrusted", "chain.pem", "chain.pem"];
      expect(openssl(args, { "roots.pem": roots, "chain.pem": chain })).toContain("OK");
    },
  );
});

describe("bowline certs", () => {
  scenario("bowline certs lists the certificates of all, and both roles tell when theirs end", async () => {
    const { code, stdout } = await bowline(["certs", "-o", "json", "--data", mesh.controlPlaneData]);
    expect(code).toBe(0);
    const { certificates } = JSON.parse(stdout) as CertificatesReply;
    expect(certificates.map(({ kind, workload, state }) => [kind, workload, state])).toEqual([
      ["root", null, "valid"],
      ["intermediate", null, "valid"],
      ["leaf", null, "valid"],
      ["leaf", "shop/client", "valid"],
      ["leaf", "shop/store", "valid"],
    ]);
    for (const url of [`${mesh.address(9)}:15014/metrics`, `${mesh.address(STORE)}:15090/stats/prometheus`]) {
      const text = await (await fetch(`http://${url}`)).text();
      for (const kind of ["leaf", "intermediate", "root"]) {
        const [, seconds] = text.match(`bowline_certificate_expiry_seconds{kind="${kind}"} (.*)`) ?? [];
        expect(Number(seconds)).toBeGreaterThan(3600);
      }
    }
  });
});
