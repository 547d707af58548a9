/**
 * The data plane as a whole: listeners, the snapshot that serves, hosts and counters. Both sidecar and gateway run one.
 */
import type { Clock } from "../lib/clock.ts";
import { Network } from "../lib/ip.ts";
import type { Random } from "../lib/prng.ts";
import { TimerWheel } from "../lib/timer_wheel.ts";
import type { Limits } from "../model/limits.ts";
import { PORTS } from "../model/ports.ts";
import type { ShutPort } from "../model/shut_port.ts";
import type { Snapshot } from "../model/snapshot.ts";
import { resolveName } from "../runtime/dns.ts";
import { originalDestination } from "../runtime/original_destination.ts";
import { boundReceiveBuffer } from "../runtime/receive_buffer.ts";
import {
  connect,
  descriptorOf,
  type ListenAddress,
  type Listener,
  listenMutualTls,
  listenTcp,
  type TlsMaterial,
  type Wire,
} from "../runtime/socket.ts";
import { setTcpKeepalive } from "../runtime/tcp_keepalive.ts";
import { CallRecorder } from "../telemetry/call_recorder.ts";
import { EdgeRegistry } from "../telemetry/edge_metrics.ts";
import type { Tap } from "../telemetry/tap.ts";
import { LimitedWarnings } from "../telemetry/limited_warnings.ts";
import { PolicyCounts } from "../telemetry/policy_counts.ts";
import { BoundedConnect, type ConnectRefusals } from "./cluster/bounded_connect.ts";
import { NameCache } from "./cluster/dns/name_cache.ts";
import { namesIn } from "./cluster/dns/resolved_endpoints.ts";
import { HostTable } from "./cluster/host_table.ts";
import { TlsFiles } from "./cluster/tls_files.ts";
import { connectionTerms } from "./connection_terms.ts";
import { type CompiledSnapshot, compileSnapshot } from "./compiled_snapshot.ts";
import { PeerCertificates } from "./peer_certificates.ts";
import { type ExchangeContext, exchangeContext } from "./filters/exchange_context.ts";
import { InFlight } from "./filters/in_flight.ts";
import { OutboundAcceptor } from "./filters/outbound.ts";
import { ConnectionGate, type ConnectionRefusals, type Side } from "./listener/connection_gate.ts";
import type { Gateway, GatewayPlace } from "./gateway.ts";
import type { SidecarDoors } from "./sidecar_doors.ts";
import type { KeySources } from "./jwt/key_sources.ts";
import { MESH_TLS, MeshPeers } from "./listener/mesh_peers.ts";
import { type ListenerWarning, OutboundListener } from "./listener/outbound_listener.ts";
import { PlainInboundListener } from "./listener/plain_inbound_listener.ts";
import { Reception } from "./listener/reception.ts";
import { PeerDescriptions } from "./mesh_headers.ts";
import { meshHopLimits } from "./mesh_hop.ts";
import type { ProxyCaps } from "./proxy_caps.ts";

/** What was refused since the start because it was too much, by the cap that it hit. */
export interface ProxyRefusals {
  readonly downstream: Readonly<ConnectionRefusals>;
  readonly upstream: Readonly<ConnectRefusals>;
  readonly requests: number;
}

export interface SidecarAddresses {
  /** Where the own workload's calls come in, normally loopback. */
  readonly outbound: ListenAddress;
  /** Where plain calls to the own workload come in, captured. */
  readonly inboundPlain: ListenAddress;
  /** Where the mesh calls in. */
  readonly mesh: ListenAddress;
}

export interface ProxyOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly trustDomain: string;
  /** The ports of a sidecar; null: it is a gateway, whose ports are what its configuration says. */
  readonly addresses: SidecarAddresses | null;
  /** For a gateway. */
  readonly gateway: GatewayPlace | null;
  /** Directory of the credentials that Gateways and DestinationRules name; null: there is none. */
  readonly credentials: string | null;
  /** Address on which the own workload listens. */
  readonly deliverTo: string;
  readonly caps: ProxyCaps;
  readonly limits: Limits;
  /** Addresses and networks where keys of tokens may be asked for although they are refused otherwise. */
  readonly jwksAllow: readonly string[];
  /** The own certificate and the trusted roots, fresh at every connection; null before the workload has joined. */
  tlsMaterial(): TlsMaterial | null;
  warn(message: string): void;
  /** Other ports of a gateway than before cannot be opened. */
  onShutPorts(): void;
}

/** What anybody can make the proxy say as often as they like: each kind is said at most once in a while. */
type ProxyWarning = ListenerWarning | "caller-refused" | "callee-refused" | "no-keys";

