/**
 * One proxy's discovery stream: what the proxy has, what is on its way, and when to send more. At most one push is in
 * flight; the next one is computed when its answer arrives, so a burst of changes becomes one push.
 */
import type { Clock } from "../../lib/clock.ts";
import type { ControlMessage, Hello, ProxyMessage, Push } from "../../model/discovery.ts";
import { readHealth, type WorkloadHealth } from "../../model/health_probe.ts";
import { readShutPorts, type ShutPort } from "../../model/shut_port.ts";
import type { WorkloadKey } from "../../model/workload.ts";
import {
  type Difference,
  difference,
  isEmpty,
  type Known,
  type ProxyView,
  type ViewCounts,
  viewCounts,
  viewVersion,
} from "../proxy_view.ts";

/** A longer reason of a NACK is cut: it is shown to people and kept in memory. */
export const NACK_REASON_LENGTH_MAX = 1_024;

/** One row of `proxy-status`. */
export interface ProxyStatus {
  readonly workload: WorkloadKey;
  readonly role: Hello["role"];
  /** The program's version. */
  readonly version: string;
  /** As the proxy reports it. */
  readonly address: string;
  /** Milliseconds since 1970. */
  readonly connectedAtMs: number;
  /**
   * `synced`: it serves what it should; `stale`: a push is on its way; `nacked`: it refused the last push and serves
   * what it had; `not-sent`: nothing was sent yet on this connection.
   */
  readonly state: "synced" | "stale" | "nacked" | "not-sent";
  /** What others are told of its workload; null: it has no probe. */
  readonly health: "healthy" | "unhealthy" | null;
  /** Ports of a gateway that it cannot open. */
  readonly shutPorts: readonly ShutPort[];
  /** Why it refused the last push. */
  readonly reason: string | null;
  /** Of the whole snapshot that it ACKed last on this connection; null before. */
  readonly snapshotVersion: string | null;
  /** Milliseconds since 1970. */
  readonly ackedAtMs: number | null;
  /** What it ACKed last; null before. */
  readonly counts: ViewCounts | null;
}

/** What a proxy said of itself; what it knew, thousands of names, is not kept. */
export type Greeting = Omit<Hello, "known" | "shutPorts">;

/** A push, and what of it many proxies are sent alike. */
export type OutgoingPush = Push & Pick<Difference, "whole">;
export type OutgoingMessage = OutgoingPush | Exclude<ControlMessage, Push>;

export interface SessionOptions {
  readonly hello: Hello;
  /** The authenticated peer. */
  readonly peerSpiffeId: string;
  readonly clock: Clock;
  /** What the proxy should have now; null while there is nothing to say. */
  readonly view: (session: DiscoverySession) => ProxyView | null;
  readonly send: (message: OutgoingMessage) => void;
  /** Asks the transport to end the stream. */
  readonly end: (reason: string) => void;
  /** The proxy is about to stop. */
  readonly onGoodbye: (session: DiscoverySession) => void;
  /** The proxy has answered, and nothing more is on its way. */
  readonly onSettled: (session: DiscoverySession) => void;
  /** What the workload's probe says has changed. */
  readonly onHealth: (health: WorkloadHealth) => void;
  /** Called once, when the stream is over. */
  readonly onClose: (session: DiscoverySession) => void;
}

export class DiscoverySession {
  readonly hello: Greeting;
  readonly peerSpiffeId: string;
  readonly #options: Omit<SessionOptions, "hello">;
  readonly #cameWithKnowledge: boolean;
  readonly #connectedAtMs: number;
  #known: Known;
  #acked: { view: ProxyView; atMs: number } | null = null;
  #inFlight: { nonce: number; view: ProxyView } | null = null;
  /** Refused by the proxy; not sent again until there is something else to send. */
  #refused: { view: ProxyView; reason: string } | null = null;
  #shutPorts: readonly ShutPort[];
  #nonce = 0;
  #closed = false;
  /** Monotonic milliseconds. */
  #heardAtMs: number;

  constructor(options: SessionOptions) {
    const { hello: { known, shutPorts, ...greeting }, ...others } = options;
    this.#options = others;
    this.hello = greeting;
    this.peerSpiffeId = options.peerSpiffeId;
    this.#shutPorts = readShutPorts(shutPorts) ?? [];
    this.#known = new Map(Object.entries(known));
    this.#cameWithKnowledge = this.#known.size > 0 || greeting.snapshot !== undefined;
    this.#connectedAtMs = options.clock.now();
    this.#heardAtMs = options.clock.monotonic();
  }

  /** The proxy came with a configuration from before and has yet to confirm one of this control plane's. */
  get resuming(): boolean {
    return this.#acked === null && this.#cameWithKnowledge;
  }

