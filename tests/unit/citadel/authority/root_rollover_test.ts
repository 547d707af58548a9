/** A rollover of the root, step by step: who is verified by whom at each, what is on disk, and when a step is due. */
import { afterAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Citadel } from "../../../../src/citadel/citadel.ts";
import type { Issued } from "../../../../src/citadel/issuer.ts";
import { LEAF_LIFE_DEFAULT_MS } from "../../../../src/citadel/authority/certificate_authority.ts";
import { FORMER_ROOTS_MAX } from "../../../../src/citadel/authority/own_authority.ts";
import { ROOT_LIFE_MS } from "../../../../src/citadel/authority/root_certificate.ts";
import type { RootRollover } from "../../../../src/citadel/authority/root_rollover.ts";
import { certificateExpiries } from "../../../../src/identity/certificate_expiries.ts";
import { pinnedRoot } from "../../../../src/identity/trust_bundle.ts";
import { openssl } from "../../identity/openssl.ts";
import {
  CART,
  failingFiles,
  freshDirectory,
  newCsr,
  openCitadel,
  removeDirectories,
  START_MS,
} from "../test_citadel.ts";

afterAll(removeDirectories);

const HOUR_MS = 3_600_000;
const nobody = () => [];

function rolloverOf({ rollover }: Citadel): RootRollover {
  if (rollover === null) throw new Error("It has a root of its own");
  return rollover;
}

async function enrol(citadel: Citadel): Promise<Issued> {
  const { token } = await citadel.createToken(CART);
  return await citadel.enrol({ token, csr: await newCsr() });
}

async function renew(citadel: Citadel): Promise<Issued> {
  return await citadel.renew(CART.spiffeId, CART.workload, { csr: await newCsr() });
}

/** Whether openssl takes the chain for one that leads to the roots, as a peer's in TLS. */
function isTrusted(chain: string, roots: string, atMs = START_MS): boolean {
  const files = { "chain.pem": chain, "roots.pem": roots };
  try {
    const args = ["verify", "-x509_strict", "-purpose", "sslserver", "-attime", String(atMs / 1000)];
    return openssl([...args, "-CAfile", "roots.pem", "-untrusted", "chain.pem", "chain.pem"], files).includes(
      "OK",
    );
  } catch {
    return false;
  }
}

/** As the file on disk says. */
async function reopened(dataDirectory: string): Promise<Citadel> {
  return (await openCitadel({ dataDirectory })).citadel;
}

