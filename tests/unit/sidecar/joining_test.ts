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

test.each(["join token", "platform's token"])(
  "Joining.join() does not begin to use a %s up when the disk would not take the identity",
  async (kind) => {
    const { citadel, clock } = await openCitadel();
    const dataDirectory = freshDirectory();
    const file = join(dataDirectory, "token");
    writeFileSync(file, (await citadel.createToken(CART)).token);
    const platform = { tokenFile: file, rootCert: file, trustDomain: "mesh.test" };
    const lines: string[] = [];
    const joining = await Joining.open({
      ...(kind === "join token"
        ? { tokenFile: file, platform: undefined }
        : { tokenFile: undefined, platform }),
      ...{ dataDirectory, controlPlane: CART.controlPlane, random: new Prng(1) },
      ...{ clock, wheel: new TimerWheel(new ManualClock()), files: failingFiles(0, "before") },
      log: createLog({ clock, format: "json", write: (line) => lines.push(line) }),
      client: () => {
        throw new Error("The control plane was asked");
      },
      isStopping: () => false,
    });
    await expect(joining.join()).rejects.toMatchObject({ name: "PrivateFileError", code: "failed" });
    expect([lines, readdirSync(dataDirectory)]).toEqual([[], ["token"]]);
  },
);
