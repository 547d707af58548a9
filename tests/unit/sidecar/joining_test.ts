/** How a sidecar comes by its identity, as far as nobody else is needed for it. */
import { afterAll, expect, test } from "bun:test";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { encodePrivateKey, generateKeyPair } from "../../../src/identity/key_pair.ts";
import { ManualClock } from "../../../src/lib/clock.ts";
import { Prng } from "../../../src/lib/prng.ts";
import { TimerWheel } from "../../../src/lib/timer_wheel.ts";
import type { EnrolRequest, PlatformEnrolRequest } from "../../../src/model/enrolment.ts";
import { privateFiles } from "../../../src/runtime/private_files.ts";
import type { ControlClient } from "../../../src/sidecar/control_client.ts";
import { Joining } from "../../../src/sidecar/joining.ts";
import type { Answer } from "../../../src/sidecar/json_call.ts";
import { createLog, type Log } from "../../../src/telemetry/log.ts";
import {
  CART,
  enrolled,
  failingFiles,
  freshDirectory,
  openCitadel,
  removeDirectories,
  TRUST_DOMAIN,
} from "../citadel/test_citadel.ts";
import { TestAuthority } from "../identity/odd_certificates.ts";

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
    ...{ key: await encodePrivateKey((await generateKeyPair()).privateKey), roots: "roots" },
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

const HOUR_MS = 3_600_000;
const EXPIRED_MS = 25 * HOUR_MS;
const REFUSED: Answer = {
  status: 403,
  body: { error: { code: "token_invalid", message: "not valid here" } },
  retryAfterMs: 0,
};

const BUSY: Answer = { status: 429, body: null, retryAfterMs: 30_000 };

interface Story {
  /** Whom the platform vouches for; undefined: it vouches for nobody. */
  readonly vouched?: string;
  readonly tokenFile?: string;
  /** CART joined in the directory, and its certificate has expired. */
  readonly isJoined?: boolean;
  /** What the control plane says first; after it, it lets everybody in. */
  readonly first?: readonly Answer[];
  /** By how much the control plane's clock is ahead. */
  readonly aheadMs?: number;
}

/** `asked` has the paths that the control plane was asked, and the tokens of the platform that came with it. */
async function build({ vouched, tokenFile, isJoined = false, first = [], aheadMs = 0 }: Story) {
  const { citadel, clock: theirs, directory } = await joined(null);
  if (isJoined) theirs.advance(EXPIRED_MS);
  const clock = new ManualClock(theirs.now() - aheadMs);
  const dataDirectory = isJoined ? directory : freshDirectory();
  const platform = {
    tokenFile: join(freshDirectory(), "platform.jwt"),
    rootCert: join(freshDirectory(), "roots.pem"),
    trustDomain: TRUST_DOMAIN,
  };
  writeFileSync(platform.tokenFile, "first\n");
  writeFileSync(platform.rootCert, citadel.trustBundle().roots);
  const asked: string[] = [];
  const letIn = async ({ csr }: PlatformEnrolRequest): Promise<Answer> => {
    const workload = vouched ?? CART.workload;
    const { token } = await citadel.createToken({ ...CART, workload });
    return {
      status: 200,
      body: { ...(await citadel.enrol({ token, csr })).reply, workload },
      retryAfterMs: 0,
    };
  };
  const client = {
    post: async (path: string, body: PlatformEnrolRequest): Promise<Answer> => {
      const { platformToken } = body;
      asked.push(platformToken === undefined ? path : `${path} ${platformToken}`);
      return first[asked.length - 1] ?? await letIn(body);
    },
    close: () => {},
  };
  const log = new HeardLog(clock);
  const state = { isStopping: false };
  const joining = await Joining.open({
    ...{ dataDirectory, tokenFile, controlPlane: CART.controlPlane, random: new Prng(1) },
    ...{ platform: vouched === undefined ? undefined : platform, files: privateFiles },
    ...{ clock, wheel: new TimerWheel(new ManualClock()), isStopping: () => state.isStopping, log: log.log },
    client: () => client as unknown as ControlClient,
  });
  const stored = () => JSON.parse(readFileSync(join(dataDirectory, "identity.json"), "utf8"));
  return { clock, joining, platform, asked, log, state, stored, dataDirectory };
}

/** A log that can be waited for. */
class HeardLog {
  readonly log: Log;
  readonly lines: Record<string, unknown>[] = [];
  #onLine: () => void = () => {};

  constructor(clock: ManualClock) {
    const write = (line: string) => {
      this.lines.push(JSON.parse(line));
      this.#onLine();
    };
    this.log = createLog({ clock, format: "json", write });
  }

