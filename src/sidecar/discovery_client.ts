/** Keeps the proxy's snapshot current: one stream to the control plane, reopened with what is known when it breaks. */
import { Backoff } from "../lib/backoff.ts";
import type { Clock } from "../lib/clock.ts";
import { messageOf } from "../lib/message_of.ts";
import type { Random } from "../lib/prng.ts";
import { unpackText } from "../lib/packed_text.ts";
import {
  type Certificate,
  type ControlMessage,
  DISCOVERY_HEARTBEAT_MS,
  DISCOVERY_LINE_BYTES_MAX,
  type Health,
  type Hello,
  type Ports,
  type Push,
} from "../model/discovery.ts";
import type { WorkloadHealth } from "../model/health_probe.ts";
import type { ShutPort } from "../model/shut_port.ts";
import type { Snapshot, VersionedResource } from "../model/snapshot.ts";
import { snapshotVersion } from "../model/snapshot_version.ts";
import type { Log } from "../telemetry/log.ts";
import type { ControlClient } from "./control_client.ts";
import type { LineStream } from "./line_stream.ts";
import { changedSnapshot } from "./snapshot_change.ts";

/** The longest wait before the first new attempt. */
export const BACKOFF_BASE_MS = 200;
const BACKOFF_MAX_MS = 10_000;

/** A stream without a sign of life for this long is given up. */
const SILENCE_MAX_MS = 3 * DISCOVERY_HEARTBEAT_MS;

export interface DiscoveryClientOptions {
  readonly client: ControlClient;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** All of the hello but what is known. */
  readonly hello: Omit<Hello, "known">;
  /** Serial number of the certificate that is on the disk. */
  certificate(): string;
  /** What the workload's probe says now. */
  health(): WorkloadHealth;
  /** Ports that the proxy cannot open now. */
  shutPorts(): readonly ShutPort[];
  /** Somebody watches the proxy's calls, for so long. */
  onTap(leaseMs: number): void;
  /** Takes a whole new snapshot; rejects when it cannot be compiled. */
  apply(snapshot: Snapshot): Promise<void>;
}

export class DiscoveryClient {
  readonly #options: DiscoveryClientOptions;
  readonly #backoff: Backoff;
  #snapshot: Snapshot;
  /** What the hello of this stream said that it has, until a push of this stream serves. */
  #claimed: string | null = null;
  #stream: LineStream | null = null;
  /** The push that is being applied, if any. */
  #applying: Promise<void> = Promise.resolve();
  /** The hello has been said on the stream. */
  #greeted = false;
  #cancelRetry: () => void = () => {};
  #cancelHeartbeat: () => void = () => {};
  #heardAtMs = 0;
  #stopped = false;
  /** The stream has brought something: the control plane serves this proxy. */
  #heard = false;
  /** Ends the wait for the farewell; null: no good-bye was said. */
  #onFarewell: (() => void) | null = null;
  /** The last reason for being without a stream, so that the log says it once. */
  #trouble: string | null = null;
  #refusal: string | null = null;

  /** `snapshot` is what the proxy has already, from disk; it may be empty. */
  constructor(options: DiscoveryClientOptions, snapshot: Snapshot) {
    this.#options = options;
    this.#snapshot = snapshot;
    const { random } = options;
    this.#backoff = new Backoff({ baseMs: BACKOFF_BASE_MS, maxMs: BACKOFF_MAX_MS, random });
  }

  /** The code by which the control plane last refused a stream; null: it did not, or has served one since. */
  get refusal(): string | null {
    return this.#refusal;
  }

  start(): void {
    const { client, clock } = this.#options;
    this.#heardAtMs = clock.monotonic();
    this.#heard = false;
    this.#greeted = false;
    const stream = client.stream("/v1/discovery", {
      onOpen: () => void this.#applying.then(() => this.#greet(stream)),
      onLine: (line) => this.#receive(line, stream),
      onEnd: (reason, code) => this.#onEnd(reason, code),
    });
    this.#stream = stream;
    this.#heartbeat();
  }

