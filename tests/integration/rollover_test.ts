/** A new root for a mesh that works, with a control plane that is killed half-way, and workloads that are off. */
import { beforeAll, describe, expect } from "bun:test";
import { AdminClient } from "../../src/cli/admin_client.ts";
import { certificateInfo } from "../../src/identity/certificate_info.ts";
import type { RolloverStatus } from "../../src/model/admin.ts";
import type { SidecarIdentity } from "../../src/sidecar/identity_state.ts";
import { startEcho } from "./apps.ts";
import { type Bowline, bowline, type Ended, endEverythingAfterwards, scenario, until } from "./bowline.ts";
import { intrude, viaSidecar } from "./clients.ts";
import { Mesh } from "./mesh.ts";
import { service, workload } from "./resources.ts";

/** Certificates are renewed over a quarter of a minute. */
const RENEWED_MS = 30_000;

const mesh = new Mesh("127.0.45");
const [CONTROL_PLANE, CLIENT, STORE, LATE] = [9, 10, 11, 12];
let store: Bowline;

endEverythingAfterwards();

beforeAll(async () => {
  mesh.write(
    "mesh.yaml",
    service("store"),
    workload("client", mesh.address(CLIENT)),
    workload("store", mesh.address(STORE)),
    workload("late", mesh.address(LATE)),
  );
  await startEcho("store", mesh.address(STORE));
  await mesh.startControlPlane();
  store = await mesh.startSidecar("shop/store", { at: STORE });
  await mesh.startSidecar("shop/client", { at: CLIENT, workers: 2 });
  await mesh.untilSynced(2);
});

async function call(from = CLIENT): Promise<number> {
  return (await viaSidecar(mesh.address(from), "store:8080")).status;
}

function rotate(...args: readonly string[]): Promise<Ended> {
  return bowline(["ca", "rotate", ...args, "--data", mesh.controlPlaneData]);
}

async function status(): Promise<RolloverStatus> {
  return await new AdminClient(mesh.controlPlaneData).get("/v1/rollover") as RolloverStatus;
}

describe("bowline ca rotate", () => {
  let tokenFile: string;
  let before: SidecarIdentity;

  scenario("status of a mesh at rest; there is nothing to finish or to abort", async () => {
    const { code, stdout } = await rotate("status");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ROOT +EXPIRES +SIGNS\nsha256:[0-9a-f]{64} +20[0-9TZ:.-]+ +yes\n\nphase: none\n/);
    expect(await rotate("finish")).toMatchObject({
      code: 65,
      stderr: "Error: The control plane refused: No rollover goes on; bowline ca rotate start begins one\n",
    });
    expect((await rotate("abort")).code).toBe(65);
  });

  scenario(
    "start: everybody has both roots, then a certificate of the new one; a SIGKILL is survived",
    async () => {
      tokenFile = await mesh.tokenFile({ workload: "shop/late" });
      before = mesh.identityOf("shop/store");
      await store.end();
      await until("the store is gone", async () => (await status()).connected === 1);
      expect((await rotate("start")).code).toBe(0);
      await mesh.controlPlane.end("SIGKILL");
      await mesh.startControlPlane();
      await until("the new root signs", async () => (await status()).phase === "renewing");
      await mesh.controlPlane.end("SIGKILL");
      await mesh.startControlPlane();
      await until(
        "the client has renewed",
        async () => !(await status()).unrenewed.includes("shop/client"),
        RENEWED_MS,
      );
      expect((await status()).phase).toBe("renewing");
      expect(mesh.identityOf("shop/client").roots).toContain(before.roots);
    },
  );

  scenario("finish refuses while a workload that is off has a good certificate of the old root", async () => {
    const { code, stderr } = await rotate("finish");
    expect(code).toBe(65);
    expect(stderr).toContain(
      "The old root is still needed: shop/store lacks the new one, or a certificate of it",
    );
    // It knows the old root only, and is let in by those who know both; the others by it, through the old root.
    expect(mesh.identityOf("shop/store").roots).toBe(before.roots);
    store = await mesh.startSidecar("shop/store", { at: STORE, tokenFile: null });
    await until("calls arrive", async () => (await call()) === 200);
    await until("it has renewed", async () => (await status()).unrenewed.length === 0, RENEWED_MS);
    await until("all have both", async () => (await status()).lacking.length === 0);
  });

  scenario("finish: only the new root is trusted, on every disk too, and calls arrive", async () => {
    expect((await rotate("finish")).code).toBe(0);
    await until("nobody lacks it", async () => (await status()).lacking.length === 0);
    const [root] = (await status()).roots;
    for (const name of ["shop/client", "shop/store"]) {
      const { roots, chain } = mesh.identityOf(name);
      expect(before.roots).not.toBe(roots);
      expect(roots.match(/BEGIN/g)).toHaveLength(1);
      expect(certificateInfo(chain).signer).not.toBe(certificateInfo(before.chain).signer);
    }
    expect(root?.signs).toBe(true);
    expect(await call()).toBe(200);
  });

  scenario("a token that was made before the rollover is as good as any other", async () => {
    await mesh.startSidecar("shop/late", { at: LATE, tokenFile });
    expect(mesh.identityOf("shop/late").roots).toBe(mesh.identityOf("shop/store").roots);
    await until("calls arrive", async () => (await call(LATE)) === 200);
  });

  scenario("abort: the old root signs again, and the new one is gone when nobody needs it", async () => {
    const { roots } = await status();
    expect((await rotate("start")).code).toBe(0);
    await until("somebody has renewed", async () => {
      const { phase, unrenewed } = await status();
      return phase === "renewing" && unrenewed.length < 3;
    }, RENEWED_MS);
    expect((await rotate("abort")).code).toBe(0);
    await until("all are back", async () => (await status()).phase === null, RENEWED_MS);
    expect((await status()).roots).toEqual(roots);
    expect(await call()).toBe(200);
  });

  scenario("finish --force: whoever has the old root's key is thrown out of what stands, too", async () => {
    const stolen = mesh.identityOf("shop/client");
    const intruders = [
      await intrude(stolen, mesh.address(STORE)),
      await intrude(stolen, mesh.address(CONTROL_PLANE), 15012),
    ];
    expect((await rotate("start")).code).toBe(0);
    await until("all have renewed", async () => {
      const { phase, unrenewed } = await status();
      return phase === "renewing" && unrenewed.length === 0;
    }, RENEWED_MS);
    expect(await call()).toBe(200);
    expect(intruders.map(({ closed }) => closed)).toEqual([false, false]);
    expect((await rotate("finish", "--force")).code).toBe(0);
    await until("the intruders are out", () => intruders.every(({ closed }) => closed));
    await until("the others are back", async () => {
      const { connected, lacking } = await status();
      return connected === 3 && lacking.length === 0;
    });
    expect(await call()).toBe(200);
    expect(await call(LATE)).toBe(200);
  });
});
