/** A control plane that is killed while it writes comes back in the state before or after. */
import { afterAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Prng } from "../../../src/lib/prng.ts";
import { openssl } from "../identity/openssl.ts";
import { CART, freshDirectory, newCsr, openLiveCitadel, removeDirectories } from "./test_citadel.ts";

afterAll(removeDirectories);

const ROUNDS = Number(process.env["KILL_ROUNDS"] ?? 8);
const KILL_WITHIN_MS = 60;

/** Starts the script, kills it at a random moment after its first word, and returns its whole lines. */
async function runAndKill(name: string, dataDirectory: string, afterMs: number): Promise<string[]> {
  const script = join(import.meta.dirname, name);
  const child = Bun.spawn([process.execPath, script, dataDirectory], { stdout: "pipe", stderr: "inherit" });
  const reader = child.stdout.getReader();
  const decoder = new TextDecoder();
  let output = decoder.decode((await reader.read()).value);
  await Bun.sleep(afterMs);
  child.kill("SIGKILL");
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    output += decoder.decode(value);
  }
  await child.exited;
  expect(child.signalCode).toBe("SIGKILL");
  return output.split("\n").slice(0, -1);
}

test(
  "Citadel survives SIGKILL at any moment, with every certificate that it handed out on the books",
  async () => {
    const random = new Prng(20);
    const pins = new Set<string>();
    const handedOut: string[] = [];
    let dataDirectory = freshDirectory();
    for (let round = 0; round < ROUNDS; round++) {
      // Half of the rounds are a first start, so that the CA's own making is hit too.
      if (round % 2 === 0) {
        dataDirectory = freshDirectory();
        pins.clear();
        handedOut.length = 0;
      }
      const lines = await runAndKill("enrol_until_killed.ts", dataDirectory, random.below(KILL_WITHIN_MS));
      for (const line of lines) {
        const [word, value] = line.split(" ") as [string, string];
        if (word === "pin") pins.add(value);
        if (word === "serial") handedOut.push(value);
      }
      const citadel = await openLiveCitadel(dataDirectory);
      pins.add(citadel.caPin);
      expect(pins.size).toBe(1);
      const { token } = await citadel.createToken(CART);
      handedOut.push((await citadel.enrol({ token, csr: await newCsr() })).serial);
      const log = readFileSync(join(dataDirectory, "ca/issued.jsonl"), "utf8");
      for (const serial of handedOut) expect(log).toContain(`"${serial}"`);
      expect(new Set(handedOut).size).toBe(handedOut.length);
    }
  },
  60_000,
);

/** What may come after each phase. */
const NEXT: Readonly<Record<string, readonly string[]>> = {
  null: ["distributing"],
  distributing: ["renewing"],
  renewing: ["null", "withdrawing"],
  withdrawing: ["null"],
};

test(
  "Citadel survives SIGKILL in any step of a rollover, with a root that signs and all that are trusted",
  async () => {
    const random = new Prng(21);
    const dataDirectory = freshDirectory();
    for (let round = 0; round < ROUNDS; round++) {
      const lines = await runAndKill("rotate_until_killed.ts", dataDirectory, random.below(KILL_WITHIN_MS));
      const [phase, signer] = (lines.at(-1) as string).split(" ") as [string, string];
      const citadel = await openLiveCitadel(dataDirectory);
      const found = String(citadel.rolloverPhase);
      expect([phase, ...NEXT[phase] as readonly string[]]).toContain(found);
      const swaps = found !== phase && (found === "renewing" || found === "withdrawing");
      expect(citadel.trust.signer === signer).toBe(!swaps);
      expect(await citadel.trustedRoots()).toHaveLength(found === "null" ? 1 : 2);
      const { chain, roots } = await citadel.issueOwn();
      const files = { "chain.pem": chain, "roots.pem": roots };
      const args = ["verify", "-x509_strict", "-CAfile", "roots.pem", "chain.pem"];
      expect(openssl(args, files)).toContain("OK");
    }
  },
  60_000,
);
