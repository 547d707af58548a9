/**
 * The data plane as a whole: listeners, the snapshot that serves, hosts and counters. Both sidecar and gateway run one.
 */
import { PORTS } from "../model/ports.ts";
import type { ShutPort } from "../model/shut_port.ts";
import type { Snapshot } from "../model/snapshot.ts";
import { idleSocketsWarning } from "../runtime/inherited_sockets.ts";
import { type Listener, listenMutualTls, listenTcp } from "../runtime/socket.ts";
import { descriptorOf, type Wire } from "../runtime/wire.ts";
import type { CallRecorder } from "../telemetry/call_recorder.ts";
import type { EdgeRegistry } from "../telemetry/edge_metrics.ts";
import { PolicyCounts } from "../telemetry/policy_counts.ts";
import type { Tap } from "../telemetry/tap.ts";
import { namesIn } from "./cluster/dns/resolved_endpoints.ts";
import { compileSnapshot } from "./compile_snapshot.ts";
import type { CompiledSnapshot } from "./compiled_snapshot.ts";
import type { Gateway } from "./gateway.ts";
import type { KeySources } from "./jwt/key_sources.ts";
import type { OlderConnections, Side } from "./listener/connection_gate.ts";
import { MESH_TLS } from "./listener/mesh_peers.ts";
import type { PlainInboundListener } from "./listener/plain_inbound_listener.ts";
import type { ProxyOptions, ProxyRefusals, SidecarAddresses } from "./proxy_options.ts";
import { ProxyParts } from "./proxy_parts.ts";

export class Proxy {
  readonly edges: EdgeRegistry;
  /** What policies decided. */
  readonly decisions = new PolicyCounts();
  /** What came to the own workload. */
  readonly calls: CallRecorder;
  readonly #options: ProxyOptions;
  readonly #parts: ProxyParts;
  readonly #listeners: Record<Side, Listener[]> = { inbound: [], outbound: [] };
  readonly #gateway: Gateway | null;
  /** Null before it listens, and of a gateway. */
  #plainInbound: PlainInboundListener | null = null;
  /** Sides whose ports are open. */
  readonly #open = new Set<Side>();
  #listens = false;
  /** What drains while the ports of its side stay open. */
  readonly #older = new Map<Side, OlderConnections>();
  /** What was told of inherited sockets that nobody serves. */
  #idleSockets: string | null = null;
  /** Null until a rule about tokens asks for keys. */
  #keys: KeySources | null = null;
  readonly #verifications = { count: 0 };

  constructor(options: ProxyOptions) {
    this.#options = options;
    this.#parts = new ProxyParts(options);
    this.edges = this.#parts.edges;
    this.calls = this.#parts.calls;
    this.#gateway = options.gateway && this.#parts.createGateway(options.gateway);
  }

  /**
   * Begins to look up what the snapshot's endpoints are called; resolves when there is an answer about each, or not for
   * a while. Null: nothing in it is new, and it can be applied at once. One that is applied without has no endpoints yet.
   */
  warm(snapshot: Snapshot): Promise<void> | null {
    return this.#parts.names.warm(namesIn(snapshot));
  }

