/** A proxy as the discovery server sees one: keeps versions, answers when told to. */
import type { ControlMessage, Hello, Push } from "../../../../src/model/discovery.ts";
import { type ResourceKey, resourceKey } from "../../../../src/model/snapshot.ts";
import type { WorkloadKey } from "../../../../src/model/workload.ts";
import type { DiscoveryServer } from "../../../../src/pilot/discovery/discovery_server.ts";
import type { DiscoverySession } from "../../../../src/pilot/discovery/discovery_session.ts";

export class FakeProxy {
  readonly workload: WorkloadKey;
  readonly versions = new Map<ResourceKey, string>();
  /** Everything that it was sent on the current connection. */
  messages: ControlMessage[] = [];
  /** Why the stream was ended from the other side. */
  ended: string | null = null;
  session: DiscoverySession | null = null;
  #unanswered: Push[] = [];

  constructor(workload: WorkloadKey) {
    this.workload = workload;
  }

  get pushes(): Push[] {
    return this.messages.filter((message): message is Push => message.type === "push");
  }

  /** Pushes that it has yet to answer. */
  get unanswered(): number {
    return this.#unanswered.length;
  }

  connect(server: DiscoveryServer, change: Partial<Hello> = {}, peer?: string): void {
    const [namespace, name] = this.workload.split("/");
    this.messages = [];
    this.#unanswered = [];
    this.ended = null;
    const hello: Hello = {
      type: "hello",
      protocol: 1,
      version: "0.1.0",
      role: "sidecar",
      workload: this.workload,
      address: "10.0.0.9",
      meshPort: 15008,
      known: Object.fromEntries(this.versions),
      ...change,
    };
    this.session = server.connect(
      hello,
      peer ?? `spiffe://cluster.local/ns/${namespace}/sa/${name}`,
      (message) => {
        this.messages.push(message);
        if (message.type === "push") this.#unanswered.push(message);
      },
      (reason) => {
        this.ended = reason;
        this.session = null;
      },
    );
  }

  disconnect(): void {
    this.session?.close();
    this.session = null;
  }

  ack(): void {
    const push = this.#unanswered.shift();
    if (push === undefined) throw new Error("nothing to answer");
    for (const resource of push.set) this.versions.set(resourceKey(resource.body), resource.version);
    for (const key of push.remove) this.versions.delete(key);
    this.session?.receive({ type: "ack", nonce: push.nonce });
  }

  nack(reason = "does not compile"): void {
    const push = this.#unanswered.shift();
    if (push === undefined) throw new Error("nothing to answer");
    this.session?.receive({ type: "nack", nonce: push.nonce, reason });
  }
}
