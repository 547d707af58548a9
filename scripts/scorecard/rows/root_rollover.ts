/** Row 26: the root is replaced under load, among machines whose clocks are five minutes apart, and no request fails. */
import { AdminClient } from "../../../src/cli/admin_client.ts";
import type { RolloverStatus } from "../../../src/model/admin.ts";
import { bowline, until } from "../../../tests/integration/bowline.ts";
import { Load } from "../../../tests/integration/keep_alive_client.ts";
import { requestsPerConnection } from "../../../tests/integration/resources.ts";
import { timeLibrary } from "../../../tests/integration/shifted_clock.ts";
import { type Check, exactly, noneFailed, type Row } from "../row.ts";
import { Stand, storeAnswer } from "../stand.ts";

const CLIENTS = 32;

/** Certificates are renewed over a quarter of a minute. */
const STEP_MS = 60_000;

/** Puts the clock of the client back. */
function behind(): Record<string, string> {
  return { LD_PRELOAD: timeLibrary(), FAKETIME: "-5m", FAKETIME_DONT_FAKE_MONOTONIC: "1" };
}

/** Of each size: rollovers that are aborted half-way, and then those that are finished. */
const ROUNDS = { full: { aborted: 2, finished: 5 }, small: { aborted: 0, finished: 1 } };

export const rootRollover: Row = {
  name: "26",
  what: "root rotation under load; clocks 5 minutes apart",
  async run(size) {
    const stand = await Stand.up({ replicas: 2, clientEnv: behind() });
    try {
      stand.write(requestsPerConnection("store", 20));
      await stand.mesh.untilSynced(3);
      const probe = stand.probe();
      const load = new Load(stand.target(), { clients: CLIENTS, pauseMs: () => 2, expected: storeAnswer });
      load.start();
      const checks: Check[] = [];
      for (let i = 0; i < ROUNDS[size].aborted; i++) checks.push(...await abort(stand));
      for (let i = 0; i < ROUNDS[size].finished; i++) checks.push(...await rotate(stand));
      return [
        ...checks,
        noneFailed("requests meanwhile", await load.stop()),
        noneFailed("probe", await probe.stop()),
      ];
    } finally {
      await stand.down();
    }
  },
};

async function rotate(stand: Stand): Promise<Check[]> {
  const [before] = (await status(stand)).roots;
  await step(stand, "start");
  await reached(
    stand,
    "all have renewed",
    ({ phase, lacking, unrenewed }) => phase === "renewing" && lacking.length + unrenewed.length === 0,
  );
  const { roots } = await step(stand, "finish");
  const [root] = roots;
  await reached(stand, "all trust the new root alone", ({ lacking }) => lacking.length === 0);
  return [
    exactly("roots after a rotation", roots.length, 1),
    exactly("it is another one", root !== undefined && root.pin !== before?.pin, true),
  ];
}

/** When some have renewed, or all. */
async function abort(stand: Stand): Promise<Check[]> {
  const before = (await status(stand)).roots;
  await step(stand, "start");
  await reached(
    stand,
    "somebody has renewed",
    ({ phase, unrenewed }) => phase === "renewing" && unrenewed.length < 3,
  );
  await step(stand, "abort");
  const { roots } = await reached(stand, "all are back", ({ phase }) => phase === null);
  return [
    exactly("the root is the same after an abort", JSON.stringify(roots) === JSON.stringify(before), true),
  ];
}

async function step(stand: Stand, name: string): Promise<RolloverStatus> {
  const { code, stdout, stderr } = await bowline([
    ...["ca", "rotate", name, "-o", "json", "--data", stand.mesh.controlPlaneData],
  ]);
  if (code !== 0) throw new Error(`bowline ca rotate ${name}: ${stderr}`);
  return JSON.parse(stdout) as RolloverStatus;
}

async function status(stand: Stand): Promise<RolloverStatus> {
  return await new AdminClient(stand.mesh.controlPlaneData).get("/v1/rollover") as RolloverStatus;
}

async function reached(
  stand: Stand,
  what: string,
  isIt: (status: RolloverStatus) => boolean,
): Promise<RolloverStatus> {
  let last!: RolloverStatus;
  await until(what, async () => isIt(last = await status(stand)), STEP_MS);
  return last;
}