  /**
   * Compiles the snapshot and serves by it from the next request on; requests in flight end on what they began with.
   * Throws when it does not compile, and goes on with what it had.
   */
  apply(snapshot: Snapshot): void {
    const { clock, random, deliverTo } = this.#options;
    const parts = this.#parts;
    const compiled = compileSnapshot(snapshot, {
      hosts: parts.hosts,
      edges: this.edges,
      decisions: this.decisions,
      random,
      clock,
      wheel: parts.wheel,
      previous: parts.current,
      deliverTo,
      tokenKeys: {
        of: (rule) => (this.#keys ??= parts.createKeySources()).of(rule),
        verifications: this.#verifications,
      },
      names: parts.names,
    });
    parts.current = compiled;
    this.#keys?.retain(compiled.settings.jwtRules ?? []);
    parts.peers.trustDomainAliases = compiled.settings.trustDomainAliases ?? [];
    const { revoked = [], revokedIds = [], trust } = compiled.settings;
    parts.peers.revoke(revoked, revokedIds);
    parts.peers.trustOnly(trust?.only === true ? trust.signer : null);
    parts.hosts.retain(compiled.hosts);
    parts.names.retain(namesIn(snapshot));
    this.#gateway?.update(compiled);
    this.#plainInbound?.follow(compiled);
    if (parts.doors === null && wantsDoors(compiled)) parts.doors = parts.createDoors();
    parts.doors?.update(compiled, this.#open);
    this.#lookAtIdleSockets();
  }

  /**
   * Opens the ports, so that one that is taken shows at once. Connections are closed again as long as there is no
   * snapshot to serve by. Throws ListenError, and then listens nowhere.
   */
  listen(): void {
    const { addresses } = this.#options;
    if (addresses === null) this.#gateway?.listen();
    else this.#listenAt(addresses);
    this.#listens = true;
    this.#lookAtIdleSockets();
  }

  #listenAt(addresses: SidecarAddresses): void {
    const { tlsMaterial } = this.#options;
    const parts = this.#parts;
    const { outbound, inboundPlain, mesh } = addresses;
    const peers = parts.createMeshPeers();
    const shakeHands = (wire: Wire) => parts.receptions.mesh.shakeHands(wire, peers.judge);
    const material = (wire: Wire) => {
      const serves = parts.current !== null && parts.gate.admit(descriptorOf(wire)) === "serve";
      return serves ? tlsMaterial() : null;
    };
    try {
      this.#listeners.outbound.push(listenTcp(outbound, parts.createOutboundListener().accept));
      this.#plainInbound = parts.createPlainInboundListener(addresses, peers);
      this.#listeners.inbound.push(listenTcp(inboundPlain, this.#plainInbound.accept));
      this.#listeners.inbound.push(listenMutualTls(mesh, material, shakeHands, MESH_TLS));
      for (const side of SIDES) this.#open.add(side);
      if (parts.current !== null) parts.doors?.update(parts.current, this.#open);
    } catch (error) {
      for (const side of SIDES) this.stopListening(side);
      throw error;
    }
  }

  /** Which ports are wanted is known with the first snapshot, and may change with any. */
  #lookAtIdleSockets(): void {
    if (!this.#listens || this.#parts.current === null) return;
    const warning = idleSocketsWarning(STATUS_PORTS);
    if (warning !== null && warning !== this.#idleSockets) this.#options.warn(warning);
    this.#idleSockets = warning;
  }

  /** Calls as they end, while somebody watches. */
  get tap(): Tap {
    return this.#parts.exchanges.tap;
  }

  /** Ports that the configuration asks for and that are not open. */
  get shutPorts(): readonly ShutPort[] {
    return (this.#gateway ?? this.#parts.doors)?.shutPorts ?? [];
  }

  /** Connections that clients hold open. */
  get connections(): number {
    return this.#parts.gate.proven;
  }

  get refusals(): ProxyRefusals {
    const downstream = this.#parts.gate.refusals;
    return { downstream, upstream: this.#parts.upstream.refusals, requests: this.#parts.inFlight.refused };
  }

  /** Closes the ports of one side; its connections go on. */
  stopListening(side: Side): void {
    this.#listens = false;
    if (side === "inbound") this.#gateway?.close();
    this.#open.delete(side);
    this.#parts.doors?.close(side);
    for (const listener of this.#listeners[side].splice(0)) listener.stop();
  }

  /**
   * Lets what is in flight on a side end, whose ports were closed before; resolves when all is over or the time is up.
   * What is left of what drainOlder() gave its time is broken off.
   */
  async drainSide(side: Side, timeoutMs: number): Promise<void> {
    this.#older.get(side)?.cut();
    this.#parts.gate.drain(side);
    await this.#while(() => this.#parts.gate.open(side) > 0, timeoutMs);
  }

  /**
   * Lets what is in flight on a side end while its ports stay open; resolves when that is over, whatever has come in the
   * meantime, or the time is up.
   */
  async drainOlder(side: Side, timeoutMs: number): Promise<void> {
    const older = this.#parts.gate.drainOlder(side);
    this.#older.set(side, older);
    await this.#while(() => !older.areOver(), timeoutMs);
  }

  async #while(goesOn: () => boolean, timeoutMs: number): Promise<void> {
    const { clock } = this.#options;
    const until = clock.monotonic() + timeoutMs;
    while (goesOn() && clock.monotonic() < until) {
      await new Promise<void>((resolve) => clock.after(DRAIN_LOOK_MS, resolve));
    }
  }

  /** Breaks off what is in flight. */
  cut(): void {
    this.#parts.gate.cut();
  }

  /**
   * Stops accepting and lets what is in flight end; what is left when the time is up is broken off, but for calls that came
   * late. The own workload's door closes last: it may need calls of its own to answer what is in flight.
   */
  async drain(timeoutMs: number): Promise<void> {
    const { clock, addresses } = this.#options;
    const until = clock.monotonic() + timeoutMs;
    for (const side of SIDES) {
      const lateMs = lateCallsMs(side, addresses, timeoutMs);
      const olderMs = until - clock.monotonic();
      if (lateMs > 0 && olderMs > 0) await this.drainOlder(side, olderMs);
      this.stopListening(side);
      await this.drainSide(side, Math.max(until - clock.monotonic(), lateMs));
    }
    this.cut();
  }
}

/** Whether the sidecar has ports, or shows certificates, that a Sidecar resource asks for. */
function wantsDoors({ settings: { doors = [], inbound } }: CompiledSnapshot): boolean {
  return doors.length > 0 || inbound.some(({ tls }) => tls !== undefined);
}

/** Not the data plane's, nor of the process that has it where there are several. */
const STATUS_PORTS = [PORTS.admin, PORTS.health, PORTS.metrics];

/** In the order in which they drain. */
export const SIDES = ["inbound", "outbound"] as const;

/** Calls that come while older ones drain have at least this long once the ports are closed. */
export const LATE_CALLS_MS = 5_000;

/**
 * The same for one side, no longer than all of the drain; 0: its ports close before anything drains. They stay open where
 * callers have nobody else to call, as the own workload and a gateway's clients: what is in flight may take all of the
 * time. The mesh was told to call elsewhere.
 */
export function lateCallsMs(side: Side, addresses: SidecarAddresses | null, drainMs: number): number {
  return side === "outbound" || addresses === null ? Math.min(LATE_CALLS_MS, drainMs) : 0;
}

/** How often a drain looks whether everything is over. */
const DRAIN_LOOK_MS = 50;
