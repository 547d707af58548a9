/** How a sidecar comes by its identity, as far as nobody else is needed for it. */
import { afterAll, expect, test } from "bun:test";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ManualClock } from "../../../src/lib/clock.ts";
import { Prng } from "../../../src/lib/prng.ts";
import { TimerWheel } from "../../../src/lib/timer_wheel.ts";
import { privateFiles } from "../../../src/runtime/private_files.ts";
import { Joining } from "../../../src/sidecar/joining.ts";
import { createLog } from "../../../src/telemetry/log.ts";
import {
  CART,
  enrolled,
  failingFiles,
  freshDirectory,
  openCitadel,
  removeDirectories,
  TRUST_DOMAIN,
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

test.each([
  ["of the workload itself", {}, null, true],
  ["of another workload", { workload: "shop/cart-v2" }, null, false],
  ["of another member of its group", { workload: "shop/carts-b", group: "shop/carts" }, "shop/carts", true],
  ["of a member of another group", { workload: "shop/carts-b", group: "shop/others" }, "shop/carts", false],
  ["of a group, where it joined without one", { workload: "shop/carts-b", group: "shop/carts" }, null, false],
])(
  "Joining.open() beside an identity takes a token %s, or says that the directory is another's",
  async (_whose, more, group, isTaken) => {
    const { citadel, clock, issued } = await enrolled();
    const dataDirectory = freshDirectory();
    const { workload, spiffeId, controlPlane } = CART;
    const identity = {
      ...{ workload, spiffeId, controlPlane, trustDomain: TRUST_DOMAIN, chain: issued.reply.chain },
      ...{ key: "key", roots: "roots" },
      ...(group === null ? {} : { group }),
    };
    writeFileSync(join(dataDirectory, "identity.json"), JSON.stringify(identity), { mode: 0o600 });
    const tokenFile = join(dataDirectory, "token");
    writeFileSync(tokenFile, (await citadel.createToken({ ...CART, ...more })).token);
    const opened = Joining.open({
      ...{ dataDirectory, tokenFile, platform: undefined, controlPlane: undefined, random: new Prng(1) },
      ...{ clock, wheel: new TimerWheel(new ManualClock()), files: privateFiles },
      log: createLog({ clock, format: "json", write: () => {} }),
      client: () => {
        throw new Error("The control plane was asked");
      },
      isStopping: () => false,
    });
    if (isTaken) {
      expect((await opened).usable()?.workload).toBe(workload);
    } else {
      const whose = `is for ${
        "workload" in more ? more.workload : workload
      }, but ${dataDirectory} belongs to ${workload};`;
      await expect(opened).rejects.toMatchObject({
        name: "JoinError",
        message: expect.stringContaining(whose),
      });
    }
  },
);
