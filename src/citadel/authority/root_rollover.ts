/**
 * A rollover of the mesh's own root, in two phases: first every proxy comes to trust the new root too, then that one
 * signs and every certificate is renewed; after that the old root can go. Each step has its conditions here. A chain
 * from the new root also leads to the old one while both are trusted, so that nobody who missed the first phase is
 * shut out by the second.
 */
import type { Clock } from "../../lib/clock.ts";
import type { WorkloadKey } from "../../model/workload.ts";
import { BACK_DATE_MS } from "../certificate_times.ts";
import { CitadelError } from "../citadel_error.ts";
import type { AuthorityCertificate } from "./authority_material.ts";
import type { OwnAuthority } from "./own_authority.ts";

/** Share of a root's life after which it is replaced without anybody asking (Istio's root check). */
const ROLLOVER_SHARE = 0.8;

export interface RootRolloverOptions {
  readonly own: OwnAuthority;
  readonly clock: Clock;
  /** As long as a certificate lives: who was renewed once has heard of the new root. */
  readonly leafLifeMs: number;
  /** Workloads that have a good certificate of another root than the one that signs. */
  unrenewed(): readonly WorkloadKey[];
  /** What the authority has become is what signs and what is trusted from now on. */
  adopt(own: OwnAuthority): Promise<void>;
}

export class RootRollover {
  readonly #options: RootRolloverOptions;
  #working: Promise<unknown> = Promise.resolve();

  constructor(options: RootRolloverOptions) {
    this.#options = options;
  }

  /** Throws CitadelError `request_invalid`, PrivateFileError. */
  async start(): Promise<void> {
    await this.#take(async (own) => {
      if (own.phase === "withdrawing") {
        throw invalid(
          "The rollover before was aborted, and is not over yet: bowline ca rotate status says when",
        );
      }
      if (own.phase !== null) {
        throw invalid(`A rollover goes on already (${own.phase}); finish it or abort it first`);
      }
      await own.begin();
    });
  }

  /**
   * Drops the old root. `lacking`: the connected proxies that do not trust the new one. Throws CitadelError
   * `request_invalid` while somebody needs the old root, unless forced; PrivateFileError.
   */
  async finish(lacking: readonly WorkloadKey[], force: boolean): Promise<void> {
    await this.#take(async (own) => {
      if (own.phase === null) throw invalid("No rollover goes on; bowline ca rotate start begins one");
      if (own.phase === "withdrawing") {
        throw invalid("The rollover was aborted, and ends by itself when all certificates are renewed");
      }
      if (!force) {
        if (own.phase === "distributing") throw invalid(`The new root does not sign yet${names(lacking)}`);
        const needing = [...new Set([...lacking, ...this.#options.unrenewed()])].sort();
        if (needing.length > 0) {
          const who = needing.length === 1 ? "it" : "they";
          throw invalid(`The old root is still needed${names(needing)}; with --force ${who} must join again`);
        }
      }
      if (own.phase === "distributing") await own.signWithNew();
      await own.finish(force);
    });
  }

  /** Back to the old root. Throws CitadelError `request_invalid`, PrivateFileError. */
  async abort(): Promise<void> {
    await this.#take(async (own) => {
      if (own.phase === null) throw invalid("No rollover goes on");
      if (own.phase === "withdrawing") throw invalid("The rollover is being aborted already");
      await own.withdraw();
    });
  }

  /** Takes the step that is due, if one is; `lacking` is asked as finish() is told. Throws PrivateFileError. */
  async advance(lacking: () => readonly WorkloadKey[]): Promise<void> {
    const step = this.#due(lacking);
    if (step === null) return;
    // The operator may have been quicker.
    const { phase } = this.#options.own;
    await this.#take(async (own) => {
      if (own.phase === phase) await step(own);
    });
  }

  #due(lacking: () => readonly WorkloadKey[]): ((own: OwnAuthority) => Promise<void>) | null {
    const { own, clock, leafLifeMs, unrenewed } = this.#options;
    const { phase, other } = own;
    if (phase === null || other === null) {
      return this.#nearsItsEnd(own.signing) ? (authority) => authority.begin() : null;
    }
    if (phase === "distributing") {
      // Who does not answer for that long has a new certificate, and the roots with it, or none.
      const isOver = clock.now() >= other.fields.notBeforeMs + BACK_DATE_MS + leafLifeMs;
      return isOver || lacking().length === 0 ? (authority) => authority.signWithNew() : null;
    }
    if (unrenewed().length > 0 || lacking().length > 0) return null;
    // A rollover that somebody ordered is theirs to finish, as long as there is time.
    return phase === "withdrawing" || this.#nearsItsEnd(other) ? (authority) => authority.finish() : null;
  }

  #nearsItsEnd({ fields: { notBeforeMs, notAfterMs } }: AuthorityCertificate): boolean {
    return this.#options.clock.now() >= notBeforeMs + (notAfterMs - notBeforeMs) * ROLLOVER_SHARE;
  }

  /** One after the other; what a step has become is adopted even if a later part of it failed. */
  #take(step: (own: OwnAuthority) => Promise<void>): Promise<void> {
    const { own, adopt } = this.#options;
    const done = this.#working.then(async () => {
      try {
        await step(own);
      } finally {
        await adopt(own);
      }
    });
    this.#working = done.catch(() => {});
    return done;
  }
}

/** How many workloads are named in a refusal. */
const NAMED_MAX = 5;

function names(workloads: readonly WorkloadKey[]): string {
  if (workloads.length === 0) return "";
  const more = workloads.length > NAMED_MAX ? ` and ${workloads.length - NAMED_MAX} more` : "";
  const lack = workloads.length === 1 ? "lacks" : "lack";
  return `: ${workloads.slice(0, NAMED_MAX).join(", ")}${more} ${lack} the new one, or a certificate of it`;
}

function invalid(message: string): CitadelError {
  return new CitadelError("request_invalid", message);
}