describe("RootRollover", () => {
  test("RootRollover trusts both roots, then signs with the new one, then drops the old one", async () => {
    const { citadel, dataDirectory } = await openCitadel();
    const old = await enrol(citadel);
    const oldRoots = citadel.trust.roots;
    const rollover = rolloverOf(citadel);
    await rollover.start();
    expect(citadel.rolloverPhase).toBe("distributing");
    const both = citadel.trust.roots;
    expect([both.startsWith(oldRoots), (await citadel.trustedRoots()).length]).toEqual([true, 2]);
    // Still under the old root, for those who know only that one.
    expect(isTrusted((await renew(citadel)).reply.chain, oldRoots)).toBe(true);
    await rollover.advance(() => ["shop/other"]);
    expect(citadel.rolloverPhase).toBe("distributing");

    await rollover.advance(nobody);
    expect([citadel.rolloverPhase, citadel.unrenewed()]).toEqual(["renewing", ["shop/cart-v1"]]);
    const signer = citadel.trust.signer;
    const renewed = await renew(citadel);
    const newRoots = citadel.trust.roots.replace(oldRoots, "");
    // Each is verified by who knows either root, and who knows both.
    for (const roots of [oldRoots, newRoots, both]) {
      expect(isTrusted(renewed.reply.chain, roots)).toBe(true);
      expect(isTrusted((await citadel.issueOwn()).chain, roots)).toBe(true);
    }
    expect(isTrusted(old.reply.chain, newRoots)).toBe(false);
    expect(citadel.unrenewed()).toEqual([]);
    await rollover.finish([], false);
    const after = await reopened(dataDirectory);
    for (const each of [citadel, after]) {
      expect(each.rolloverPhase).toBeNull();
      expect(each.trust).toEqual({ roots: newRoots, signer });
      expect(isTrusted((await renew(each)).reply.chain, newRoots)).toBe(true);
      // A sidecar that was off all the time still finds the control plane.
      expect(isTrusted((await each.issueOwn()).chain, oldRoots)).toBe(true);
    }
  });

  test("RootRollover comes back from the disk as it was, in each phase", async () => {
    const { citadel, dataDirectory } = await openCitadel();
    await enrol(citadel);
    const rollover = rolloverOf(citadel);
    const steps = [
      () => rollover.start(),
      () => rollover.advance(nobody),
      () => rollover.abort(),
      () => renew(citadel),
      () => rollover.advance(nobody),
    ];
    for (const step of steps) {
      await step();
      const again = await reopened(dataDirectory);
      expect([again.rolloverPhase, again.trust, again.caPin, again.trustBundle()]).toEqual(
        [citadel.rolloverPhase, citadel.trust, citadel.caPin, citadel.trustBundle()],
      );
    }
    expect(citadel.rolloverPhase).toBeNull();
  });

  test("RootRollover.finish() refuses while somebody needs the old root, and says who", async () => {
    const { citadel } = await openCitadel();
    await enrol(citadel);
    const rollover = rolloverOf(citadel);
    const refused = (lacking: string[], text: string) =>
      expect(rollover.finish(lacking, false)).rejects.toMatchObject({
        code: "request_invalid",
        message: expect.stringContaining(text),
      });
    await refused([], "No rollover goes on");
    await rollover.start();
    await expect(rollover.start()).rejects.toMatchObject({
      message: expect.stringContaining("(distributing)"),
    });
    await refused(["shop/a"], "The new root does not sign yet: shop/a");
    await rollover.advance(nobody);
    await refused([], "The old root is still needed: shop/cart-v1 lacks the new one");
    await renew(citadel);
    await refused(["a/1", "a/2", "a/3", "a/4", "a/5", "a/6"], ": a/1, a/2, a/3, a/4, a/5 and 1 more lack");
    await rollover.finish([], false);
    expect(citadel.rolloverPhase).toBeNull();
  });

  test("RootRollover waits for a workload that has the certificate of before, since its new one got lost", async () => {
    const { citadel } = await openCitadel();
    const { workload, serial } = await enrol(citadel);
    citadel.hold(workload, serial);
    const rollover = rolloverOf(citadel);
    await rollover.start();
    await rollover.advance(nobody);
    await renew(citadel);
    expect(citadel.unrenewed()).toEqual([workload]);
    await expect(rollover.finish([], false)).rejects.toMatchObject({ code: "request_invalid" });
    const { serial: next } = await renew(citadel);
    // Those of nobody, and of others, say nothing.
    citadel.hold(workload, "5d");
    citadel.hold("shop/other", next);
    expect(citadel.unrenewed()).toEqual([workload]);
    citadel.hold(workload, next);
    expect(citadel.unrenewed()).toEqual([]);
    await rollover.finish([], false);
  });

  test("RootRollover.advance() replaces a root that has expired, of which no token is made", async () => {
    const { citadel, clock } = await openCitadel();
    const rollover = rolloverOf(citadel);
    clock.advance(ROOT_LIFE_MS);
    await expect(citadel.createToken(CART)).rejects.toMatchObject({
      code: "ca_expired",
      detail: expect.stringMatching(/; bowline ca rotate status says how far the next one is$/),
    });
    await rollover.advance(nobody);
    await rollover.advance(nobody);
    expect(await enrol(citadel)).toMatchObject({ workload: CART.workload });
  });

  test("RootRollover.finish() does not wait for a certificate that has expired or was revoked", async () => {
    for (const how of ["expired", "revoked"] as const) {
      const { citadel, clock } = await openCitadel();
      const { serial } = await enrol(citadel);
      const rollover = rolloverOf(citadel);
      await rollover.start();
      await rollover.advance(nobody);
      expect(citadel.unrenewed()).toEqual(["shop/cart-v1"]);
      if (how === "revoked") await citadel.revoke(serial);
      else clock.advance(LEAF_LIFE_DEFAULT_MS + 1);
      await rollover.finish([], false);
      expect(citadel.rolloverPhase).toBeNull();
    }
  });

  test("RootRollover.finish() forced needs nobody, in either phase", async () => {
    for (const advances of [0, 1]) {
      const { citadel } = await openCitadel();
      const { reply } = await enrol(citadel);
      const rollover = rolloverOf(citadel);
      await rollover.start();
      for (let i = 0; i < advances; i++) await rollover.advance(nobody);
      await rollover.finish(["shop/a"], true);
      expect(isTrusted(reply.chain, citadel.trust.roots)).toBe(false);
      expect(citadel.certificates()).toMatchObject([{ kind: "root" }, { kind: "leaf", state: "revoked" }]);
      expect(isTrusted((await renew(citadel)).reply.chain, citadel.trust.roots)).toBe(true);
    }
  });

  test("RootRollover.finish() forced leaves one signer alone to be believed, until the next rollover", async () => {
    const { citadel, clock, dataDirectory } = await openCitadel();
    const only = async () => (await openCitadel({ clock, dataDirectory })).citadel.trust.only;
    const rollover = rolloverOf(citadel);
    for (const [force, expected] of [[false, undefined], [true, true]] as const) {
      await rollover.start();
      expect([citadel.trust.only, await only()]).toEqual([undefined, undefined]);
      await rollover.advance(nobody);
      await rollover.finish([], force);
      expect([citadel.trust.only, await only()]).toEqual([expected, expected]);
    }
    await rollover.start();
    expect([citadel.trust.only, await only()]).toEqual([undefined, undefined]);
  });

  test("RootRollover.abort() goes back at once while the new root has signed nothing", async () => {
    const { citadel, dataDirectory } = await openCitadel();
    const before = [citadel.trust, readFileSync(join(dataDirectory, "ca/authority.pem"), "utf8")];
    const rollover = rolloverOf(citadel);
    await expect(rollover.abort()).rejects.toMatchObject({ code: "request_invalid" });
    await rollover.start();
    await rollover.abort();
    expect([citadel.trust, readFileSync(join(dataDirectory, "ca/authority.pem"), "utf8")]).toEqual(before);
  });

  test("RootRollover.abort() later trusts the new root until all that it signed is renewed", async () => {
    const { citadel } = await openCitadel();
    const { trust } = citadel;
    const rollover = rolloverOf(citadel);
    await rollover.start();
    await rollover.advance(nobody);
    const { reply } = await enrol(citadel);
    await rollover.abort();
    expect([citadel.rolloverPhase, citadel.trust.signer]).toEqual(["withdrawing", trust.signer]);
    expect(isTrusted(reply.chain, citadel.trust.roots)).toBe(true);
    await rollover.advance(nobody);
    expect(citadel.rolloverPhase).toBe("withdrawing");
    await expect(rollover.finish([], true)).rejects.toMatchObject({ code: "request_invalid" });
    // To finish or to abort it, as is told of another, is no way out.
    await expect(rollover.start()).rejects.toThrow("aborted, and is not over yet");
    await renew(citadel);
    await rollover.advance(() => ["shop/a"]);
    expect(citadel.rolloverPhase).toBe("withdrawing");
    await rollover.advance(nobody);
    expect([citadel.rolloverPhase, citadel.trust]).toEqual([null, trust]);
  });

  test("RootRollover waits for proxies that do not answer no longer than a certificate lives", async () => {
    const { citadel, clock } = await openCitadel();
    const rollover = rolloverOf(citadel);
    await rollover.start();
    const missing = () => ["shop/a"];
    clock.advance(LEAF_LIFE_DEFAULT_MS - HOUR_MS);
    await rollover.advance(missing);
    expect(citadel.rolloverPhase).toBe("distributing");
    clock.advance(HOUR_MS);
    await rollover.advance(missing);
    expect(citadel.rolloverPhase).toBe("renewing");
  });

  test("RootRollover does all by itself in the last fifth of a root's life, and not before", async () => {
    const { citadel, clock } = await openCitadel();
    const rollover = rolloverOf(citadel);
    const [old] = await citadel.trustedRoots();
    clock.advance(ROOT_LIFE_MS * 0.8 - 24 * HOUR_MS);
    const { reply } = await enrol(citadel);
    await rollover.advance(nobody);
    expect(citadel.rolloverPhase).toBeNull();
    clock.advance(24 * HOUR_MS);
    const phases = [];
    for (let i = 0; i < 4; i++) {
      await rollover.advance(nobody);
      phases.push(citadel.rolloverPhase);
    }
    expect(phases).toEqual(["distributing", "renewing", null, null]);
    const roots = await citadel.trustedRoots();
    expect(roots).toMatchObject([{ signs: true }]);
    expect(roots[0]?.pin).not.toBe(old?.pin);
    expect(Date.parse(roots[0]?.notAfter ?? "")).toBe(clock.now() + ROOT_LIFE_MS);
    expect(isTrusted(reply.chain, citadel.trust.roots, clock.now())).toBe(false);
  });

  test("RootRollover leaves one that was ordered to those who ordered it, while there is time", async () => {
    const { citadel } = await openCitadel();
    const rollover = rolloverOf(citadel);
    await rollover.start();
    for (let i = 0; i < 3; i++) await rollover.advance(nobody);
    expect(citadel.rolloverPhase).toBe("renewing");
  });

  test("RootRollover changes nothing when the disk fails, or is where the disk is", async () => {
    for (const when of ["before", "after"] as const) {
      const dataDirectory = freshDirectory();
      await openCitadel({ dataDirectory });
      const counting = failingFiles(-1, when);
      const { citadel: counted } = await openCitadel({ dataDirectory, files: counting });
      const files = failingFiles(counting.calls, when);
      const { citadel } = await openCitadel({ dataDirectory, files });
      await expect(rolloverOf(citadel).start()).rejects.toMatchObject({ code: "failed" });
      expect(citadel.trust).toEqual(counted.trust);
      const disk = await reopened(dataDirectory);
      expect(disk.rolloverPhase).toBe(when === "before" ? null : "distributing");
      expect(disk.trust.signer).toBe(citadel.trust.signer);
    }
  });
});

