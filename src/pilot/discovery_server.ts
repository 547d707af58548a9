/**
 * Tells every connected proxy what it should have, as it changes. Knows nothing of the transport: a stream is two
 * callbacks and a session.
 */
import type { ResourceSet } from "../config/resource.ts";
import type { Clock } from "../lib/clock.ts";
import { DISCOVERY_HEARTBEAT_MS, DISCOVERY_PROTOCOL, type Hello } from "../model/discovery.ts";
import { readHealth } from "../model/health_probe.ts";
import type { RevokedIdentity, Trust } from "../model/snapshot.ts";
import type { WorkloadKey } from "../model/workload.ts";
import {
  DiscoverySession,
  type Greeting,
  type OutgoingMessage,
  type ProxyStatus,
} from "./discovery_session.ts";
import { Farewells } from "./farewells.ts";
import { opensPorts, withDoorsOf } from "./openings.ts";
import { withPlainTextOf } from "./plain_text.ts";
import type { ProxyView } from "./proxy_view.ts";
import { PushRound } from "./push_round.ts";
import type { WorkloadRegistry } from "./registry.ts";
import { World } from "./world.ts";

/** Changes that come within this time of the first one are computed and pushed together. */
export const RECOMPUTE_DELAY_MS = 20;

/**
 * After a start, proxies that come with a configuration get nothing newer for at most this long while workloads that
 * no file describes have yet to reconnect: their endpoints would vanish and come back.
 */
export const RESUME_SETTLE_MS = 10_000;

/**
 * How long proxies go on serving what they are to serve no more when everybody has been told not to call there: what
 * was sent before is on its way.
 */
export const DOORS_KEPT_MS = 2_000;

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
  /** Until it is over, nobody is told where to call: who is to serve at new ports has yet to confirm that it does. */
  readonly #openings: PushRound;
  /** Until it is over, some still call where gateways are to serve no more, or in plain text that is to be refused. */
  readonly #closings: PushRound;
  /** What each proxy was to serve when everybody was last told where to call. */
  readonly #doors = new WeakMap<DiscoverySession, ProxyView>();
  /** Whoever is to serve less serves what it did, too. */
  #keepsDoors = false;
  #cancelClosing: (() => void) | null = null;
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
    this.#openings = new PushRound(this.#clock, () => this.#offerAll());
    this.#closings = new PushRound(this.#clock, () => {
      this.#cancelClosing = this.#clock.after(DOORS_KEPT_MS, () => this.#closeDoors());
    });
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
        this.#openings.onSettled(settled);
        this.#closings.onSettled(settled);
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

  /** Every connected proxy, sorted by workload. */
  status(): readonly ProxyStatus[] {
    const rows = [...this.#sessions].map((session) => ({
      ...session.status(),
      health: this.#healthOf(session.hello.workload),
    }));
    return rows.sort((a, b) => a.workload < b.workload ? -1 : a.workload > b.workload ? 1 : 0);
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
    this.#openings.close();
    this.#closings.close();
    this.#cancelClosing?.();
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
    this.#openings.onSettled(session);
    this.#closings.onSettled(session);
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
    const view = this.#world.view(workload);
    const { acked } = session;
    if (acked === null) return view;
    if (this.#openings.isOn) {
      const shared = isGateway(session) ? withDoorsOf(view.shared, acked.shared) : acked.shared;
      return { shared, self: withPlainTextOf(acked.self, view.self) };
    }
    if (this.#keepsDoors) {
      const shared = isGateway(session) ? withDoorsOf(acked.shared, view.shared) : view.shared;
      return { shared, self: withPlainTextOf(acked.self, view.self) };
    }
    return view;
  }

  /** The proxies that are to serve more than they do: at other ports, or as gateways other hosts. */
  *#opening(world: World): Generator<DiscoverySession> {
    for (const session of this.#sessions) {
      const workload = this.#registry.get(session.hello.workload);
      if (workload === undefined || session.acked === null) continue;
      const { self, shared } = session.acked;
      if (opensPorts(world.settings(workload), self)) yield session;
      else if (isGateway(session) && withDoorsOf(world.view(workload).shared, shared) !== shared) {
        yield session;
      }
    }
  }

  /**
   * Whether somebody is to serve less than when everybody was last told where to call: as a gateway other hosts, or no
   * plain text.
   */
  #takesDoorsAway(world: World): boolean {
    let less = false;
    for (const session of this.#sessions) {
      const workload = this.#registry.get(session.hello.workload);
      if (workload === undefined) continue;
      const view = world.view(workload);
      const { self, shared } = this.#doors.get(session) ?? view;
      less ||= withPlainTextOf(self, view.self) !== view.self ||
        isGateway(session) && withDoorsOf(shared, view.shared) !== view.shared;
      this.#doors.set(session, view);
    }
    return less;
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
    this.#openings.begin(this.#opening(this.#world));
    this.#offerAll();
  }

  #offerAll(): void {
    const isOpening = this.#openings.isOn;
    const closes = !isOpening && this.#world !== null && this.#takesDoorsAway(this.#world);
    if (closes) this.#keepsDoors = true;
    for (const session of [...this.#sessions]) session.offer();
    if (!isOpening) this.#farewells.onOffered(this.#sessions);
    if (closes) this.#awaitClosing();
  }

  #awaitClosing(): void {
    this.#closings.begin([...this.#sessions].filter(({ isPushing }) => isPushing));
    if (this.#closings.isOn) {
      this.#cancelClosing?.();
      this.#cancelClosing = null;
    } else if (this.#cancelClosing === null) this.#closeDoors();
  }

  /** Nobody calls any more what is to be served no more. */
  #closeDoors(): void {
    this.#cancelClosing = null;
    this.#keepsDoors = false;
    for (const session of [...this.#sessions]) session.offer();
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

function isGateway({ hello }: DiscoverySession): boolean {
  return hello.role === "gateway";
}

/** IPv4 or IPv6 by its letters; what is no address fails at the first connection attempt, and harms its owner only. */
function isAddress(text: unknown): boolean {
  return typeof text === "string" && /^[0-9a-fA-F.:]{2,45}$/.test(text);
}

function isPort(port: unknown): boolean {
  return Number.isInteger(port) && (port as number) >= 1 && (port as number) <= 65_535;
}