  /** The health has changed. A stream that has yet to open will begin with it. */
  tellHealth(health: WorkloadHealth): void {
    if (this.#greeted) this.#stream?.send({ type: "health", health } satisfies Health);
  }

  /** Ports that cannot be opened have changed; told as the health is. */
  tellPorts(shut: readonly ShutPort[]): void {
    if (this.#greeted) this.#stream?.send({ type: "ports", shut } satisfies Ports);
  }

  /** Another certificate is on the disk; told as the health is. */
  tellCertificate(serial: string): void {
    if (this.#greeted) this.#stream?.send({ type: "certificate", serial } satisfies Certificate);
  }

  /**
   * Says that the proxy is about to stop. Resolves when others are sent elsewhere, when that cannot be learnt, or when
   * the time is up. Pushes are taken until `stop()`, but a stream that breaks is not opened again.
   */
  async leave(timeoutMs: number): Promise<void> {
    const stream = this.#stream;
    if (stream === null || !this.#heard) {
      this.stop();
      return;
    }
    const farewell = new Promise<void>((resolve) => this.#onFarewell = resolve);
    const cancel = this.#options.clock.after(timeoutMs, () => this.#onFarewell?.());
    stream.send({ type: "goodbye" });
    await farewell;
    cancel();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelRetry();
    this.#cancelHeartbeat();
    this.#stream?.close();
  }

  #greet(stream: LineStream): void {
    // It may have been given up meanwhile.
    if (stream !== this.#stream) return;
    const { hello, certificate, health, shutPorts } = this.#options;
    const now = { certificate: certificate(), health: health(), shutPorts: shutPorts() };
    stream.send({ ...hello, ...this.#knowledge(), unpacks: true, ...now } satisfies Hello);
    this.#greeted = true;
  }

  /** What the next push builds on: nothing may be half applied when it is told. */
  #knowledge(): Pick<Hello, "known" | "snapshot"> {
    this.#claimed = this.#snapshot.size === 0 ? null : snapshotVersion(this.#snapshot);
    return this.#claimed === null ? { known: {} } : { known: {}, snapshot: this.#claimed };
  }

  #receive(line: string, stream: LineStream): void {
    const { clock, log } = this.#options;
    this.#heardAtMs = clock.monotonic();
    this.#heard = true;
    this.#refusal = null;
    const message = JSON.parse(line) as ControlMessage;
    if (message.type === "push") {
      this.#backoff.reset();
      this.#trouble = null;
      this.#applying = this.#applying.then(() => this.#take(message, stream));
    } else if (message.type === "farewell") {
      this.#onFarewell?.();
    } else if (message.type === "tap") {
      this.#options.onTap(message.leaseMs);
    } else if (message.type === "refusal") {
      log.error("The control plane does not serve this proxy", { reason: message.reason });
    }
  }

  /** All or nothing: a push that does not compile leaves everything as it was. */
  async #take(push: Push, stream: LineStream): Promise<void> {
    const { log } = this.#options;
    const isRelative = this.#claimed === null || push.base === this.#claimed;
    let next: Snapshot;
    try {
      const set = [...push.set, ...unpacked(push)];
      next = changedSnapshot(isRelative ? this.#snapshot : new Map(), { set, remove: push.remove });
      await this.#options.apply(next);
    } catch (error) {
      const reason = messageOf(error);
      log.error("Refused a push; what was there before still serves", { nonce: push.nonce, reason });
      stream.send({ type: "nack", nonce: push.nonce, reason });
      return;
    }
    this.#snapshot = next;
    this.#claimed = null;
    stream.send({ type: "ack", nonce: push.nonce });
    log.info("Applied a push", { nonce: push.nonce, resources: next.size, removed: push.remove.length });
  }

  #heartbeat(): void {
    const { clock } = this.#options;
    this.#cancelHeartbeat = clock.after(DISCOVERY_HEARTBEAT_MS, () => {
      if (clock.monotonic() - this.#heardAtMs > SILENCE_MAX_MS) {
        this.#stream?.close();
        this.#onEnd("it has been silent for too long");
        return;
      }
      this.#stream?.send({ type: "heartbeat" });
      this.#heartbeat();
    });
  }

  #onEnd(reason: string, code?: string): void {
    const { clock, log } = this.#options;
    if (code !== undefined) this.#refusal = code;
    this.#cancelHeartbeat();
    this.#stream = null;
    this.#onFarewell?.();
    // Whoever connects is there to be called.
    if (this.#stopped || this.#onFarewell !== null) return;
    if (this.#trouble !== reason) {
      this.#trouble = reason;
      log.warn("No discovery stream; serving what is known and trying again", { reason });
    }
    this.#cancelRetry = clock.after(this.#backoff.next(), () => this.start());
  }
}

/** Throws PackedTextError, SyntaxError. */
function unpacked({ packed }: Push): readonly VersionedResource[] {
  return packed === undefined ? [] : JSON.parse(unpackText(packed, DISCOVERY_LINE_BYTES_MAX));
}
