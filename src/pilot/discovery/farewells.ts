/** Who has said good-bye, and who has yet to hear of it: a proxy may close its doors once nobody is sent there any more. */
import type { DiscoverySession } from "./discovery_session.ts";

export class Farewells {
  /** Who must confirm first; null: the push that tells them has yet to go out. */
  readonly #untold = new Map<DiscoverySession, Set<DiscoverySession> | null>();

  /** The proxy stops soon; the next offer to the others leaves it out. */
  begin(leaving: DiscoverySession): void {
    this.#untold.set(leaving, null);
  }

  /** Every session was offered what is true now. */
  onOffered(sessions: Iterable<DiscoverySession>): void {
    const untold = [...sessions].filter((session) => session.isPushing);
    for (const [leaving, before] of this.#untold) {
      if (before === null) this.#untold.set(leaving, new Set(untold.filter((one) => one !== leaving)));
    }
    this.#answer();
  }

  /** The session has answered its last push. */
  onSettled(session: DiscoverySession): void {
    for (const untold of this.#untold.values()) untold?.delete(session);
    this.#answer();
  }

  /** The session is over. */
  forget(session: DiscoverySession): void {
    this.#untold.delete(session);
    this.onSettled(session);
  }

  #answer(): void {
    for (const [leaving, untold] of this.#untold) {
      if (untold?.size !== 0) continue;
      this.#untold.delete(leaving);
      leaving.farewell();
    }
  }
}
