/** A certificate that must not die in silence: renewed at half of its life with nothing but itself, for as long as it takes. */
import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BACK_DATE_MS } from "../../../src/citadel/certificate_times.ts";
import { Citadel } from "../../../src/citadel/citadel.ts";
import { createCsr } from "../../../src/identity/csr.ts";
import { encodePrivateKey, generateKeyPair } from "../../../src/identity/key_pair.ts";
import { certificateInfo } from "../../../src/identity/certificate_info.ts";
import { ManualClock } from "../../../src/lib/clock.ts";
import { DUE_LOOK_MS } from "../../../src/lib/due_timer.ts";
import { Prng } from "../../../src/lib/prng.ts";
import type { EnrolRequest, RejoinRequest } from "../../../src/model/enrolment.ts";
import { privateFiles } from "../../../src/runtime/private_files.ts";
import { CertificateKeeper } from "../../../src/sidecar/certificate_keeper.ts";
import type { ControlClient } from "../../../src/sidecar/control_client.ts";
import { ControlPlaneUnreachable } from "../../../src/sidecar/control_plane_unreachable.ts";
import { rejoin } from "../../../src/sidecar/enrolment.ts";
import type { SidecarIdentity } from "../../../src/sidecar/identity_state.ts";
import type { Answer } from "../../../src/sidecar/json_call.ts";
import { createLog } from "../../../src/telemetry/log.ts";

const HOUR_MS = 3_600_000;
const SPIFFE_ID = "spiffe://mesh.test/ns/shop/sa/web";
const directories: string[] = [];

afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
});

/** A joined workload, its keeper, and a control plane that can be away. */
async function build() {
  const directory = mkdtempSync(join(tmpdir(), "bowline-keeper-"));
  directories.push(directory);
  const clock = new ManualClock(Date.UTC(2030, 0, 1));
  const citadel = await Citadel.open({
    dataDirectory: directory,
    trustDomain: "mesh.test",
    clock,
    files: privateFiles,
  });
  const order = { workload: "shop/web", spiffeId: SPIFFE_ID, controlPlane: "127.0.0.1:15012" };
  const { token } = await citadel.createToken(order);
  const keys = await generateKeyPair();
  const { reply } = await citadel.enrol({ token, csr: await createCsr(keys) });
  const identity: SidecarIdentity = {
    ...{
      workload: "shop/web",
      spiffeId: SPIFFE_ID,
      trustDomain: "mesh.test",
      controlPlane: "127.0.0.1:15012",
    },
    ...{ key: await encodePrivateKey(keys.privateKey), chain: reply.chain, roots: reply.roots },
  };
  const controlPlane = {
    ...{ away: false, busy: false, asked: [] as string[], diskFull: false, aheadMs: 0 },
    answers: Promise.resolve(),
  };
  const client = {
    async post(path: string, body: unknown): Promise<Answer> {
      controlPlane.asked.push(path);
      if (controlPlane.away) throw new ControlPlaneUnreachable("The control plane is away");
      if (controlPlane.busy) return { status: 429, body: null, retryAfterMs: 30_000 };
      clock.setAhead(controlPlane.aheadMs);
      const { reply } = await citadel.renew(SPIFFE_ID, "shop/web", body as EnrolRequest);
      clock.setAhead(-controlPlane.aheadMs);
      await controlPlane.answers;
      return { status: 200, body: reply, retryAfterMs: 0 };
    },
  } as unknown as ControlClient;
  const lines: string[] = [];
  const log = createLog({ clock, format: "json", write: (line) => lines.push(line) });
  const saved: SidecarIdentity[] = [];
  const save = async (renewed: SidecarIdentity) => {
    await Promise.resolve();
    if (controlPlane.diskFull) throw new Error("The disk is full");
    saved.push(renewed);
  };
  const anonymous = {
    async post(path: string, body: unknown): Promise<Answer> {
      controlPlane.asked.push(path);
      if (controlPlane.away) throw new ControlPlaneUnreachable("The control plane is away");
      const { reply } = await citadel.rejoin(body as RejoinRequest);
      return { status: 200, body: reply, retryAfterMs: 0 };
    },
  } as unknown as ControlClient;
  const options = {
    ...{ clock, random: new Prng(1), log, client, save },
    rejoin: (expired: SidecarIdentity) => rejoin(expired, anonymous, clock),
  };
  const keeper = new CertificateKeeper(options, identity);
  return { citadel, clock, keeper, identity, controlPlane, saved, lines };
}