export class Proxy {
  readonly edges = new EdgeRegistry();
  /** What policies decided. */
  readonly decisions = new PolicyCounts();
  /** What came to the own workload. */
  readonly calls = new CallRecorder();
  readonly #options: ProxyOptions;
  readonly #wheel: TimerWheel;
  readonly #hosts: HostTable;
  readonly #gate: ConnectionGate;
  readonly #receptions: Readonly<Record<Side | "mesh", Reception>>;
  readonly #warnings: LimitedWarnings<ProxyWarning>;
  readonly #upstream: BoundedConnect;
  readonly #peers = new PeerCertificates();
  readonly #inFlight: InFlight;
  readonly #listeners: Record<Side, Listener[]> = { inbound: [], outbound: [] };
  readonly #exchanges: ExchangeContext;
  readonly #names: NameCache;
  readonly #gateway: Gateway | null;
  /** Null before it listens, and of a gateway. */
  #plainInbound: PlainInboundListener | null = null;
  /** Sides whose ports are open. */
  readonly #open = new Set<Side>();
  /** Null until a Sidecar asks for ports or TLS of its own. */
  #doors: SidecarDoors | null = null;
  /** Null until a rule about tokens asks for keys. */
  #keys: KeySources | null = null;
  readonly #verifications = { count: 0 };
  readonly #descriptions = new PeerDescriptions();
  #current: CompiledSnapshot | null = null;

