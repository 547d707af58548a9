/** A citadel in a directory of its own, and files that fail on purpose. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Citadel, type CitadelOptions, type TokenRequest } from "../../../src/citadel/citadel.ts";
import { createCsr } from "../../../src/identity/csr.ts";
import { generateKeyPair } from "../../../src/identity/key_pair.ts";
import { ManualClock, systemClock } from "../../../src/lib/clock.ts";
import { PrivateFileError, type PrivateFiles, privateFiles } from "../../../src/runtime/private_files.ts";

/** 2027-01-15T08:00:00Z: no whole day, so that roundings show. */
export const START_MS = 1_800_000_000_000;
export const TRUST_DOMAIN = "mesh.test";
export const CART = {
  workload: "shop/cart-v1",
  spiffeId: `spiffe://${TRUST_DOMAIN}/ns/shop/sa/cart`,
  controlPlane: "127.0.0.1:15012",
} as const;

const made: string[] = [];

export function freshDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "bowline-citadel-"));
  made.push(directory);
  return directory;
}

/** For `afterAll`. */
export function removeDirectories(): void {
  for (const directory of made.splice(0)) rmSync(directory, { recursive: true, force: true });
}

export interface TestCitadel {
  readonly citadel: Citadel;
  readonly clock: ManualClock;
  readonly dataDirectory: string;
}

/** With a clock that stands still unless the test moves it. */
export async function openCitadel(
  options: Partial<CitadelOptions> & { readonly clock?: ManualClock } = {},
): Promise<TestCitadel> {
  const { clock = new ManualClock(START_MS), dataDirectory = freshDirectory() } = options;
  const defaults = { trustDomain: TRUST_DOMAIN, files: privateFiles };
  return {
    citadel: await Citadel.open({ ...defaults, ...options, clock, dataDirectory }),
    clock,
    dataDirectory,
  };
}

/** With the time of day, for those who meet others that have no other clock. */
export async function openLiveCitadel(dataDirectory: string): Promise<Citadel> {
  return await Citadel.open({
    dataDirectory,
    trustDomain: TRUST_DOMAIN,
    clock: systemClock,
    files: privateFiles,
  });
}

export async function newCsr(): Promise<string> {
  return await createCsr(await generateKeyPair());
}

/** The real files, except that the call with this number (from 0, of those that change something) fails. */
export function failingFiles(failAt: number, when: "before" | "after"): PrivateFiles & { calls: number } {
  const failing = { ...privateFiles, calls: 0 };
  for (const name of ["makeDirectory", "create", "replace", "append", "move", "remove"] as const) {
    const real = privateFiles[name] as (...args: unknown[]) => Promise<unknown>;
    (failing as Record<string, unknown>)[name] = async (...args: unknown[]) => {
      // Nothing to remove changes nothing.
      if (name === "remove" && (args[1] as string[]).length === 0) return;
      const fails = failing.calls++ === failAt;
      const path = String(args[0]);
      if (fails && when === "before") {
        throw new PrivateFileError("failed", path, `Could not write ${path}: full`);
      }
      const result = await real(...args);
      if (fails) throw new PrivateFileError("failed", path, `Could not write ${path}: full`);
      return result;
    };
  }
  return failing;
}

/** A CA, and a workload that has just joined. */
export async function enrolled(more: Partial<TokenRequest> = {}) {
  const opened = await openCitadel();
  const { token } = await opened.citadel.createToken({ ...CART, ...more });
  return { ...opened, issued: await opened.citadel.enrol({ token, csr: await newCsr() }) };
}
