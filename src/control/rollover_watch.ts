/** Moves a rollover of the root on: takes each step when it is due, and tells the mesh what has become of it. */
import type { Citadel } from "../citadel/citadel.ts";
import type { Clock } from "../lib/clock.ts";
import { messageOf } from "../lib/message_of.ts";
import type { RolloverPhase, RolloverRequest, RolloverStatus } from "../model/admin.ts";
import type { Trust } from "../model/snapshot.ts";
import type { DiscoveryServer } from "../pilot/discovery/discovery_server.ts";
import type { Log } from "../telemetry/log.ts";

/** How often it looks whether a step is due. */
export const ROLLOVER_WATCH_MS = 2_000;

export interface RolloverWatchOptions {
  readonly citadel: Citadel;
  readonly discovery: DiscoveryServer;
  readonly clock: Clock;
  readonly log: Log;
  /** Breaks off what stands here with a certificate of another signer. */
  cutOthers(signer: string): void;
  /** The control plane shows a certificate, and trusts, as citadel.trust says; resolves at once when it does already. */
  follow(): Promise<void>;
}

const BECAME: Readonly<Record<RolloverPhase | "none", string>> = {
  distributing: "A new root is being distributed; the old one signs until every proxy trusts both",
  renewing: "The new root signs; every certificate is being renewed",
  withdrawing: "The old root signs again; what the new one had signed is being renewed",
  none: "No rollover of the root goes on any more; one root is trusted",
};

export class RolloverWatch {
  readonly #options: RolloverWatchOptions;
  #cancel: () => void = () => {};
  #stopped = false;
  /** No other signer was to be believed when it looked last. */
  #saidOnly = false;
  /** The last failure, so that the log says it once. */
  #trouble: string | null = null;

  constructor(options: RolloverWatchOptions) {
    this.#options = options;
  }

  start(): void {
    this.#cancel = this.#options.clock.after(ROLLOVER_WATCH_MS, () => void this.#look());
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel();
  }

  async status(): Promise<RolloverStatus> {
    const { citadel, discovery } = this.#options;
    return {
      phase: citadel.rolloverPhase,
      roots: await citadel.trustedRoots(),
      connected: discovery.status().length,
      lacking: discovery.lackingRoots(),
      unrenewed: citadel.unrenewed(),
    };
  }

  /** What an operator asks for; `rollover` is the citadel's. Throws CitadelError `request_invalid`, PrivateFileError. */
  async take(
    rollover: NonNullable<Citadel["rollover"]>,
    { step, force = false }: RolloverRequest,
  ): Promise<void> {
    const { discovery } = this.#options;
    await this.#changing(async () => {
      if (step === "start") await rollover.start();
      else if (step === "abort") await rollover.abort();
      else await rollover.finish(discovery.lackingRoots(), force);
    });
  }

  async #look(): Promise<void> {
    const { citadel, discovery, log } = this.#options;
    try {
      await this.#changing(async () => void await citadel.rollover?.advance(() => discovery.lackingRoots()));
      this.#cutOthers(citadel.trust);
      this.#trouble = null;
    } catch (error) {
      const reason = messageOf(error);
      if (this.#trouble !== reason) log.error("Could not move the rollover of the root on", { reason });
      this.#trouble = reason;
    }
    if (!this.#stopped) this.start();
  }

  /** At the second look: whoever is connected hears first whom to trust. */
  #cutOthers({ signer, only = false }: Trust): void {
    if (only && this.#saidOnly) this.#options.cutOthers(signer);
    this.#saidOnly = only;
  }

  async #changing(change: () => Promise<void>): Promise<void> {
    const { citadel, discovery, log, follow } = this.#options;
    const before = citadel.rolloverPhase;
    try {
      await change();
    } finally {
      const phase = citadel.rolloverPhase;
      if (phase !== before) {
        // New join tokens pin another one for a while.
        const signing = (await citadel.trustedRoots()).find(({ signs }) => signs);
        log.warn(BECAME[phase ?? "none"], { signs: signing?.pin ?? null });
      }
      await follow();
      discovery.setTrust(citadel.trust);
    }
  }
}
