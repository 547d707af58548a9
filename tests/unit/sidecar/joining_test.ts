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

/** A directory in which the workload CART has joined, as a member of `group` if there is one. */
async function joined(group: string | null) {
  const { citadel, clock, issued } = await enrolled();
  const directory = freshDirectory();
  const { workload, spiffeId, controlPlane } = CART;
  const identity = {
    ...{ workload, spiffeId, controlPlane, trustDomain: TRUST_DOMAIN, chain: issued.reply.chain },
    ...{ key: "key", roots: "roots" },
    ...(group === null ? {} : { group }),
  };
  writeFileSync(join(directory, "identity.json"), JSON.stringify(identity), { mode: 0o600 });
  return { citadel, clock, directory };
}

function open(clock: ManualClock, dataDirectory: string, tokenFile: string): Promise<Joining> {
  return Joining.open({
    ...{ dataDirectory, tokenFile, platform: undefined, controlPlane: undefined, random: new Prng(1) },
    ...{ clock, wheel: new TimerWheel(new ManualClock()), files: privateFiles },
    log: createLog({ clock, format: "json", write: () => {} }),
    client: () => {
      throw new Error("The control plane was asked");
    },
    isStopping: () => false,
  });
}

test.each([
  ["of the workload itself", {}, null, true],
  ["of another workload", { workload: "shop/cart-v2" }, null, false],
  ["of another member of its group", { workload: "shop/carts-b", group: "shop/carts" }, "shop/carts", true],
  ["of a member of another group", { workload: "shop/carts-b", group: "shop/others" }, "shop/carts", false],
  ["of a group, where it joined without one", { workload: "shop/carts-b", group: "shop/carts" }, null, false],
])(
  "Joining.open() beside an identity takes a token %s, or says that the directory is another's",
  async (_whose, more, group, isTaken) => {
    const { citadel, clock, directory } = await joined(group);
    const tokenFile = join(directory, "token");
    writeFileSync(tokenFile, (await citadel.createToken({ ...CART, ...more })).token);
    const opened = open(clock, directory, tokenFile);
    if (isTaken) {
      expect((await opened).usable()?.workload).toBe(CART.workload);
    } else {
      const { workload } = { ...CART, ...more };
      const whose = `is for ${workload}, but ${directory} belongs to ${CART.workload};`;
      await expect(opened).rejects.toMatchObject({
        name: "JoinError",
        message: expect.stringContaining(whose),
      });
    }
  },
);

test("Joining.open() needs no token file where the workload has joined, and one where it has not", async () => {
  const { clock, directory } = await joined(null);
  const missing = join(directory, "missing.jwt");
  expect((await open(clock, directory, missing)).usable()?.workload).toBe(CART.workload);
  await expect(open(clock, freshDirectory(), missing)).rejects.toMatchObject({
    name: "JoinError",
    message: expect.stringContaining(missing),
  });
});

test("Joining.usable() is no identity before the first join, nor one that has expired", async () => {
  const { citadel, clock, directory } = await joined(null);
  const tokenFile = join(directory, "token");
  writeFileSync(tokenFile, (await citadel.createToken(CART)).token);
  expect((await open(clock, freshDirectory(), tokenFile)).usable()).toBeUndefined();
  clock.advance(25 * 3_600_000);
  expect((await open(clock, directory, join(directory, "missing.jwt"))).usable()).toBeUndefined();
});
