/** Row 19: the control plane is killed at random moments while it writes, and comes back in the state before or after. */
import { messageOf } from "../../../src/lib/message_of.ts";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { AdminClient } from "../../../src/cli/admin_client.ts";
import { certificateInfo } from "../../../src/identity/certificate_info.ts";
import { createCsr } from "../../../src/identity/csr.ts";
import { generateKeyPair } from "../../../src/identity/key_pair.ts";
import { Prng } from "../../../src/lib/prng.ts";
import type { CertificatesReply, TokenCreateReply } from "../../../src/model/admin.ts";
import type { CertificateReply } from "../../../src/model/enrolment.ts";
import { askDoor } from "../../../tests/integration/door_client.ts";
import { Mesh } from "../../../tests/integration/mesh.ts";
import { workload } from "../../../tests/integration/resources.ts";
import { openssl } from "../../../tests/unit/identity/openssl.ts";
import { type Check, exactly, type Row } from "../row.ts";
import { SUBNET } from "../stand.ts";

const KILLS = { full: 200, small: 5 };
/** Of a process that serves, and of one that starts: for as long as that takes. */
const KILL_WITHIN_MS = { serving: 120, starting: 400 };
/** Every so many kills fall into a first start, so that the making of the CA is hit too. */
const FIRST_START_EVERY = 4;
const SEED = 19;

const CART = "shop/cart";
const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

export const controlPlaneKills: Row = {
  name: "19",
  what: "control plane killed while it writes",
  async run(size) {
    const random = new Prng(SEED);
    const csr = await createCsr(await generateKeyPair());
    const faults: string[] = [];
    let survived = 0;
    let written = 0;
    let books = new Books();
    for (let kill = 0; kill < KILLS[size]; kill++) {
      const first = kill % FIRST_START_EVERY === 0;
      if (first) {
        await books.close();
        books = new Books();
      }
      try {
        if (first) await books.killAtStart(random.below(KILL_WITHIN_MS.starting));
        else written += await books.killWhileWriting(random.below(KILL_WITHIN_MS.serving), csr, kill);
        await books.check(csr);
        survived++;
      } catch (error) {
        faults.push(`kill ${kill}: ${messageOf(error)}`);
        await books.close();
        books = new Books();
        await books.mesh.startControlPlane();
      }
    }
    await books.close();
    for (const fault of faults) console.error(fault);
    return [
      exactly("came back in the state before or after", survived, KILLS[size]),
      {
        what: "writes that were done",
        bar: "> 0",
        measured: String(written),
        ok: written > 0,
      } satisfies Check,
    ];
  },
};

/** A mesh without proxies, and what its control plane has told somebody: that much it must know when it comes back. */
class Books {
  readonly mesh = new Mesh(SUBNET);
  readonly #serials: string[] = [];
  readonly #revoked: string[] = [];
  #usedToken = "";
  /** The root that was told first. Rollovers are begun and aborted, so that it stays. */
  #root = "";

  constructor() {
    this.mesh.write("mesh.yaml", workload("cart", "127.0.0.1"));
  }

  async close(): Promise<void> {
    await this.mesh.startedControlPlane?.end();
    this.mesh.remove();
  }

  async killAtStart(afterMs: number): Promise<void> {
    const starting = this.mesh.launchControlPlane();
    await Bun.sleep(afterMs);
    await starting.end("SIGKILL");
    await this.mesh.startControlPlane();
  }

  /** Returns how much was written. */
  async killWhileWriting(afterMs: number, csr: string, seed: number): Promise<number> {
    let killed = false;
    let written = 0;
    const random = new Prng(seed);
    const writing = (async () => {
      while (!killed) {
        try {
          await this.#write(csr, random);
          written++;
        } catch (error) {
          // Until then every write is to be done.
          if (!killed) throw error;
        }
      }
    })();
    // Whatever becomes of it is heard below.
    writing.catch(() => {});
    await Bun.sleep(afterMs);
    killed = true;
    await this.mesh.controlPlane.end("SIGKILL");
    await writing;
    await this.mesh.startControlPlane();
    return written;
  }

  /** Throws what the control plane has forgotten, or cannot do any more. */
  async check(csr: string): Promise<void> {
    const { mesh } = this;
    const roots = await (await fetch(`http://${mesh.address(9)}:15014/roots.pem`)).text();
    const pems: readonly string[] = roots.match(PEM) ?? [];
    this.#root ||= pems[0] ?? "";
    if (!pems.includes(this.#root)) throw new Error("the root is another one");
    if (this.#usedToken !== "") {
      const { status } = await this.#enrol(this.#usedToken, csr);
      if (status < 400) throw new Error(`a used token was answered ${status}`);
    }
    const chain = await this.#newCertificate(csr);
    openssl(["verify", "-x509_strict", "-CAfile", "roots.pem", "chain.pem"], {
      "roots.pem": roots,
      "chain.pem": chain,
    });
    const log = readFileSync(join(mesh.controlPlaneData, "ca/issued.jsonl"), "utf8");
    const issued = log.trimEnd().split("\n").map((line) => (JSON.parse(line) as { serial?: string }).serial);
    const serials = issued.filter((serial) => serial !== undefined);
    if (new Set(serials).size < serials.length) throw new Error("a serial number was given twice");
    const lost = this.#serials.filter((serial) => !serials.includes(serial));
    if (lost.length > 0) throw new Error(`certificates are on no book: ${lost}`);
    const { certificates } = await this.#admin.get("/v1/certificates") as CertificatesReply;
    const states = new Map(certificates.map(({ serial, state }) => [serial, state]));
    const believed = this.#revoked.filter((serial) => states.get(serial) !== "revoked");
    if (believed.length > 0) throw new Error(`revoked certificates are good again: ${believed}`);
  }

  /** One of all that it writes. */
  async #write(csr: string, random: Prng): Promise<void> {
    const last = this.#serials.at(-1);
    switch (random.below(6)) {
      case 0: {
        if (last === undefined) return;
        await this.#admin.post("/v1/revocations", { target: last });
        this.#revoked.push(last);
        return;
      }
      case 1: {
        const { phase } = await this.#admin.get("/v1/rollover") as { phase: string | null };
        if (phase === "withdrawing") return;
        await this.#admin.post("/v1/rollover", { step: phase === null ? "start" : "abort" });
        return;
      }
      case 2:
        this.mesh.write("more.yaml", workload(`w${random.below(1_000)}`, "127.0.0.2"));
        return;
      default:
        await this.#newCertificate(csr);
    }
  }

  async #newCertificate(csr: string): Promise<string> {
    const { token } = await this.#admin.post("/v1/tokens", { workload: CART }) as TokenCreateReply;
    const { status, text } = await this.#enrol(token, csr);
    if (status !== 200) throw new Error(`a new token was answered ${status}: ${text}`);
    const { chain } = JSON.parse(text) as CertificateReply;
    this.#serials.push(certificateInfo(chain).serial);
    this.#usedToken = token;
    return chain;
  }

  #enrol(token: string, csr: string) {
    return askDoor(this.mesh.address(9), "/v1/enrol", { token, csr });
  }

  get #admin(): AdminClient {
    return new AdminClient(this.mesh.controlPlaneData);
  }
}