  constructor(options: ProxyOptions) {
    this.#options = options;
    this.#wheel = new TimerWheel(options.clock);
    this.#gate = new ConnectionGate(options.caps, options.clock);
    this.#receptions = {
      inbound: new Reception(this.#gate, this.#wheel, "inbound", options.limits),
      mesh: new Reception(this.#gate, this.#wheel, "inbound", meshHopLimits(options.limits)),
      outbound: new Reception(this.#gate, this.#wheel, "outbound", options.limits),
    };
    this.#warnings = new LimitedWarnings(options.clock, options.warn);
    this.#upstream = new BoundedConnect(connect, options.caps);
    this.#inFlight = new InFlight(options.caps.requests);
    this.#exchanges = exchangeContext(options.clock, this.#inFlight, options.limits);
    this.#names = new NameCache({
      clock: options.clock,
      wheel: this.#wheel,
      resolve: resolveName,
      warn: options.warn,
      onChange: (name) => this.#onNameChange(name),
    });
    this.#hosts = new HostTable({
      clock: options.clock,
      wheel: this.#wheel,
      terms: connectionTerms({}, options.limits),
      trustDomain: options.trustDomain,
      connect: this.#upstream.connect,
      tlsMaterial: options.tlsMaterial,
      tlsFiles: new TlsFiles(options.credentials),
      setTcpKeepalive,
      boundReceiveBuffer,
      peers: this.#peers,
      warn: (message) => this.#warnings.say("callee-refused", message),
    });
    this.#gateway = options.gateway && this.#createGateway(options.gateway);
  }

  /**
   * Begins to look up what the snapshot's endpoints are called; resolves when there is an answer about each, or not for
   * a while. Null: nothing in it is new, and it can be applied at once. One that is applied without has no endpoints yet.
   */
  warm(snapshot: Snapshot): Promise<void> | null {
    return this.#names.warm(namesIn(snapshot));
  }

  /**
   * Compiles the snapshot and serves by it from the next request on; requests in flight end on what they began with.
   * Throws when it does not compile, and goes on with what it had.
   */
  apply(snapshot: Snapshot): void {
    const { clock, random, deliverTo } = this.#options;
    const compiled = compileSnapshot(snapshot, {
      hosts: this.#hosts,
      edges: this.edges,
      decisions: this.decisions,
      random,
      clock,
      wheel: this.#wheel,
      previous: this.#current,
      deliverTo,
      tokenKeys: {
        of: (rule) => (this.#keys ??= this.#createKeySources()).of(rule),
        verifications: this.#verifications,
      },
      addressesOf: (name) => this.#names.addressesOf(name),
    });
    this.#current = compiled;
    this.#keys?.retain(compiled.settings.jwtRules ?? []);
    this.#peers.trustDomainAliases = compiled.settings.trustDomainAliases ?? [];
    const { revoked = [], revokedIds = [] } = compiled.settings;
    this.#peers.revoke(revoked, revokedIds, clock.now());
    this.#hosts.retain(compiled.hosts);
    this.#names.retain(namesIn(snapshot));
    this.#gateway?.update(compiled);
    this.#plainInbound?.follow(compiled);
    if (this.#doors === null && wantsDoors(compiled)) this.#doors = this.#createDoors();
    this.#doors?.update(compiled, this.#open);
  }

  /**
   * Opens the ports, so that one that is taken shows at once. Connections are closed again as long as there is no
   * snapshot to serve by. Throws ListenError, and then listens nowhere.
   */
  listen(): void {
    const { addresses, tlsMaterial } = this.#options;
    if (addresses === null) return this.#gateway?.listen();
    const { outbound, inboundPlain, mesh } = addresses;
    const peers = this.#createMeshPeers();
    const shakeHands = (wire: Wire) => this.#receptions.mesh.shakeHands(wire, peers.judge);
    const material = (wire: Wire) => {
      const serves = this.#current !== null && this.#gate.admit(descriptorOf(wire)) === "serve";
      return serves ? tlsMaterial() : null;
    };
    try {
      this.#listeners.outbound.push(listenTcp(outbound, this.#outboundListener().accept));
      this.#plainInbound = this.#plainInboundListener(addresses, peers);
      this.#listeners.inbound.push(listenTcp(inboundPlain, this.#plainInbound.accept));
      this.#listeners.inbound.push(listenMutualTls(mesh, material, shakeHands, MESH_TLS));
      for (const side of SIDES) this.#open.add(side);
      if (this.#current !== null) this.#doors?.update(this.#current, this.#open);
    } catch (error) {
      for (const side of SIDES) this.stopListening(side);
      throw error;
    }
  }

  /** Calls as they end, while somebody watches. */
  get tap(): Tap {
    return this.#exchanges.tap;
  }

  /** Ports that the configuration asks for and that are not open. */
  get shutPorts(): readonly ShutPort[] {
    return (this.#gateway ?? this.#doors)?.shutPorts ?? [];
  }

  /** Connections that clients hold open. */
  get connections(): number {
    return this.#gate.proven;
  }

  get refusals(): ProxyRefusals {
    const downstream = this.#gate.refusals;
    return { downstream, upstream: this.#upstream.refusals, requests: this.#inFlight.refused };
  }

  /** Closes the ports of one side; its connections go on. */
  stopListening(side: Side): void {
    if (side === "inbound") this.#gateway?.close();
    this.#open.delete(side);
    this.#doors?.close(side);
    for (const listener of this.#listeners[side].splice(0)) listener.stop();
  }

  /**
   * Lets what is in flight on a side end, whose ports were closed before; resolves when all is over or the time is up.
   */
  async drainSide(side: Side, timeoutMs: number): Promise<void> {
    const { clock } = this.#options;
    const until = clock.monotonic() + timeoutMs;
    this.#gate.drain(side);
    while (this.#gate.open(side) > 0 && clock.monotonic() < until) {
      await new Promise<void>((resolve) => clock.after(DRAIN_LOOK_MS, resolve));
    }
  }

  #onNameChange(name: string): void {
    const current = this.#current;
    if (current !== null && current.onNameChange(name)) this.#hosts.retain(current.hosts);
  }

  /** Breaks off what is in flight. */
  cut(): void {
    this.#gate.cut();
  }

  /**
   * Stops accepting and lets what is in flight end; what is left when the time is up is broken off. The own workload's
   * door closes last: it may need calls of its own to answer what is in flight.
   */
  async drain(timeoutMs: number): Promise<void> {
    const { clock } = this.#options;
    const until = clock.monotonic() + timeoutMs;
    for (const side of SIDES) {
      this.stopListening(side);
      await this.drainSide(side, until - clock.monotonic());
    }
    this.cut();
  }

  readonly #serving = (): CompiledSnapshot => {
    if (this.#current === null) throw new Error("The proxy listens before it has a snapshot");
    return this.#current;
  };

  #outboundAcceptor(): OutboundAcceptor {
    return new OutboundAcceptor({
      ...this.#exchanges,
      random: this.#options.random,
      hosts: this.#hosts,
      current: this.#serving,
      isOwnAddress: this.#isOwnAddress,
    });
  }

  #outboundListener(): OutboundListener {
    return new OutboundListener({
      reception: this.#receptions.outbound,
      acceptor: this.#outboundAcceptor(),
      warnings: this.#warnings,
      originalDestination,
      isOwnAddress: this.#isOwnAddress,
      current: () => this.#current,
    });
  }

  #createKeySources(): KeySources {
    const { clock, random, jwksAllow } = this.#options;
    // As in compiled_snapshot.ts: most proxies ask nobody for keys.
    const { KeyServer } = require("./jwt/key_server.ts") as typeof import("./jwt/key_server.ts");
    const { KeySources } = require("./jwt/key_sources.ts") as typeof import("./jwt/key_sources.ts");
    const server = new KeyServer({
      clock,
      resolve: resolveName,
      host: (address) => this.#hosts.passthrough(address),
      allowed: jwksAllow.flatMap((text) => Network.parse(text) ?? []),
    });
    return new KeySources({
      ...{ clock, random, server },
      warn: (message) => this.#warnings.say("no-keys", message),
    });
  }

  #createGateway(place: GatewayPlace): Gateway {
    const { clock, random, trustDomain, limits, credentials, tlsMaterial, warn, onShutPorts } = this.#options;
    // Here, since sidecars are many and have no such ports.
    const { Gateway } = require("./gateway.ts") as typeof import("./gateway.ts");
    return new Gateway(place, {
      clock,
      credentials,
      reception: () => new Reception(this.#gate, this.#wheel, "inbound", limits),
      context: {
        ...this.#exchanges,
        random,
        hosts: this.#hosts,
        current: this.#serving,
        isOwnAddress: this.#isOwnAddress,
      },
      trustDomain,
      peers: this.#peers,
      meshMaterial: tlsMaterial,
      warn,
      onShutPorts,
    });
  }

  #createMeshPeers(): MeshPeers {
    const { trustDomain, tlsMaterial } = this.#options;
    return new MeshPeers({
      ...{ trustDomain, tlsMaterial, peers: this.#peers, receptions: this.#receptions },
      exchanges: {
        ...this.#exchanges,
        edges: this.edges,
        calls: this.calls,
        descriptions: this.#descriptions,
        current: this.#serving,
      },
      warn: (message) => this.#warnings.say("caller-refused", message),
    });
  }

  #createDoors(): SidecarDoors {
    const { clock, trustDomain, limits, credentials, deliverTo, addresses, warn, onShutPorts } =
      this.#options;
    // As gateways: few sidecars have such ports.
    const { SidecarDoors } = require("./sidecar_doors.ts") as typeof import("./sidecar_doors.ts");
    return new SidecarDoors({
      ...{ clock, credentials, trustDomain, deliverTo, warn, onShutPorts },
      shared: addresses?.mesh.shared === true,
      peers: this.#peers,
      inbound: this.#plainCalls(this.#createMeshPeers()),
      outbound: this.#outboundAcceptor(),
      reception: (side) => new Reception(this.#gate, this.#wheel, side, limits),
    });
  }

  /** What takes plain calls to the own workload, wherever they come in. */
  #plainCalls(peers: MeshPeers) {
    return {
      warnings: this.#warnings,
      exchanges: {
        ...this.#exchanges,
        random: this.#options.random,
        hosts: this.#hosts,
        calls: this.calls,
        current: this.#serving,
      },
      current: () => this.#current,
      secure: (wire: Wire, port: number) => peers.secure(wire, port),
      termination: () => this.#doors === null ? null : this.#doors.termination,
    };
  }

  #plainInboundListener(
    { outbound, inboundPlain, mesh }: SidecarAddresses,
    peers: MeshPeers,
  ): PlainInboundListener {
    const ports = [outbound.port, inboundPlain.port, mesh.port, PORTS.admin, PORTS.health, PORTS.metrics];
    return new PlainInboundListener({
      ...this.#plainCalls(peers),
      reception: () => new Reception(this.#gate, this.#wheel, "inbound", this.#options.limits),
      originalDestination,
      ownPorts: new Set(ports),
    });
  }

  /** Whether a connection to there would come out at a listener of this proxy. */
  readonly #isOwnAddress = (hostname: string, port: number): boolean => {
    const addresses = Object.values(this.#options.addresses ?? {}) as readonly ListenAddress[];
    const { address: here = null, doors = [] } = this.#current?.settings ?? {};
    const isHere = (own: { readonly hostname: string; readonly port: number }) =>
      port === own.port && (hostname === here || leadsTo(hostname, own.hostname));
    return addresses.some(isHere) || doors.some(({ bind, port }) => isHere({ hostname: bind, port }));
  };
}

/** Whether the sidecar has ports, or shows certificates, that a Sidecar resource asks for. */
function wantsDoors({ settings: { doors = [], inbound } }: CompiledSnapshot): boolean {
  return doors.length > 0 || inbound.some(({ tls }) => tls !== undefined);
}

/** In the order in which they drain. */
export const SIDES = ["inbound", "outbound"] as const;

/** How often a drain looks whether everything is over. */
const DRAIN_LOOK_MS = 50;

/** Whether a connection to the host comes out at the own address; `0.0.0.0` is every address of the machine. */
function leadsTo(hostname: string, own: string): boolean {
  if (hostname === own) return true;
  const loopback = hostname === "localhost" || hostname === "::1" || hostname.startsWith("127.");
  return loopback && (own === "0.0.0.0" || (own === "127.0.0.1" && hostname === "localhost"));
}
