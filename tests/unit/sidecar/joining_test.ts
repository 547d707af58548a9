/** How a sidecar comes by its identity, as far as nobody else is needed for it. */
import { afterAll, expect, test } from "bun:test";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ManualClock } from "../../../src/lib/clock.ts";
import { Prng } from "../../../src/lib/prng.ts";
import { TimerWheel } from "../../../src/lib/timer_wheel.ts";
import { Joining } from "../../../src/sidecar/joining.ts";
import { createLog } from "../../../src/telemetry/log.ts";
import {
  CART,
  failingFiles,
  freshDirectory,
  openCitadel,
  removeDirectories,
} from "../citadel/test_citadel.ts";

afterAll(removeDirectories);

test("Joining.join() does not begin to use a token up when the disk would not take the identity", async () => {
  const { citadel, clock } = await openCitadel();
  const dataDirectory = freshDirectory();
  const tokenFile = join(dataDirectory, "token");
  writeFileSync(tokenFile, (await citadel.createToken(CART)).token);
  const asked: string[] = [];
  const joining = await Joining.open({
    ...{ dataDirectory, tokenFile, platform: undefined, controlPlane: undefined, random: new Prng(1) },
    ...{ clock, wheel: new TimerWheel(new ManualClock()), files: failingFiles(0, "before") },
    log: createLog({ clock, format: "json", write: (line) => asked.push(line) }),
    client: () => {
      throw new Error("The control plane was asked");
    },
    isStopping: () => false,
  });
  await expect(joining.join()).rejects.toMatchObject({ code: "failed" });
  expect([asked, readdirSync(dataDirectory)]).toEqual([[], ["token"]]);
});