/** One whose renewal is on its way, and is answered as soon as the test says so. */
async function buildRenewing() {
  const built = await build();
  const { clock, keeper, controlPlane } = built;
  const { promise, resolve: answer } = Promise.withResolvers<void>();
  controlPlane.answers = promise;
  keeper.start();
  clock.advance(12.5 * HOUR_MS);
  await until(() => controlPlane.asked.length === 1);
  // The answer was made before, as far as anybody can tell.
  await Bun.sleep(20);
  return { ...built, answer };
}

/** Lets the renewal's cryptography, which runs beside the event loop, come to its end. */
async function until(what: () => boolean): Promise<void> {
  for (let i = 0; i < 500 && !what(); i++) await Bun.sleep(2);
  expect(what()).toBe(true);
}

describe("CertificateKeeper", () => {
  test("CertificateKeeper renews at half of the life, with a new key, and keeps it on disk", async () => {
    const { clock, keeper, identity, controlPlane, saved } = await build();
    keeper.start();
    clock.advance(11.5 * HOUR_MS);
    expect(controlPlane.asked).toEqual([]);
    clock.advance(HOUR_MS);
    await until(() => saved.length === 1);
    expect(controlPlane.asked).toEqual(["/v1/renew?workload=shop%2Fweb"]);
    expect(keeper.identity).toBe(saved[0] as SidecarIdentity);
    expect(keeper.identity.key).not.toBe(identity.key);
    expect(certificateInfo(keeper.identity.chain).spiffeId).toBe(SPIFFE_ID);
    expect(keeper.notAfterMs).toBeGreaterThan(certificateInfo(identity.chain).notAfterMs + 11 * HOUR_MS);
    clock.advance(13 * HOUR_MS);
    await until(() => saved.length === 2);
    keeper.stop();
  });

  test("CertificateKeeper renews as soon as the time of day says so, whatever timers have counted", async () => {
    const { clock, keeper, controlPlane, saved } = await build();
    keeper.start();
    // The machine slept for 20 hours, or was told at last what time it is.
    clock.setAhead(20 * HOUR_MS);
    clock.advance(DUE_LOOK_MS);
    await until(() => saved.length === 1);
    expect(controlPlane.asked).toEqual(["/v1/renew?workload=shop%2Fweb"]);
    keeper.stop();
  });

  test("CertificateKeeper goes on with what it has while the control plane is away, and renews when it is back", async () => {
    const { clock, keeper, identity, controlPlane, saved, lines } = await build();
    controlPlane.away = true;
    keeper.start();
    clock.advance(12.5 * HOUR_MS);
    for (let tries = 1; tries <= 20; tries++) {
      await until(() => controlPlane.asked.length >= tries && clock.pending > 0);
      clock.advance(60_000);
    }
    expect([keeper.identity, saved.length]).toEqual([identity, 0]);
    expect(JSON.parse(lines[0] as string)).toMatchObject({
      message: "Could not renew the certificate; trying again",
      reason: "The control plane is away",
      expiresInSeconds: 11.5 * 3_600,
    });
    controlPlane.away = false;
    await until(() => clock.pending > 0);
    clock.advance(60_000);
    await until(() => saved.length === 1);
    expect(keeper.identity).not.toBe(identity);
    keeper.stop();
  });

  test("CertificateKeeper takes no certificate that is not valid yet, and asks again", async () => {
    const { clock, keeper, identity, controlPlane, saved, lines } = await build();
    controlPlane.aheadMs = BACK_DATE_MS + 1_000;
    keeper.start();
    clock.advance(12.5 * HOUR_MS);
    await until(() => lines.length === 1);
    expect(lines.join("")).toContain(
      "The certificate that the control plane issued is not valid before 2030-01-01T12:30:01.000Z, and here it is " +
        "2030-01-01T12:30:00.000Z: the clock of one of the two machines is wrong",
    );
    expect([keeper.identity, saved]).toEqual([identity, []]);
    // As far as certificates are dated back.
    controlPlane.aheadMs = BACK_DATE_MS;
    await until(() => clock.pending > 0);
    clock.advance(60_000);
    await until(() => saved.length === 1);
    expect(keeper.identity).toBe(saved[0] as SidecarIdentity);
    keeper.stop();
  });

  test("CertificateKeeper comes back with its key when the certificate has expired, within seconds", async () => {
    const { clock, keeper, identity, controlPlane, saved } = await build();
    controlPlane.away = true;
    keeper.start();
    while (keeper.notAfterMs > clock.now()) {
      const before = controlPlane.asked.length;
      clock.advance(15 * 60_000);
      await until(() =>
        clock.pending > 0 && (controlPlane.asked.length > before || clock.now() < keeper.notAfterMs)
      );
    }
    for (let tries = 0; tries < 3; tries++) {
      const before = controlPlane.asked.length;
      await until(() => clock.pending > 0);
      clock.advance(4_000);
      await until(() => controlPlane.asked.length > before);
    }
    expect(controlPlane.asked.at(-1)).toBe("/v1/rejoin");
    controlPlane.away = false;
    await until(() => clock.pending > 0);
    clock.advance(4_000);
    await until(() => saved.length === 1);
    expect(keeper.identity.key).toBe(identity.key);
    expect(keeper.notAfterMs).toBeGreaterThan(clock.now());
    // The next one has a key of its own again.
    clock.advance(13 * HOUR_MS);
    await until(() => saved.length === 2);
    expect(controlPlane.asked.at(-1)).toStartWith("/v1/renew");
    expect(keeper.identity.key).not.toBe(identity.key);
    keeper.stop();
  });

  test("CertificateKeeper uses what it cannot keep, asks for no other, and keeps it when the disk can", async () => {
    const { clock, keeper, controlPlane, saved, lines } = await build();
    controlPlane.diskFull = true;
    keeper.start();
    clock.advance(12.5 * HOUR_MS);
    await until(() => lines.join("").includes("Could not keep the renewed certificate on disk"));
    for (let minutes = 0; minutes < 5; minutes++) {
      clock.advance(60_000);
      await Bun.sleep(1);
    }
    expect(controlPlane.asked).toHaveLength(1);
    controlPlane.diskFull = false;
    clock.advance(60_000);
    await until(() => saved.length === 1);
    expect(keeper.identity).toBe(saved[0] as SidecarIdentity);
    keeper.stop();
  });

  test("CertificateKeeper writes nothing to a disk that was full once it is stopped", async () => {
    const { clock, keeper, controlPlane, saved, lines } = await build();
    controlPlane.diskFull = true;
    keeper.start();
    clock.advance(12.5 * HOUR_MS);
    await until(() => lines.join("").includes("Could not keep the renewed certificate on disk"));
    controlPlane.diskFull = false;
    keeper.stop();
    clock.advance(HOUR_MS);
    await Bun.sleep(1);
    expect(saved).toEqual([]);
  });

  test("CertificateKeeper waits for as long as the control plane asks it to", async () => {
    const { clock, keeper, controlPlane, saved } = await build();
    controlPlane.busy = true;
    keeper.start();
    clock.advance(12.5 * HOUR_MS);
    await until(() => controlPlane.asked.length === 1 && clock.pending > 0);
    controlPlane.busy = false;
    clock.advance(29_999);
    expect(controlPlane.asked).toHaveLength(1);
    clock.advance(1);
    await until(() => saved.length === 1);
    keeper.stop();
  });

  test("CertificateKeeper does nothing once it is stopped", async () => {
    const { clock, keeper, controlPlane } = await build();
    keeper.start();
    keeper.stop();
    clock.advance(24 * HOUR_MS);
    expect(controlPlane.asked).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  test("CertificateKeeper.useTrust() trusts what it is told from then on, on disk before it is done", async () => {
    const { citadel, keeper, identity, controlPlane, saved } = await build();
    keeper.start();
    await keeper.useTrust(citadel.trust);
    expect(saved).toEqual([]);
    await citadel.rollover?.start();
    await keeper.useTrust(citadel.trust);
    expect(saved).toEqual([{ ...identity, roots: citadel.trust.roots }]);
    expect(keeper.identity).toBe(saved[0] as SidecarIdentity);
    expect(controlPlane.asked).toEqual([]);
    await expect(keeper.useTrust({ ...citadel.trust, roots: "none" })).rejects.toThrow("trust bundle");
    expect(keeper.identity.roots).toBe(citadel.trust.roots);
    keeper.stop();
  });

  test("CertificateKeeper.useTrust() renews soon what another has signed, and once", async () => {
    const { citadel, clock, keeper, controlPlane, saved } = await build();
    keeper.start();
    await citadel.rollover?.start();
    await citadel.rollover?.advance(() => []);
    await keeper.useTrust(citadel.trust);
    expect([controlPlane.asked, clock.pending]).toEqual([[], 1]);
    clock.advance(15_000);
    await until(() => saved.length === 2);
    expect(certificateInfo(keeper.identity.chain).signer).toBe(citadel.trust.signer);
    await citadel.rollover?.finish([], false);
    await keeper.useTrust(citadel.trust);
    clock.advance(HOUR_MS);
    expect(controlPlane.asked).toHaveLength(1);
    expect(keeper.identity.roots).toBe(citadel.trust.roots);
    keeper.stop();
  });

  test("CertificateKeeper.useTrust() renews soon also what was renewed before", async () => {
    const { citadel, clock, keeper, saved } = await build();
    keeper.start();
    clock.advance(12.5 * HOUR_MS);
    await until(() => saved.length === 1);
    await citadel.rollover?.start();
    await citadel.rollover?.advance(() => []);
    await keeper.useTrust(citadel.trust);
    clock.advance(15_000);
    await until(() => saved.length === 3);
    expect(certificateInfo(keeper.identity.chain).signer).toBe(citadel.trust.signer);
    keeper.stop();
  });

  test("CertificateKeeper.useTrust() fails while the disk does, and is asked again", async () => {
    const { citadel, keeper, controlPlane, saved } = await build();
    await citadel.rollover?.start();
    controlPlane.diskFull = true;
    await expect(keeper.useTrust(citadel.trust)).rejects.toThrow("full");
    controlPlane.diskFull = false;
    await keeper.useTrust(citadel.trust);
    expect(saved.map(({ roots }) => roots)).toEqual([citadel.trust.roots]);
  });

  test("CertificateKeeper keeps what it is told of roots while a renewal is on its way", async () => {
    const { citadel, keeper, saved, answer } = await buildRenewing();
    await citadel.rollover?.start();
    await keeper.useTrust(citadel.trust);
    answer();
    await until(() => saved.length === 2);
    expect(saved.map(({ roots }) => roots)).toEqual([citadel.trust.roots, citadel.trust.roots]);
    expect(keeper.identity.roots).toBe(citadel.trust.roots);
    keeper.stop();
  });

  test("CertificateKeeper has one renewal planned, also when it is told of another signer while one is on its way", async () => {
    const { citadel, clock, keeper, controlPlane, saved, answer } = await buildRenewing();
    await citadel.rollover?.start();
    await citadel.rollover?.advance(() => []);
    await keeper.useTrust(citadel.trust);
    answer();
    await until(() => saved.length === 2);
    expect(clock.pending).toBe(1);
    // What was on its way is of the old signer.
    clock.advance(15_000);
    await until(() => saved.length === 3);
    expect(certificateInfo(keeper.identity.chain).signer).toBe(citadel.trust.signer);
    expect([controlPlane.asked.length, clock.pending]).toEqual([2, 1]);
    keeper.stop();
  });

  test("CertificateKeeper keeps what it could not keep also when the roots have changed since, and could not be kept", async () => {
    const { citadel, clock, keeper, controlPlane, saved, lines } = await build();
    controlPlane.diskFull = true;
    keeper.start();
    clock.advance(12.5 * HOUR_MS);
    await until(() => lines.join("").includes("Could not keep the renewed certificate on disk"));
    await citadel.rollover?.start();
    await expect(keeper.useTrust(citadel.trust)).rejects.toThrow("full");
    controlPlane.diskFull = false;
    clock.advance(60_000);
    await until(() => saved.length === 1);
    expect(saved).toEqual([keeper.identity]);
    expect(keeper.identity.roots).toBe(citadel.trust.roots);
    keeper.stop();
  });
});
