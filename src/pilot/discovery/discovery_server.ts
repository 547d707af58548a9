/**
 * Tells every connected proxy what it should have, as it changes. Knows nothing of the transport: a stream is two
 * callbacks and a session.
 */
import { compareTexts } from "../../lib/compare_texts.ts";
import { isPort } from "../../model/ports.ts";
import type { ResourceSet } from "../../config/resource.ts";
import type { Clock } from "../../lib/clock.ts";
import { DISCOVERY_HEARTBEAT_MS, DISCOVERY_PROTOCOL, type Hello } from "../../model/discovery.ts";
import { readHealth } from "../../model/health_probe.ts";
import type { RevokedIdentity, Trust } from "../../model/snapshot.ts";
import type { WorkloadKey } from "../../model/workload.ts";
import {
  DiscoverySession,
  type Greeting,
  type OutgoingMessage,
  type ProxyStatus,
} from "./discovery_session.ts";
import { Farewells } from "./farewells.ts";
import { MakeBeforeBreak, type Target } from "./make_before_break.ts";
import type { ProxyView } from "../proxy_view.ts";
import type { WorkloadRegistry } from "../registry.ts";
import { World } from "../world.ts";

/** Changes that come within this time of the first one are computed and pushed together. */
export const RECOMPUTE_DELAY_MS = 20;

/**
 * After a start, proxies that come with a configuration get nothing newer for at most this long while workloads that
 * no file describes have yet to reconnect: their endpoints would vanish and come back.
 */
export const RESUME_SETTLE_MS = 10_000;

/** A peer that was silent for this many heartbeats is gone. */
export const HEARTBEATS_MISSED_MAX = 3;

/** Streams in all; one more is ended, to try again later. */
export const SESSIONS_MAX = 10_000;

/** Streams of one workload: its reconnects before the old ones are given up. With one more the oldest ends. */
export const SESSIONS_PER_WORKLOAD_MAX = 4;

export interface DiscoveryOptions {
  readonly registry: WorkloadRegistry;
  readonly clock: Clock;
  readonly trustDomain: string;
}

export class DiscoveryServer {
  readonly #registry: WorkloadRegistry;
  readonly #clock: Clock;
  readonly #trustDomain: string;
  readonly #sessions = new Set<DiscoverySession>();
  /** Oldest first. */
  readonly #byWorkload = new Map<WorkloadKey, Set<DiscoverySession>>();
  readonly #farewells = new Farewells();
  readonly #order: MakeBeforeBreak;
  /** The last generation; null until the first one is loaded, and while it is null nothing is pushed. */
  #resources: ResourceSet | null = null;
  #revoked: readonly string[] = [];
  #revokedIds: readonly RevokedIdentity[] = [];
  #trust: Trust | undefined;
  #world: World | null = null;
  #settleOver = false;
  #cancelRecompute: (() => void) | null = null;
  #cancelHeartbeat: (() => void) | null = null;
  readonly #cancelSettle: () => void;
  readonly #unsubscribe: () => void;

