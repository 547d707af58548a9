/** Certificates that nobody can renew for a while, or at all: who tells of it, and that nobody asks without end. */
import { beforeAll, describe, expect } from "bun:test";
import { mkdirSync, readFileSync, renameSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { EXIT } from "../../src/cli/exit_codes.ts";
import { Citadel } from "../../src/citadel/citadel.ts";
import { createCsr } from "../../src/identity/csr.ts";
import { encodePrivateKey, generateKeyPair } from "../../src/identity/key_pair.ts";
import { ManualClock } from "../../src/lib/clock.ts";
import type { CertificatesReply } from "../../src/model/admin.ts";
import { privateFiles } from "../../src/runtime/private_files.ts";
import { loadIdentity, saveIdentity } from "../../src/sidecar/identity_state.ts";
import { istioFiles, makeAuthority, writeFiles } from "../unit/citadel/authority/plugged_files.ts";
import { startEcho } from "./apps.ts";
import { type Bowline, bowline, endEverythingAfterwards, scenario, until } from "./bowline.ts";
import { viaSidecar } from "./clients.ts";
import { Mesh } from "./mesh.ts";
import { service, workload } from "./resources.ts";

const HOUR_MS = 3_600_000;
/** Of a CA that is about to end; enough to start both roles and to look at them. */
const LEFT_MS = 25_000;
/** Certificates that a process may ask for in that time. */
const ISSUED_MAX = 8;

const [CLIENT, STORE] = [10, 11];
const meshes = [new Mesh("127.0.86"), new Mesh("127.0.125")] as const;
const [mesh, ending] = meshes;
const books = (file: string, of = mesh) => join(of.controlPlaneData, "ca", file);

endEverythingAfterwards();

beforeAll(async () => {
  for (const each of meshes) {
    const entries = [workload("client", each.address(CLIENT)), workload("store", each.address(STORE))];
    each.write("mesh.yaml", service("store"), ...entries);
    await startEcho("store", each.address(STORE));
  }
});

function call(of: Mesh) {
  return viaSidecar(of.address(CLIENT), "store:8080").then(({ status }) => status);
}

async function states(of: Mesh): Promise<string[]> {
  const { stdout } = await bowline(["certs", "-o", "json", "--data", of.controlPlaneData]);
  const { certificates } = JSON.parse(stdout) as CertificatesReply;
  return [...new Set(certificates.map(({ kind, state }) => `${kind} ${state}`))].sort();
}

function seconds(text: string, kind: string): number {
  return Number(text.match(`bowline_certificate_expiry_seconds{kind="${kind}"} (.*)`)?.[1]);
}

describe("a renewal that is refused", () => {
  let store: Bowline;

  /** The store has a certificate of 18 hours ago, which should have been renewed long since. */
  async function age(): Promise<void> {
    const clock = new ManualClock(Date.now() - 18 * HOUR_MS);
    const { controlPlaneData: dataDirectory } = mesh;
    const trustDomain = "cluster.local";
    const citadel = await Citadel.open({ dataDirectory, trustDomain, clock, files: privateFiles });
    const directory = mesh.dataOf("shop/store");
    const identity = await loadIdentity(directory, privateFiles);
    if (identity === undefined) throw new Error("The store has not joined");
    const keys = await generateKeyPair();
    const { reply } = await citadel.renew(identity.spiffeId, identity.workload, {
      csr: await createCsr(keys),
    });
    const key = await encodePrivateKey(keys.privateKey);
    await saveIdentity(directory, privateFiles, { ...identity, key, chain: reply.chain });
  }

  scenario("is tried again after longer and longer waits, calls go on, and it comes to be", async () => {
    await mesh.startControlPlane();
    store = await mesh.startSidecar("shop/store", { at: STORE });
    await mesh.startSidecar("shop/client", { at: CLIENT });
    await mesh.untilSynced(2);
    await Promise.all([store.end(), mesh.controlPlane.end()]);
    await age();
    await mesh.startControlPlane();
    // Nothing can be written down, so nothing is issued.
    renameSync(books("issued.jsonl"), books("aside"));
    mkdirSync(books("issued.jsonl"));
    store = await mesh.startSidecar("shop/store", { at: STORE, tokenFile: null });
    const refusals = () =>
      store.stderr.split("\n").filter((line) =>
        line.includes("Could not renew the certificate; trying again")
      )
        .map((line) => JSON.parse(line) as { time: string; reason: string; expiresInSeconds: number });
    await until("it was refused three times", () => Promise.resolve(refusals().length >= 3));
    const [first, second, third] = refusals().map(({ time }) => Date.parse(time)) as [number, number, number];
    expect(second - first).toBeGreaterThan(400);
    expect(third - second).toBeGreaterThan(400);
    expect(refusals()[0]?.reason).toContain("The control plane cannot issue certificates at the moment");
    expect(refusals()[0]?.expiresInSeconds).toBeGreaterThan(5 * 3600);
    await until("calls arrive", async () => (await call(mesh)) === 200);
    expect(await states(mesh)).toContain("leaf expiring");
    rmdirSync(books("issued.jsonl"));
    renameSync(books("aside"), books("issued.jsonl"));
    await store.says("Renewed the certificate");
    expect(await states(mesh)).toEqual(["leaf replaced", "leaf valid", "root valid"]);
    expect(await call(mesh)).toBe(200);
  });

  scenario("was warned of by the control plane, which saw that nobody renewed", async () => {
    await Promise.all([store.end(), mesh.controlPlane.end()]);
    await age();
    await mesh.startControlPlane();
    await mesh.controlPlane.says("A certificate was not renewed in time");
    const warning = mesh.controlPlane.stderr.split("\n").find((line) => line.includes("not renewed in time"));
    expect(JSON.parse(warning ?? "")).toMatchObject({ level: "warn", kind: "leaf", workload: "shop/store" });
  });
});

describe("a CA that ends", () => {
  scenario(
    "is warned of; nobody asks without end; at last neither role is ready, and all is told",
    async () => {
      const endsMs = Date.now() + LEFT_MS;
      const root = await makeAuthority({ notBeforeMs: Date.now() - HOUR_MS, notAfterMs: endsMs });
      const directory = writeFiles(istioFiles(root, root.pem, root.pem));
      await ending.startControlPlane("--ca", directory);
      await ending.startSidecar("shop/store", { at: STORE });
      await ending.startSidecar("shop/client", { at: CLIENT });
      await until("calls arrive", async () => (await call(ending)) === 200);
      await ending.controlPlane.says("A certificate was not renewed in time");
      expect(await states(ending)).toContain("root expiring");
      const [api, sidecar] = [`${ending.address(9)}:15014`, ending.address(STORE)];
      for (const url of [`${api}/metrics`, `${sidecar}:15090/stats/prometheus`]) {
        const text = await (await fetch(`http://${url}`)).text();
        for (const kind of ["leaf", "root"]) {
          expect(seconds(text, kind)).toBeGreaterThan(0);
          expect(seconds(text, kind)).toBeLessThanOrEqual(LEFT_MS / 1000);
        }
      }
      expect((await fetch(`http://${api}/readyz`)).status).toBe(200);

      await until(
        "the control plane is not ready",
        async () => !(await fetch(`http://${api}/readyz`)).ok,
        LEFT_MS * 2,
      );
      expect(Date.now()).toBeGreaterThanOrEqual(Math.floor(endsMs / 1000) * 1000);
      expect(await (await fetch(`http://${api}/readyz`)).text()).toMatch(
        "the root certificate has expired\n",
      );
      await until("the sidecar is not ready", async () => !(await ending.isReady(STORE)));
      expect(await states(ending)).toContain("root expired");
      const token = ["token", "create", "--workload", "shop/store", "--data", ending.controlPlaneData];
      const { code, stdout, stderr } = await bowline(token);
      expect([code, stdout]).toEqual([EXIT.badInput, ""]);
      expect(stderr).toMatch(
        /refused: A certificate of the CA expired at .+; put one that is good into .*--ca/,
      );
      const issued = readFileSync(books("issued.jsonl", ending), "utf8").trimEnd().split("\n");
      for (const who of ["shop/store", "shop/client", null]) {
        const own = issued.map((line) => JSON.parse(line)).filter(({ workload }) => workload === who);
        expect([who, own.length <= ISSUED_MAX]).toEqual([who, true]);
      }
    },
  );
});