  /** The roots that the proxy has said it trusts; undefined: none, or it does not follow what it is told of them. */
  get confirmedRoots(): string | undefined {
    const body = this.#acked?.view.self.body;
    return this.hello.followsTrust === true && body?.kind === "proxy" ? body.trust?.roots : undefined;
  }

  /** What the proxy has confirmed on this connection; null: nothing yet. */
  get acked(): ProxyView | null {
    return this.#acked && this.#acked.view;
  }

  /** A push is on its way. */
  get isPushing(): boolean {
    return this.#inFlight !== null;
  }

  /** Monotonic milliseconds of the last message from the proxy. */
  get heardAtMs(): number {
    return this.#heardAtMs;
  }

  /** Something may have changed: sends what the proxy lacks, unless a push is in flight. */
  offer(): void {
    if (this.#closed || this.#inFlight !== null) return;
    const view = this.#options.view(this);
    if (view === null) return;
    if (this.#refused !== null && isEmpty(difference(this.#refused.view, view))) return;
    const { snapshot } = this.hello;
    const hasIt = this.#acked === null && snapshot !== undefined && snapshot === viewVersion(view);
    const change = hasIt ? difference(view, view) : difference(this.#known, view);
    if (this.#acked !== null && isEmpty(change)) {
      // The same in other objects: holding on to the old ones would keep an old world in memory.
      this.#known = view;
      this.#acked = { view, atMs: this.#acked.atMs };
      this.#refused = null;
      return;
    }
    this.#nonce++;
    this.#inFlight = { nonce: this.#nonce, view };
    const base = hasIt ? { base: snapshot } : {};
    this.#options.send({ type: "push", nonce: this.#nonce, ...base, ...change });
  }

  /** Takes a message from the proxy. Answers to anything but the push in flight are out of date and ignored. */
  receive(message: ProxyMessage): void {
    if (this.#closed) return;
    this.#heardAtMs = this.#options.clock.monotonic();
    if (message.type === "goodbye") return this.#options.onGoodbye(this);
    if (message.type === "health") {
      const health = readHealth(message.health);
      if (health !== undefined) this.#options.onHealth(health);
      return;
    }
    if (message.type === "ports") {
      this.#shutPorts = readShutPorts(message.shut) ?? this.#shutPorts;
      return;
    }
    if (message.type !== "ack" && message.type !== "nack") return;
    const answered = this.#inFlight;
    if (answered === null || answered.nonce !== message.nonce) return;
    this.#inFlight = null;
    if (message.type === "ack") {
      this.#known = answered.view;
      this.#acked = { view: answered.view, atMs: this.#options.clock.now() };
      this.#refused = null;
    } else {
      const reason = String(message.reason).slice(0, NACK_REASON_LENGTH_MAX);
      this.#refused = { view: answered.view, reason };
    }
    this.offer();
    if (this.#inFlight === null) this.#options.onSettled(this);
  }

  /** Nobody is sent to the proxy any more. */
  farewell(): void {
    if (!this.#closed) this.#options.send({ type: "farewell" });
  }

  /** Somebody watches the proxy's calls. */
  openTap(leaseMs: number): void {
    if (!this.#closed) this.#options.send({ type: "tap", leaseMs });
  }

  heartbeat(): void {
    if (!this.#closed) this.#options.send({ type: "heartbeat" });
  }

  /** The control plane gives the proxy up for good: a retry without a change is of no use. */
  refuse(reason: string): void {
    if (this.#closed) return;
    this.#options.send({ type: "refusal", reason });
    this.end(reason);
  }

  /** Ends the stream from this side. */
  end(reason: string): void {
    if (this.#closed) return;
    this.close();
    this.#options.end(reason);
  }

  /** The transport says that the stream is over. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#options.onClose(this);
  }

  status(): Omit<ProxyStatus, "health"> {
    return {
      workload: this.hello.workload,
      role: this.hello.role,
      version: this.hello.version,
      address: this.hello.address,
      connectedAtMs: this.#connectedAtMs,
      state: this.#state(),
      shutPorts: this.#shutPorts,
      reason: this.#refused?.reason ?? null,
      snapshotVersion: this.#acked && viewVersion(this.#acked.view),
      ackedAtMs: this.#acked && this.#acked.atMs,
      counts: this.#acked && viewCounts(this.#acked.view),
    };
  }

  #state(): ProxyStatus["state"] {
    if (this.#inFlight !== null) return "stale";
    if (this.#refused !== null) return "nacked";
    return this.#acked === null ? "not-sent" : "synced";
  }
}