  constructor(options: DiscoveryOptions) {
    this.#registry = options.registry;
    this.#clock = options.clock;
    this.#trustDomain = options.trustDomain;
    this.#order = new MakeBeforeBreak(this.#clock, () => this.#offerAll());
    this.#unsubscribe = this.#registry.onChange(() => this.#schedule());
    this.#cancelSettle = this.#clock.after(RESUME_SETTLE_MS, () => {
      this.#settleOver = true;
      this.#offerAll();
    });
  }

  /** A new generation of the configuration serves from now on. */
  update(resources: ResourceSet): void {
    this.#resources = resources;
    this.#registry.setGroups(resources.workloadGroups);
    this.#registry.setFiles(resources.workloadEntries);
    this.#registry.setGateways(resources.gateways);
    this.#schedule();
  }

  /** Every proxy is told whom to trust. */
  setTrust(trust: Trust): void {
    if (trust.roots === this.#trust?.roots && trust.signer === this.#trust.signer) return;
    this.#trust = trust;
    this.#schedule();
  }

  /** The workloads of connected proxies that have yet to confirm the roots that they were told last. */
  lackingRoots(): WorkloadKey[] {
    const roots = this.#trust?.roots;
    const lacking = [...this.#sessions].filter((session) => session.confirmedRoots !== roots);
    return [...new Set(lacking.map(({ hello }) => hello.workload))].sort();
  }

  /** Certificates with these serial numbers, of these identities, hold no more: every proxy is told. */
  setRevoked(serials: readonly string[], identities: readonly RevokedIdentity[]): void {
    this.#revoked = serials;
    this.#revokedIds = identities;
    this.#schedule();
  }

  /**
   * A proxy has said hello over a connection that authenticated it as `peerSpiffeId`.
   * @param send writes one message; it is not called again once the session is closed
   * @param end closes the stream from this side, after what was sent; `close()` need not be called then
   * @returns null when the proxy is not served: it was sent a refusal, where trying again is of no use, and ended
   */
  connect(
    hello: Hello,
    peerSpiffeId: string,
    send: (message: OutgoingMessage) => void,
    end: (reason: string) => void,
  ): DiscoverySession | null {
    const namesVersions = typeof hello.known === "object" && hello.known !== null;
    const refusal = this.#refusalOf(hello, peerSpiffeId) ??
      (namesVersions ? null : `The hello of ${hello.workload} does not say which versions it knows`);
    if (refusal !== null) {
      send({ type: "refusal", reason: refusal });
      end(refusal);
      return null;
    }
    if (this.#sessions.size >= SESSIONS_MAX) {
      end(`The control plane serves ${SESSIONS_MAX} streams already`);
      return null;
    }
    this.#makeRoom(hello.workload);
    const { workload, address, meshPort, role } = hello;
    const health = readHealth(hello.health);
    const disconnect = this.#registry.connect({ workload, address, meshPort, role, health });
    const session = new DiscoverySession({
      hello,
      peerSpiffeId,
      clock: this.#clock,
      view: (asking) => this.#viewFor(asking),
      send,
      end,
      onGoodbye: (leaving) => {
        this.#farewells.begin(leaving);
        this.#registry.leave(workload);
        // Where that changes nothing for anybody, it is answered all the same.
        this.#schedule();
      },
      onSettled: (settled) => {
        this.#farewells.onSettled(settled);
        this.#order.onSettled(settled);
      },
      onHealth: (health) => this.#registry.setHealth(workload, health),
      onClose: (closed) => {
        this.#forget(closed);
        disconnect();
      },
    });
    this.#remember(session);
    this.#cancelHeartbeat ??= this.#clock.after(DISCOVERY_HEARTBEAT_MS, () => this.#heartbeat());
    // A recomputation that is due will offer; what there is now is about to be out of date.
    if (this.#cancelRecompute === null) session.offer();
    return session;
  }

  /** Asks the proxies of a workload, or all with null, to tell of their calls for so long. */
  openTap(workload: WorkloadKey | null, leaseMs: number): void {
    for (const session of this.#sessions) {
      if (workload === null || session.hello.workload === workload) session.openTap(leaseMs);
    }
  }

  /** Whether a workload has a stream; with null, whether any has. */
  isConnected(workload: WorkloadKey | null): boolean {
    return workload === null ? this.#sessions.size > 0 : this.#byWorkload.has(workload);
  }

  /** Every connected proxy, sorted by workload. */
  status(): readonly ProxyStatus[] {
    const rows = [...this.#sessions].map((session) => ({
      ...session.status(),
      health: this.#healthOf(session.hello.workload),
    }));
    return rows.sort((a, b) => compareTexts(a.workload, b.workload));
  }

  /** What serves now, for whoever explains or shows it; null before the first generation. */
  get world(): World | null {
    return this.#world;
  }

  /** Ends all streams and timers. */
  close(): void {
    this.#unsubscribe();
    this.#cancelSettle();
    this.#cancelRecompute?.();
    this.#cancelHeartbeat?.();
    this.#order.close();
    for (const session of [...this.#sessions]) session.end("The control plane is stopping");
  }

  #refusalOf(hello: Greeting, peerSpiffeId: string): string | null {
    if (!(Math.abs(hello.protocol - DISCOVERY_PROTOCOL) <= 1)) {
      return `Protocol ${hello.protocol} is not understood, only ${DISCOVERY_PROTOCOL - 1} to ` +
        `${DISCOVERY_PROTOCOL + 1}: bring the proxy and the control plane to neighbouring versions`;
    }
    const expected = this.#registry.expectedSpiffeId(hello.workload);
    if (expected === undefined) {
      const group = this.#registry.groups.keyOf(hello.workload);
      return group === undefined
        ? `Workload "${hello.workload}" is not of the form NAMESPACE/NAME`
        : `Workload ${hello.workload} joined the WorkloadGroup ${group}, which is in the files no more`;
    }
    if (expected !== peerSpiffeId) {
      return `Workload ${hello.workload} must be ${expected}, but the certificate says ${peerSpiffeId}: ` +
        `join with a token for this workload, or correct its serviceAccount`;
    }
    if (!isAddress(hello.address)) {
      return `Address "${hello.address}" of ${hello.workload} is not an IP address`;
    }
    if (!isPort(hello.meshPort)) {
      return `Mesh port ${hello.meshPort} of ${hello.workload} is not a port number`;
    }
    return null;
  }

  /** Null: nobody asks. */
  #healthOf(key: WorkloadKey): ProxyStatus["health"] {
    const workload = this.#registry.get(key);
    if (workload?.probe === undefined) return null;
    return workload.unhealthy ? "unhealthy" : "healthy";
  }

  #remember(session: DiscoverySession): void {
    const { workload } = session.hello;
    this.#sessions.add(session);
    const same = this.#byWorkload.get(workload);
    if (same === undefined) this.#byWorkload.set(workload, new Set([session]));
    else same.add(session);
  }

  #forget(session: DiscoverySession): void {
    const { workload } = session.hello;
    this.#sessions.delete(session);
    this.#farewells.forget(session);
    this.#order.onSettled(session);
    const same = this.#byWorkload.get(workload);
    same?.delete(session);
    if (same?.size === 0) this.#byWorkload.delete(workload);
  }

  #makeRoom(workload: WorkloadKey): void {
    const [oldest, ...newer] = this.#byWorkload.get(workload) ?? [];
    if (newer.length + 1 >= SESSIONS_PER_WORKLOAD_MAX) {
      oldest?.end(`Workload ${workload} has ${SESSIONS_PER_WORKLOAD_MAX} newer streams`);
    }
  }

  #viewFor(session: DiscoverySession): ProxyView | null {
    const workload = this.#registry.get(session.hello.workload);
    if (this.#world === null || workload === undefined) return null;
    if (session.resuming && !this.#settleOver && this.#registry.awaitsConnections()) return null;
    return this.#order.viewFor([session, this.#world.view(workload)]);
  }

  #targets(world: World): Target[] {
    return [...this.#sessions].flatMap((session) => {
      const workload = this.#registry.get(session.hello.workload);
      return workload === undefined ? [] : [[session, world.view(workload)] as const];
    });
  }

  #schedule(): void {
    if (this.#resources === null) return;
    this.#cancelRecompute ??= this.#clock.after(RECOMPUTE_DELAY_MS, () => this.#recompute());
  }

  #recompute(): void {
    this.#cancelRecompute = null;
    if (this.#resources === null) return;
    const workloads = this.#registry.workloads();
    const [trust, trustDomain] = [this.#trust, this.#trustDomain];
    const [revoked, revokedIds] = [this.#revoked, this.#revokedIds];
    const input = { resources: this.#resources, workloads, trustDomain, revoked, revokedIds, trust };
    this.#world = new World(input, this.#world);
    for (const session of [...this.#sessions]) {
      // The files may since have given the workload another identity.
      const refusal = this.#refusalOf(session.hello, session.peerSpiffeId);
      if (refusal !== null) session.refuse(refusal);
    }
    this.#order.begin(this.#targets(this.#world));
    this.#offerAll();
  }

  #offerAll(): void {
    if (this.#world === null) return;
    this.#order.offer(this.#targets(this.#world));
    // A farewell that has begun since the last computation is in none of these offers.
    if (!this.#order.isOpening && this.#cancelRecompute === null) this.#farewells.onOffered(this.#sessions);
  }

  #heartbeat(): void {
    this.#cancelHeartbeat = null;
    const silentSinceMs = this.#clock.monotonic() - HEARTBEATS_MISSED_MAX * DISCOVERY_HEARTBEAT_MS;
    for (const session of [...this.#sessions]) {
      if (session.heardAtMs <= silentSinceMs) session.end("The proxy has been silent for too long");
      else session.heartbeat();
    }
    if (this.#sessions.size === 0) return;
    this.#cancelHeartbeat = this.#clock.after(DISCOVERY_HEARTBEAT_MS, () => this.#heartbeat());
  }
}

/** IPv4 or IPv6 by its letters; what is no address fails at the first connection attempt, and harms its owner only. */
function isAddress(text: unknown): boolean {
  return typeof text === "string" && /^[0-9a-fA-F.:]{2,45}$/.test(text);
}
