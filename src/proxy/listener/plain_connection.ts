/** An accepted plain connection until its first bytes tell what it speaks; then somebody else owns it. */
import type { Timed, TimerWheel } from "../../lib/timer_wheel.ts";
import { DEFAULT_LIMITS, type Limits } from "../../model/limits.ts";
import { setOwner, type Wire, type WireOwner } from "../../runtime/wire.ts";
import { DRAIN_IDLE_MS } from "../http1/limits.ts";
import { type Expectation, ProtocolDetector } from "./protocol_detector.ts";

/** Who owns the connection from now on. */
export interface PlainProtocols {
  http1(wire: Wire): WireOwner;
  http2(wire: Wire): WireOwner;
  /** `serverName` as the client wrote it, in lower case; null: it named none. */
  tls(wire: Wire, serverName: string | null): WireOwner;
  /** Anything else, or nothing in time. */
  tcp(wire: Wire): WireOwner;
}

export interface PlainConnectionOptions {
  readonly expectation: Expectation;
  readonly protocols: PlainProtocols;
  /** The wire has another owner, or is closed. */
  onOver(connection: PlainConnection): void;
  /** @default DEFAULT_LIMITS */
  readonly limits?: Limits;
  /** Milliseconds until a silent one goes on as bytes, where that is possible; 0: never. @default the limit */
  readonly detectionMs?: number | undefined;
}

const NOTHING = Buffer.alloc(0);

export class PlainConnection implements WireOwner, Timed {
  deadlineMs = 0;
  wheelTick = 0;
  wheelIndex = 0;
  readonly #wire: Wire;
  readonly #wheel: TimerWheel;
  readonly #limits: Limits;
  readonly #detector: ProtocolDetector;
  readonly #protocols: PlainProtocols;
  readonly #onOver: (connection: PlainConnection) => void;
  /** What came while it could still be more than one thing: the first bytes of a buffer that has room for more. */
  #buffer: Buffer = NOTHING;
  #length = 0;

  constructor(wire: Wire, wheel: TimerWheel, options: PlainConnectionOptions) {
    const { expectation, protocols, onOver, limits = DEFAULT_LIMITS } = options;
    const { detectionMs = limits.detectionMs } = options;
    this.#wire = wire;
    this.#limits = limits;
    this.#wheel = wheel;
    this.#detector = new ProtocolDetector(expectation);
    this.#protocols = protocols;
    this.#onOver = onOver;
    // Its server may be the one to speak first. Istio waits for ever unless `protocolDetectionTimeout` is set, and such a
    // server's clients with it; Envoy's default for its listener filters is 15 s, Linkerd's is 10 s.
    if (!this.#mayBeTcp) wheel.set(this, limits.connectionIdleMs);
    else if (detectionMs > 0) wheel.set(this, detectionMs);
  }

  onData(chunk: Buffer): void {
    const seen = this.#length === 0 ? chunk : this.#append(chunk);
    const detected = this.#detector.detect(seen);
    if (detected === null) {
      if (this.#length > 0) return;
      this.#append(chunk);
      // Each byte more gives no more time.
      if (!this.#mayBeTcp) this.#wheel.set(this, this.#limits.requestHeadersMs);
      return;
    }
    if (detected === "malformed") return this.close();
    const { serverName } = this.#detector;
    this.#handOver(
      detected === "tls" ? (wire) => this.#protocols.tls(wire, serverName) : this.#protocols[detected],
      seen,
    );
  }

  onDrain(): void {}

  onEnd(): void {
    if (!this.#mayBeTcp) return this.#wire.end();
    this.#handOver(this.#protocols.tcp, this.#seen).onEnd();
  }

  onClose(): void {
    this.#wheel.clear(this);
    this.#onOver(this);
  }

  close(): void {
    this.#wire.terminate();
  }

  drain(): void {
    if (this.#length === 0) this.#wheel.set(this, DRAIN_IDLE_MS);
  }

  onDeadline(): void {
    if (this.#mayBeTcp) this.#handOver(this.#protocols.tcp, this.#seen);
    else this.#endIdle();
  }

  /** A peer that does not read on would never close its side, and hold up a drain. */
  #endIdle(): void {
    this.#wire.end();
    this.#onOver(this);
  }

  /** Whether the connection has another place to go than to a reader of requests. */
  get #mayBeTcp(): boolean {
    return this.#detector.expectation === "any" || this.#detector.expectation === "tls";
  }

  get #seen(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  #append(chunk: Buffer): Buffer {
    const length = this.#length + chunk.length;
    if (length > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(length, 2 * this.#buffer.length));
      larger.set(this.#seen);
      this.#buffer = larger;
    }
    this.#buffer.set(chunk, this.#length);
    this.#length = length;
    return this.#seen;
  }

  #handOver(protocol: (wire: Wire) => WireOwner, seen: Buffer): WireOwner {
    this.#wheel.clear(this);
    this.#onOver(this);
    const owner = protocol(this.#wire);
    setOwner(this.#wire, owner);
    if (seen.length > 0) owner.onData(seen);
    return owner;
  }
}
