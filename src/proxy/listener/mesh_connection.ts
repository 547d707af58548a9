/** A connection on the mesh port until its handshake is judged: afterwards the HTTP codec owns it, or it is closed. */
import type { Clock } from "../../lib/clock.ts";
import type { TimerWheel } from "../../lib/timer_wheel.ts";
import { peerIdentity } from "../../identity/peer_identity.ts";
import {
  setOwner,
  type TlsWire,
  type TlsWireOwner,
  type Wire,
  type WireOwner,
} from "../../runtime/socket.ts";

/** A handshake must be done within this. */
export const HANDSHAKE_TIMEOUT_MS = 10_000;

export interface MeshConnectionOptions {
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly trustDomain: string;
  /** The peer proved this SPIFFE ID: who owns its connection from now on. */
  accepted(wire: Wire, principal: string): WireOwner;
  warn(message: string): void;
}

export class MeshConnection implements TlsWireOwner {
  deadlineMs = 0;
  onWheel = false;
  readonly #wire: Wire;
  readonly #options: MeshConnectionOptions;

  constructor(wire: Wire, options: MeshConnectionOptions) {
    this.#wire = wire;
    this.#options = options;
    options.wheel.set(this, HANDSHAKE_TIMEOUT_MS);
  }

  onHandshake(wire: TlsWire, error: Error | null): void {
    const { clock, wheel, trustDomain, accepted, warn } = this.#options;
    wheel.clear(this);
    const verdict = peerIdentity({ error, certificate: wire.getPeerCertificate() }, {
      peer: "client",
      trustDomain,
      spiffeId: null,
      nowMs: clock.now(),
    });
    if (verdict.ok) {
      setOwner(wire, accepted(wire, verdict.spiffeId));
    } else {
      warn(`Refused the peer from ${wire.remoteAddress} (${verdict.code}): ${verdict.detail}`);
      wire.terminate();
    }
  }

  /** Bytes before the handshake is judged are nobody's. */
  onData(): void {
    this.#wire.terminate();
  }

  onDrain(): void {}

  onEnd(): void {
    this.#wire.terminate();
  }

  onClose(): void {
    this.#options.wheel.clear(this);
  }

  onDeadline(): void {
    this.#wire.terminate();
  }
}
