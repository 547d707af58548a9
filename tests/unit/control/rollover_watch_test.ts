/** A rollover as the control plane drives it: by its clock, by what proxies confirm, and by what operators ask for. */
import { afterAll, expect, test } from "bun:test";
import { ROOT_LIFE_MS } from "../../../src/citadel/authority/root_certificate.ts";
import type { RootRollover } from "../../../src/citadel/authority/root_rollover.ts";
import { OwnCertificateKeeper } from "../../../src/control/own_certificate.ts";
import { ROLLOVER_WATCH_MS, RolloverWatch } from "../../../src/control/rollover_watch.ts";
import { Prng } from "../../../src/lib/prng.ts";
import type { RolloverPhase } from "../../../src/model/admin.ts";
import type { Trust } from "../../../src/model/snapshot.ts";
import type { DiscoveryServer } from "../../../src/pilot/discovery/discovery_server.ts";
import { createLog } from "../../../src/telemetry/log.ts";
import { openCitadel, removeDirectories } from "../citadel/test_citadel.ts";

afterAll(removeDirectories);

/** A watch that has yet to start, and a mesh of which the test says who lacks the roots. */
async function build() {
  const { citadel, clock } = await openCitadel();
  const lines: string[] = [];
  const log = createLog({ clock, format: "json", write: (line) => lines.push(line) });
  const mesh = { lacking: [] as string[], told: [] as Trust[], cut: [] as string[] };
  const discovery = {
    lackingRoots: () => mesh.lacking,
    setTrust: (trust: Trust) => mesh.told.push(trust),
    status: () => [],
  } as unknown as DiscoveryServer;
  const own = await OwnCertificateKeeper.start({ citadel, clock, random: new Prng(1), log });
  const watch = new RolloverWatch({
    ...{ citadel, discovery, clock, log },
    cutOthers: (signer) => void mesh.cut.push(signer),
    follow: () => own.follow(),
  });
  const isTold = () => mesh.told.at(-1)?.roots === citadel.trust.roots;
  /** Lets it look as often as it takes. */
  const becomes = async (phase: RolloverPhase | null) => {
    for (let i = 0; i < 200 && (citadel.rolloverPhase !== phase || !isTold()); i++) {
      clock.advance(ROLLOVER_WATCH_MS);
      await Bun.sleep(2);
    }
    expect(citadel.rolloverPhase).toBe(phase);
  };
  const stop = () => {
    watch.stop();
    own.stop();
  };
  return { citadel, clock, lines, mesh, own, watch, becomes, stop };
}

test("RolloverWatch leads a root in the last fifth of its life to its end, at the pace of the proxies", async () => {
  const { citadel, clock, lines, mesh, own, watch, becomes, stop } = await build();
  const { signer } = citadel.trust;
  const signs = async () => (await citadel.trustedRoots())[0]?.pin as string;
  const old = await signs();
  clock.advance(ROOT_LIFE_MS * 0.8);
  mesh.lacking = ["shop/a"];
  watch.start();
  await becomes("distributing");
  for (let i = 0; i < 5; i++) {
    clock.advance(ROLLOVER_WATCH_MS);
    await Bun.sleep(2);
  }
  expect([citadel.rolloverPhase, citadel.trust.signer]).toEqual(["distributing", signer]);
  mesh.lacking = [];
  await becomes("renewing");
  await becomes(null);
  for (let i = 0; i < 200 && mesh.told.at(-1)?.roots.match(/BEGIN/g)?.length !== 1; i++) await Bun.sleep(2);
  stop();
  expect(citadel.trust.signer).not.toBe(signer);
  expect(mesh.cut).toEqual([]);
  expect([own.current.signer, own.current.roots]).toEqual([citadel.trust.signer, citadel.trust.roots]);
  const said = lines.join("");
  for (const text of ["A new root is being distributed", "The new root signs", "No rollover of the root"]) {
    expect(said.split(text)).toHaveLength(2);
  }
  const named = lines.map((line) => JSON.parse(line) as { signs?: string }).flatMap(({ signs }) =>
    signs ?? []
  );
  expect(named).toEqual([old, await signs(), await signs()]);
});

test("RolloverWatch.take() tells the mesh of a step before it returns, and of nothing that was refused", async () => {
  const { citadel, mesh, own, watch, stop } = await build();
  const rollover = citadel.rollover as RootRollover;
  const before = citadel.trust;
  await expect(watch.take(rollover, { step: "finish" })).rejects.toMatchObject({ code: "request_invalid" });
  expect(mesh.told).toEqual([before]);
  await watch.take(rollover, { step: "start" });
  expect(mesh.told.at(-1)).toEqual(citadel.trust);
  expect(own.current.roots).toBe(citadel.trust.roots);
  mesh.lacking = ["shop/a"];
  expect(await watch.status()).toMatchObject({ phase: "distributing", lacking: ["shop/a"], unrenewed: [] });
  await watch.take(rollover, { step: "finish", force: true });
  const { roots, signer } = citadel.trust;
  expect(own.current).toMatchObject({ roots, signer });
  expect(citadel.trust.signer).not.toBe(before.signer);
  stop();
});

test("RolloverWatch cuts who has another root's certificate off when a rollover was forced, once all were told", async () => {
  const { citadel, clock, mesh, watch, stop } = await build();
  const rollover = citadel.rollover as RootRollover;
  await watch.take(rollover, { step: "start" });
  await watch.take(rollover, { step: "finish", force: true });
  expect([mesh.told.at(-1), mesh.cut]).toEqual([citadel.trust, []]);
  watch.start();
  let looks = 0;
  for (; looks < 200 && mesh.cut.length === 0; looks++) {
    clock.advance(ROLLOVER_WATCH_MS);
    await Bun.sleep(2);
  }
  stop();
  expect(looks).toBeGreaterThan(1);
  expect(mesh.cut).toEqual([citadel.trust.signer]);
});