  next(): Promise<void> {
    return new Promise((resolve) => this.#onLine = resolve);
  }

  get messages(): unknown[] {
    return this.lines.map(({ message }) => message);
  }
}

/** Runs until something is to happen later. */
async function untilItWaits(clock: ManualClock): Promise<void> {
  while (clock.pending === 0) await new Promise((resolve) => setImmediate(resolve));
}

const TRYING = "Cannot join yet; trying again";
const TOKEN_NEXT = "Not let in with the certificate that has expired; trying the token";
const JOINED = "Joined the mesh";

test("Joining.join() takes a platform's refusal for no last word, and tries again with the latest token", async () => {
  const { clock, joining, platform, asked, log, stored } = await build({
    vouched: CART.workload,
    first: [REFUSED],
  });
  const told = log.next();
  const joins = joining.join();
  await told;
  expect(log.lines).toMatchObject([{ message: TRYING, reason: "not valid here" }]);
  writeFileSync(platform.tokenFile, "second\n");
  clock.advance(200);
  const { workload } = await joins;
  expect(asked).toEqual(["/v1/enrol first", "/v1/enrol second"]);
  expect([workload, stored().workload]).toEqual([CART.workload, CART.workload]);
});

test("Joining.join() asks with the expired certificate first, and then as the platform says", async () => {
  const { joining, asked, log, stored } = await build({
    ...{ vouched: CART.workload, isJoined: true },
    first: [REFUSED],
  });
  const { chain } = await joining.join();
  expect(asked).toEqual(["/v1/rejoin", "/v1/enrol first"]);
  expect(log.lines).toMatchObject([
    { message: TOKEN_NEXT, reason: "not valid here" },
    { message: JOINED, workload: CART.workload },
  ]);
  expect(stored().chain).toBe(chain);
});

test("Joining.join() does not put another workload's identity into a directory that has one", async () => {
  const other = await build({ vouched: "shop/cart-v2", isJoined: true, first: [REFUSED] });
  await expect(other.joining.join()).rejects.toMatchObject({
    name: "JoinError",
    message: expect.stringContaining(
      `is for shop/cart-v2, but ${other.dataDirectory} belongs to ${CART.workload};`,
    ),
  });
  expect(other.stored().workload).toBe(CART.workload);
});

test("Joining.join() waits as long as it is told to, and says the same only once", async () => {
  const { clock, joining, asked, log } = await build({
    ...{ vouched: CART.workload, isJoined: true },
    first: [BUSY, BUSY, REFUSED],
  });
  const joins = joining.join();
  for (let i = 1; i <= 2; i++) {
    await untilItWaits(clock);
    clock.advance(BUSY.retryAfterMs - 1);
    expect([clock.pending, asked.length]).toEqual([1, i]);
    clock.advance(1);
  }
  await joins;
  expect(asked).toEqual(["/v1/rejoin", "/v1/rejoin", "/v1/rejoin", "/v1/enrol first"]);
  expect(log.messages).toEqual([TRYING, TOKEN_NEXT, JOINED]);
});

test("Joining.join() does not try again when the process is to end", async () => {
  const { joining, asked, state } = await build({ vouched: CART.workload, first: [BUSY] });
  state.isStopping = true;
  await expect(joining.join()).rejects.toMatchObject({ name: "ControlPlaneUnreachable" });
  expect(asked).toHaveLength(1);
});

test("Joining.join() by the platform waits until clocks that differ are set right", async () => {
  const { clock, joining, asked, log } = await build({ vouched: CART.workload, aheadMs: HOUR_MS });
  const joins = joining.join();
  await untilItWaits(clock);
  clock.setAhead(HOUR_MS);
  clock.advance(200);
  await joins;
  expect(asked).toHaveLength(2);
  expect(log.messages).toEqual([TRYING, JOINED]);
});

test("Joining.join() with an expired certificate that is refused asks for a token, or says why it has none", async () => {
  const missing = join(freshDirectory(), "missing.jwt");
  for (const [tokenFile, what] of [[undefined, "make one with `bowline token create"], [missing, missing]]) {
    const { joining } = await build({ isJoined: true, first: [REFUSED], ...(tokenFile && { tokenFile }) });
    await expect(joining.join()).rejects.toMatchObject({
      name: "JoinError",
      message: expect.stringMatching(new RegExp(`lets nobody in with it: not valid here; .*${what}`)),
    });
  }
});

test("Joining.join() does not use a token of one use again for a certificate that is not valid yet", async () => {
  const { citadel, clock: theirs } = await openCitadel();
  const clock = new ManualClock(theirs.now() - HOUR_MS);
  const { chain: cert, key } = await (await TestAuthority.make()).issue({});
  const server = Bun.serve({
    ...{ port: 0, hostname: "127.0.0.1", tls: { cert, key } },
    fetch: () => Response.json(citadel.trustBundle()),
  });
  const tokenFile = join(freshDirectory(), "token");
  writeFileSync(tokenFile, (await citadel.createToken(CART)).token, { mode: 0o644 });
  let asked = 0;
  const client = {
    post: async (_path: string, request: EnrolRequest): Promise<Answer> => {
      asked++;
      return { status: 200, body: (await citadel.enrol(request)).reply, retryAfterMs: 0 };
    },
    close: () => {},
  };
  const heard = new HeardLog(clock);
  const joining = await Joining.open({
    ...{
      dataDirectory: freshDirectory(),
      tokenFile,
      platform: undefined,
      random: new Prng(1),
      files: privateFiles,
    },
    ...{ controlPlane: `127.0.0.1:${server.port}`, clock, wheel: new TimerWheel(clock), log: heard.log },
    client: () => client as unknown as ControlClient,
    isStopping: () => false,
  });
  try {
    await expect(joining.join()).rejects.toMatchObject({ name: "ClocksDiffer" });
    expect(asked).toBe(1);
    expect(heard.messages).toEqual([expect.stringContaining("can read the join token")]);
  } finally {
    await server.stop(true);
  }
});