describe("join tokens", () => {
  test("those made in any phase lead to a root by which the control plane can prove itself, to the end", async () => {
    const { citadel } = await openCitadel();
    const rollover = rolloverOf(citadel);
    const pins = [citadel.caPin];
    const check = async () => {
      for (const pin of pins) {
        const root = await pinnedRoot(citadel.trustBundle().roots, pin);
        expect(isTrusted((await citadel.issueOwn()).chain, root)).toBe(true);
      }
    };
    const steps = [
      () => rollover.start(),
      () => rollover.advance(nobody),
      () => rollover.abort(),
      () => rollover.advance(nobody),
      () => rollover.start(),
      () => rollover.advance(nobody),
      () => rollover.finish([], false),
      () => rollover.start(),
      () => rollover.finish([], true),
    ];
    for (const step of steps) {
      await step();
      pins.push(citadel.caPin);
      await check();
    }
    expect(new Set(pins).size).toBe(3);
  });

  test("of earlier roots no more are remembered than FORMER_ROOTS_MAX", async () => {
    const { citadel, dataDirectory } = await openCitadel();
    const rollover = rolloverOf(citadel);
    const pins: string[] = [];
    for (let i = 0; i < FORMER_ROOTS_MAX + 2; i++) {
      pins.push(citadel.caPin);
      await rollover.start();
      await rollover.finish([], true);
    }
    const again = await reopened(dataDirectory);
    const { roots } = again.trustBundle();
    await expect(pinnedRoot(roots, pins[0] as string)).rejects.toThrow();
    await expect(pinnedRoot(roots, pins[1] as string)).rejects.toThrow();
    for (const pin of pins.slice(2)) {
      expect(isTrusted((await again.issueOwn()).chain, await pinnedRoot(roots, pin))).toBe(true);
    }
  });
});

test("certificateExpiries() of a leaf that two roots vouch for tells of the root that is trusted", async () => {
  const { citadel } = await openCitadel();
  const rollover = rolloverOf(citadel);
  await rollover.start();
  await rollover.advance(nobody);
  const { reply } = await enrol(citadel);
  await rollover.finish([], true);
  const kinds = certificateExpiries(reply.chain, citadel.trust.roots).map(({ kind }) => kind);
  expect(kinds).toEqual(["leaf", "root"]);
});
