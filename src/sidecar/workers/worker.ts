/** A worker: one of the processes that share a sidecar's ports. It knows what the main process says, and keeps nothing. */
import { messageOf } from "../../lib/message_of.ts";
import type { Snapshot } from "../../model/snapshot.ts";
import type { Proxy } from "../../proxy/proxy.ts";
import type { TlsMaterial } from "../../runtime/tls_options.ts";
import type { DataPlaneSettings } from "../data_plane.ts";
import { changedSnapshot } from "../snapshot_change.ts";
import {
  type Drain,
  type DrainOlder,
  type FromWorker,
  NOTHING_COUNTED,
  readToWorker,
  type ToWorker,
  type WorkerCounts,
} from "./worker_messages.ts";

/**
 * What is in flight when the main process dies gets this long. The ports are free at once: whoever restarts the sidecar
 * need not wait.
 */
export const ORPHAN_DRAIN_MS = 5_000;

export type WorkerProxy = Pick<
  Proxy,
  | "warm"
  | "apply"
  | "listen"
  | "stopListening"
  | "drainSide"
  | "drainOlder"
  | "drain"
  | "cut"
  | "edges"
  | "decisions"
  | "calls"
  | "tap"
  | "refusals"
  | "connections"
  | "shutPorts"
>;

export interface WorkerOptions {
  /** Makes the data plane; `identity` gives the current certificate. */
  createProxy(settings: DataPlaneSettings, identity: () => TlsMaterial | null): WorkerProxy;
  /** Tells the main process; `sent` is called when it has the message, or never will. */
  send(message: FromWorker, sent?: () => void): void;
  /** All is over: the process may exit. */
  end(how: "drained" | "failed"): void;
}

export class Worker {
  readonly #options: WorkerOptions;
  #proxy: WorkerProxy | null = null;
  #identity: TlsMaterial | null = null;
  #snapshot: Snapshot = new Map();
  #draining = false;

  constructor(options: WorkerOptions) {
    this.#options = options;
  }

  greet(): void {
    this.#options.send({ type: "hello" });
  }

  /** A message of the main process. */
  receive(value: unknown): void {
    try {
      this.#obey(readToWorker(value));
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    const reason = messageOf(error);
    this.#options.send({ type: "failed", reason }, () => this.#options.end("failed"));
  }

  /** The main process is gone. */
  async orphaned(): Promise<void> {
    if (!this.#draining) await this.#proxy?.drain(ORPHAN_DRAIN_MS);
    this.#options.end("drained");
  }

  #obey(message: ToWorker): void {
    switch (message.type) {
      case "start": {
        const { settings, identity, snapshot, id } = message;
        this.#identity = identity;
        this.#snapshot = new Map(snapshot);
        this.#proxy = this.#options.createProxy(settings, () => this.#identity);
        return this.#apply(() => {
          this.#proxy?.listen();
          this.#options.send({ type: "done", id });
        });
      }
      case "change":
        this.#snapshot = changedSnapshot(this.#snapshot, message);
        return this.#apply(() => this.#options.send({ type: "done", id: message.id }));
      case "identity":
        this.#identity = message.identity;
        return;
      case "tap":
        this.#proxy?.tap.open(message.leaseMs);
        return;
      case "collect":
        return this.#options.send({ type: "counts", id: message.id, counts: this.#counts() });
      case "close":
        this.#draining = true;
        this.#proxy?.stopListening(message.side);
        return this.#options.send({ type: "done", id: message.id });
      case "drain":
        return this.#drain(message, this.#proxy?.drainSide(message.side, message.timeoutMs));
      case "drain-older":
        return this.#drain(message, this.#proxy?.drainOlder(message.side, message.timeoutMs));
      case "end":
        this.#proxy?.cut();
        this.#options.send(
          { type: "counts", id: message.id, counts: this.#counts() },
          () => this.#options.end("drained"),
        );
    }
  }

  /** At once, unless names in the snapshot have to be looked up; then what is the latest by that time. */
  #apply(applied: () => void): void {
    const finish = () => {
      this.#proxy?.apply(this.#snapshot);
      applied();
    };
    const warming = this.#proxy?.warm(this.#snapshot) ?? null;
    if (warming === null) finish();
    else warming.then(finish).catch((error: unknown) => this.#fail(error));
  }

  #drain({ id }: Drain | DrainOlder, drained: Promise<void> = Promise.resolve()): void {
    void drained.then(() => this.#options.send({ type: "done", id }));
  }

  #counts(): WorkerCounts {
    const proxy = this.#proxy;
    if (proxy === null) return NOTHING_COUNTED;
    const { refusals, connections, shutPorts } = proxy;
    return {
      edges: proxy.edges.takeReport(),
      decisions: proxy.decisions.takeReport(),
      calls: proxy.calls.takeReport(),
      tapped: proxy.tap.take(),
      refusals,
      connections,
      shutPorts,
    };
  }
}
