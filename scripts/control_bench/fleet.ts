/** Many light clients as one: connected together, waited for together. */
import { percentile } from "../bench/row.ts";
import { LightClient, type ReceivedPush } from "./light_client.ts";
import { unpackText } from "../../src/lib/packed_text.ts";
import { DISCOVERY_LINE_BYTES_MAX, type Push } from "../../src/model/discovery.ts";
import { resourceKey, type VersionedResource } from "../../src/model/snapshot.ts";
import { versionOfSum, versionShare } from "../../src/model/snapshot_version.ts";
import type { TlsMaterial } from "../../src/runtime/tls_options.ts";

export interface FleetOptions {
  readonly address: { readonly hostname: string; readonly port: number };
  /** `NAMESPACE/NAME`. */
  readonly workloads: readonly string[];
  /** In the order of the workloads. */
  readonly tls: readonly TlsMaterial[];
}

/** Connections that are opened in one go: listeners queue no more than some hundreds. */
const OPENED_AT_ONCE = 100;
const RECONNECT_MS = 200;
const HEARTBEAT_MS = 10_000;
const WAIT_MAX_MS = 60_000;

/** How long after the start each client was done, milliseconds. */
export interface Times {
  readonly p50: number;
  readonly p99: number;
  readonly last: number;
}

export class Fleet {
  readonly #clients: LightClient[];
  readonly #namespaceOf = new Map<LightClient, string>();
  /** Namespace -> the client whose pushes are read, for what all of the namespace know. */
  readonly #readers = new Map<string, LightClient>();
  readonly #known = new Map<string, Known>();
  readonly #selfVersions = new Map<LightClient, string>();
  /** When each client was sent what is waited for. */
  readonly #done = new Map<LightClient, number>();
  #wanted: string | null = null;
  /** How many clients are waited for. */
  #awaited: number;
  #remembers = true;
  #closed = false;
  readonly #heartbeat: ReturnType<typeof setInterval>;
  /** Length of the last push that a client got, for what it costs. */
  lastPushBytes = 0;
  /** Length of a snapshot that was packed. */
  snapshotBytes = 0;
  /** Of one reader in each namespace: pushes that said that nothing had changed. */
  resumed = 0;

  constructor({ address, workloads, tls }: FleetOptions) {
    this.#clients = workloads.map((workload, index) => {
      const client = new LightClient({
        address,
        workload,
        tls: tls[index] as TlsMaterial,
        onPush: (from, push) => this.#onPush(from, push),
        onClosed: (from) =>
          this.#closed || setTimeout(() => this.#open(from), RECONNECT_MS * (0.5 + Math.random())),
      });
      const namespace = workload.split("/")[0] as string;
      this.#namespaceOf.set(client, namespace);
      if (!this.#readers.has(namespace)) {
        this.#readers.set(namespace, client);
        this.#known.set(namespace, new Known());
        client.keepsWhole = true;
      }
      return client;
    });
    this.#awaited = this.#clients.length;
    this.#heartbeat = setInterval(() => {
      for (const client of this.#clients) client.heartbeat();
    }, HEARTBEAT_MS);
  }

  get bytesReceived(): number {
    return this.#clients.reduce((sum, client) => sum + client.bytesReceived, 0);
  }

  async connect(): Promise<void> {
    for (const [index, client] of this.#clients.entries()) {
      if (index % OPENED_AT_ONCE === 0) await Bun.sleep(1);
      this.#open(client);
    }
  }

  /** From now on all come as if they had never been there. */
  forget(): void {
    this.#remembers = false;
  }

  /**
   * Begins a count: all clients, or those of one namespace where nobody else sees the edit, are to get a push that has
   * `mark` in it; null: any push.
   */
  await(mark: string | null, namespace: string | null = null): void {
    this.#wanted = mark;
    const of = this.#clients.filter((client) =>
      namespace === null || this.#namespaceOf.get(client) === namespace
    );
    this.#awaited = of.length;
    this.#done.clear();
  }

  /** Resolves when as many clients as await() counted have ACKed what it asked for. */
  async all(startMs: number, what: string): Promise<Times> {
    const deadline = performance.now() + WAIT_MAX_MS;
    while (this.#done.size < this.#awaited) {
      if (performance.now() > deadline) {
        throw new Error(
          `${what}: ${this.#done.size} of ${this.#awaited} proxies in ${WAIT_MAX_MS} ms`,
        );
      }
      await Bun.sleep(5);
    }
    const sorted = [...this.#done.values()].map((atMs) => atMs - startMs).sort((a, b) => a - b);
    return { p50: percentile(sorted, 0.5), p99: percentile(sorted, 0.99), last: sorted.at(-1) as number };
  }

  /** Ends all connections for good. */
  close(): void {
    this.#closed = true;
    clearInterval(this.#heartbeat);
    for (const client of this.#clients) client.close();
  }

  #open(client: LightClient): void {
    const known = this.#known.get(this.#namespaceOf.get(client) as string) as Known;
    const self = this.#selfVersions.get(client);
    if (!this.#remembers || self === undefined) return client.open(undefined);
    client.open(versionOfSum(known.sum + versionShare("proxy/self", self)));
  }

  #onPush(client: LightClient, push: ReceivedPush): void {
    this.lastPushBytes = push.bytes;
    if (this.#wanted === null || push.text.includes(this.#wanted)) {
      if (!this.#done.has(client)) this.#done.set(client, push.atMs);
    }
    const self = /\{"version":"([0-9a-f]+)","body":\{"kind":"proxy"/.exec(push.text.slice(0, 8_000))?.[1];
    if (self !== undefined) this.#selfVersions.set(client, self);
    const namespace = this.#namespaceOf.get(client) as string;
    if (this.#readers.get(namespace) !== client) return;
    const { base, set, packed, remove } = JSON.parse(push.text) as Push;
    let known = this.#known.get(namespace) as Known;
    const more = packed === undefined ? [] : JSON.parse(unpackText(packed, DISCOVERY_LINE_BYTES_MAX));
    if (packed !== undefined) {
      this.#known.set(namespace, known = new Known());
      this.snapshotBytes = JSON.stringify(more).length;
    }
    if (base !== undefined) this.resumed++;
    for (const key of remove) known.remove(key);
    for (const resource of [...set, ...more] as VersionedResource[]) {
      if (resource.body.kind !== "proxy") known.set(resourceKey(resource.body), resource.version);
    }
  }
}

/** What all proxies of a namespace have, but for their own settings. */
class Known {
  readonly #versions = new Map<string, string>();
  sum = 0n;

  set(key: string, version: string): void {
    this.remove(key);
    this.#versions.set(key, version);
    this.sum += versionShare(key, version);
  }

  remove(key: string): void {
    const version = this.#versions.get(key);
    if (version === undefined) return;
    this.#versions.delete(key);
    this.sum -= versionShare(key, version);
  }
}
