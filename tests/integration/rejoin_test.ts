/** Certificates that have expired: nobody is served with one, and who still has the key comes back by itself. */
import { beforeAll, describe, expect } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Citadel } from "../../src/citadel/citadel.ts";
import { certificateInfo } from "../../src/identity/certificate_info.ts";
import { createCsr } from "../../src/identity/csr.ts";
import { encodePrivateKey, generateKeyPair } from "../../src/identity/key_pair.ts";
import { ManualClock } from "../../src/lib/clock.ts";
import { privateFiles } from "../../src/runtime/private_files.ts";
import { loadIdentity, saveIdentity } from "../../src/sidecar/identity_state.ts";
import { startEcho } from "./apps.ts";
import { type Bowline, bowline, endEverythingAfterwards, scenario, until } from "./bowline.ts";
import { viaSidecar } from "./clients.ts";
import { Mesh } from "./mesh.ts";
import { service, workload } from "./resources.ts";

const HOUR_MS = 3_600_000;

const mesh = new Mesh("127.0.44");
const [CLIENT, STORE] = [10, 11];
let client: Bowline;
let store: Bowline;

endEverythingAfterwards();

beforeAll(async () => {
  mesh.write(
    "mesh.yaml",
    service("store"),
    workload("client", mesh.address(CLIENT)),
    workload("store", mesh.address(STORE)),
  );
  await startEcho("store", mesh.address(STORE));
  await mesh.startControlPlane();
  store = await mesh.startSidecar("shop/store", { at: STORE });
  client = await mesh.startSidecar("shop/client", { at: CLIENT });
  await mesh.untilSynced(2);
  await until("the store answers", async () => (await call()) === 200);
});

async function call(): Promise<number> {
  return (await viaSidecar(mesh.address(CLIENT), "store:8080")).status;
}

/** What a sidecar would have that was given its certificate a day ago, less so many milliseconds. Returns the serial number. */
async function age(name: string, leftMs: number): Promise<string> {
  const clock = new ManualClock(Date.now() - 24 * HOUR_MS + leftMs);
  const { controlPlaneData: dataDirectory } = mesh;
  const citadel = await Citadel.open({
    ...{ dataDirectory, trustDomain: "cluster.local", clock, files: privateFiles },
  });
  const directory = mesh.dataOf(name);
  const identity = await loadIdentity(directory, privateFiles);
  if (identity === undefined) throw new Error(`${name} has not joined`);
  const { workload, spiffeId, controlPlane } = identity;
  const { token } = await citadel.createToken({ workload, spiffeId, controlPlane });
  const keys = await generateKeyPair();
  const { reply, serial } = await citadel.enrol({ token, csr: await createCsr(keys) });
  const key = await encodePrivateKey(keys.privateKey);
  await saveIdentity(directory, privateFiles, { ...identity, key, chain: reply.chain });
  return serial;
}

async function current(name: string) {
  const { key, chain } = await loadIdentity(mesh.dataOf(name), privateFiles) as {
    key: string;
    chain: string;
  };
  return { key, serial: certificateInfo(chain).serial };
}

describe("a certificate that has expired", () => {
  scenario(
    "while the control plane was away: nobody is served, and never in plain text; then all is well by itself",
    async () => {
      await Promise.all([client.end(), store.end(), mesh.controlPlane.end()]);
      await age("shop/store", 4_000);
      store = await mesh.startSidecar("shop/store", { at: STORE, tokenFile: null });
      client = await mesh.startSidecar("shop/client", { at: CLIENT, tokenFile: null });
      expect(await call()).toBe(200);
      await until("the store has expired", async () => !(await mesh.isReady(STORE)));
      const ready = await fetch(`http://${mesh.address(STORE)}:15021/healthz/ready`);
      expect(await ready.text()).toBe("the certificate has expired\n");
      await client.end();
      client = await mesh.startSidecar("shop/client", { at: CLIENT, tokenFile: null });
      expect(await call()).toBe(503);
      await mesh.startControlPlane();
      await until("the store is back", async () => (await call()) === 200);
      expect(await mesh.isReady(STORE)).toBe(true);
      await store.says("Could not renew the certificate; trying again");
      const audit = readFileSync(join(mesh.controlPlaneData, "ca/audit.jsonl"), "utf8");
      expect(audit).toMatch(/"event":"rejoin","outcome":"issued".*"workload":"shop\/store"/);
    },
  );

  scenario("while the machine was off: it comes back with its key, and needs no token", async () => {
    await Promise.all([store.end(), mesh.controlPlane.end()]);
    const serial = await age("shop/store", -20 * HOUR_MS);
    const { key } = await current("shop/store");
    await mesh.startControlPlane();
    store = await mesh.startSidecar("shop/store", { at: STORE, tokenFile: null });
    expect(store.stderr).toContain("The certificate on disk has expired");
    expect(await current("shop/store")).toMatchObject({ key });
    expect((await current("shop/store")).serial).not.toBe(serial);
    await until("the store answers", async () => (await call()) === 200);
  });
});

describe("it is no way back in", () => {
  /** Starts the store with what it has; returns what it says at its end. */
  async function refusal(): Promise<string> {
    store = await mesh.launchSidecar("shop/store", { at: STORE, tokenFile: null });
    expect(await store.endsByItself()).toBe(65);
    return store.stderr;
  }

  scenario("after the grace, without one, and once it was revoked; a new token is", async () => {
    await Promise.all([store.end(), mesh.controlPlane.end()]);
    await age("shop/store", -25 * HOUR_MS);
    await mesh.startControlPlane();
    expect(await refusal()).toContain(
      "the control plane lets nobody in with it: The certificate is no way back in; join with a new token; " +
        "make one with `bowline token create --workload shop/store`",
    );
    await mesh.controlPlane.says("expired longer ago than --rejoin-grace allows");
    await mesh.controlPlane.end();
    await age("shop/store", -1);
    await mesh.startControlPlane("--rejoin-grace", "0s");
    await refusal();
    await mesh.controlPlane.end();
    await mesh.startControlPlane("--rejoin-grace", "168h");
    const { serial } = await current("shop/store");
    const { code } = await bowline(["cert", "revoke", serial, "--data", mesh.controlPlaneData]);
    expect(code).toBe(0);
    await refusal();
    await mesh.controlPlane.says("was revoked");
    store = await mesh.startSidecar("shop/store", { at: STORE });
    expect(store.stderr).toContain("Not let in with the certificate that has expired; trying the token");
    await until("the store answers", async () => (await call()) === 200);
  });
});
