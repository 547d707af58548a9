/** What a proxy is made of, and how it is put together. What becomes of it in time stands in proxy.ts. */
import { Network } from "../lib/ip.ts";
import { TimerWheel } from "../lib/timer_wheel.ts";
import { PORTS } from "../model/ports.ts";
import { resolveName } from "../runtime/dns.ts";
import { originalDestination } from "../runtime/original_destination.ts";
import { boundReceiveBuffer } from "../runtime/receive_buffer.ts";
import { connect } from "../runtime/socket.ts";
import type { Wire } from "../runtime/wire.ts";
import { setTcpKeepalive } from "../runtime/tcp_keepalive.ts";
import { CallRecorder } from "../telemetry/call_recorder.ts";
import { EdgeRegistry } from "../telemetry/edge_metrics.ts";
import { LimitedWarnings } from "../telemetry/limited_warnings.ts";
import { BoundedConnect } from "./cluster/bounded_connect.ts";
import { NameCache } from "./cluster/dns/name_cache.ts";
import type { ConnectWarning } from "./cluster/connect_attempt.ts";
import { HostTable } from "./cluster/host_table.ts";
import { TlsFiles } from "./cluster/tls_files.ts";
import type { CompiledSnapshot } from "./compiled_snapshot.ts";
import { connectionTerms } from "./connection_terms.ts";
import { type ExchangeContext, exchangeContext } from "./filters/exchange_context.ts";
import { InFlight } from "./filters/in_flight.ts";
import { OutboundAcceptor } from "./filters/outbound.ts";
import type { Gateway, GatewayPlace } from "./gateway.ts";
import type { KeySources } from "./jwt/key_sources.ts";
import { ConnectionGate, type Side } from "./listener/connection_gate.ts";
import { MeshPeers } from "./listener/mesh_peers.ts";
import { type ListenerWarning, OutboundListener } from "./listener/outbound_listener.ts";
import { PlainInboundListener } from "./listener/plain_inbound_listener.ts";
import { Reception } from "./listener/reception.ts";
import { PeerDescriptions } from "./mesh_headers.ts";
import { meshHopLimits } from "./mesh_hop.ts";
import { isOwnAddress } from "./own_addresses.ts";
import { PeerCertificates } from "./peer_certificates.ts";
import type { ProxyOptions, SidecarAddresses } from "./proxy_options.ts";
import type { SidecarDoors } from "./sidecar_doors.ts";

/** What anybody can make the proxy say as often as they like: each kind is said at most once in a while. */
type ProxyWarning = ListenerWarning | ConnectWarning | "caller-refused" | "no-keys";

export class ProxyParts {
  /** What is served by; null before the first snapshot. */
  current: CompiledSnapshot | null = null;
  /** Null until a Sidecar asks for ports or TLS of its own. */
  doors: SidecarDoors | null = null;
  readonly edges = new EdgeRegistry();
  /** What came to the own workload. */
  readonly calls = new CallRecorder();
  readonly wheel: TimerWheel;
  readonly hosts: HostTable;
  readonly gate: ConnectionGate;
  readonly receptions: Readonly<Record<Side | "mesh", Reception>>;
  readonly upstream: BoundedConnect;
  readonly peers = new PeerCertificates();
  readonly inFlight: InFlight;
  readonly exchanges: ExchangeContext;
  readonly names: NameCache;
  readonly #options: ProxyOptions;
  readonly #warnings: LimitedWarnings<ProxyWarning>;
  readonly #descriptions = new PeerDescriptions();

  constructor(options: ProxyOptions) {
    const { clock, caps, limits, warn } = options;
    this.#options = options;
    this.wheel = new TimerWheel(clock);
    this.gate = new ConnectionGate(caps, clock);
    this.receptions = {
      inbound: new Reception(this.gate, this.wheel, "inbound", limits),
      mesh: new Reception(this.gate, this.wheel, "inbound", meshHopLimits(limits)),
      outbound: new Reception(this.gate, this.wheel, "outbound", limits),
    };
    this.#warnings = new LimitedWarnings(clock, warn);
    this.upstream = new BoundedConnect(connect, caps);
    this.inFlight = new InFlight(caps.requests);
    this.exchanges = exchangeContext(clock, this.inFlight, limits);
    this.names = new NameCache({
      ...{ clock, warn, wheel: this.wheel, resolve: resolveName },
      onChange: (name) => this.#onNameChange(name),
    });
    this.hosts = new HostTable({
      clock,
      wheel: this.wheel,
      terms: connectionTerms({}, limits),
      trustDomain: options.trustDomain,
      connect: this.upstream.connect,
      tlsMaterial: options.tlsMaterial,
      tlsFiles: new TlsFiles({ credentials: options.credentials, warn }),
      setTcpKeepalive,
      boundReceiveBuffer,
      peers: this.peers,
      warn: (message, about) => this.#warnings.say(about, message),
    });
  }

  createOutboundListener(): OutboundListener {
    return new OutboundListener({
      reception: this.receptions.outbound,
      acceptor: this.#outboundAcceptor(),
      warnings: this.#warnings,
      originalDestination,
      isOwnAddress: this.#isOwnAddress,
      current: () => this.current,
    });
  }

  createMeshPeers(): MeshPeers {
    const { trustDomain, tlsMaterial } = this.#options;
    return new MeshPeers({
      ...{ trustDomain, tlsMaterial, peers: this.peers, receptions: this.receptions },
      exchanges: {
        ...this.exchanges,
        edges: this.edges,
        calls: this.calls,
        descriptions: this.#descriptions,
        current: this.#serving,
      },
      warn: (message) => this.#warnings.say("caller-refused", message),
    });
  }

  createPlainInboundListener(
    { outbound, inboundPlain, mesh }: SidecarAddresses,
    peers: MeshPeers,
  ): PlainInboundListener {
    const ports = [outbound.port, inboundPlain.port, mesh.port, PORTS.admin, PORTS.health, PORTS.metrics];
    return new PlainInboundListener({
      ...this.#plainCalls(peers),
      reception: () => new Reception(this.gate, this.wheel, "inbound", this.#options.limits),
      originalDestination,
      ownPorts: new Set(ports),
    });
  }

  createKeySources(): KeySources {
    const { clock, random, jwksAllow, info } = this.#options;
    // As in compile_snapshot.ts: most proxies ask nobody for keys.
    const { KeyServer } = require("./jwt/key_server.ts") as typeof import("./jwt/key_server.ts");
    const { KeySources } = require("./jwt/key_sources.ts") as typeof import("./jwt/key_sources.ts");
    const server = new KeyServer({
      clock,
      resolve: resolveName,
      host: (address) => this.hosts.passthrough(address),
      allowed: jwksAllow.flatMap((text) => Network.parse(text) ?? []),
    });
    return new KeySources({
      ...{ clock, random, server, info },
      warn: (message) => this.#warnings.say("no-keys", message),
    });
  }

  createGateway(place: GatewayPlace): Gateway {
    const { clock, random, trustDomain, limits, credentials, tlsMaterial, warn, onShutPorts } = this.#options;
    const { servesSockets = true } = this.#options;
    // Here, since sidecars are many and have no such ports.
    const { Gateway } = require("./gateway.ts") as typeof import("./gateway.ts");
    return new Gateway(place, {
      servesSockets,
      clock,
      credentials,
      reception: () => new Reception(this.gate, this.wheel, "inbound", limits),
      context: {
        ...this.exchanges,
        random,
        hosts: this.hosts,
        current: this.#serving,
        isOwnAddress: this.#isOwnAddress,
      },
      trustDomain,
      peers: this.peers,
      meshMaterial: tlsMaterial,
      warn,
      onShutPorts,
    });
  }

  createDoors(): SidecarDoors {
    const { clock, trustDomain, limits, credentials, deliverTo, addresses, servesSockets = true } =
      this.#options;
    const { warn, onShutPorts } = this.#options;
    // As gateways: few sidecars have such ports.
    const { SidecarDoors } = require("./sidecar_doors.ts") as typeof import("./sidecar_doors.ts");
    return new SidecarDoors({
      ...{ clock, credentials, trustDomain, deliverTo, warn, onShutPorts },
      shared: addresses?.mesh.shared === true,
      servesSockets,
      peers: this.peers,
      inbound: this.#plainCalls(this.createMeshPeers()),
      outbound: this.#outboundAcceptor(),
      reception: (side) => new Reception(this.gate, this.wheel, side, limits),
    });
  }

  #outboundAcceptor(): OutboundAcceptor {
    return new OutboundAcceptor({
      ...this.exchanges,
      random: this.#options.random,
      hosts: this.hosts,
      current: this.#serving,
      isOwnAddress: this.#isOwnAddress,
    });
  }

  /** What takes plain calls to the own workload, wherever they come in. */
  #plainCalls(peers: MeshPeers) {
    return {
      warnings: this.#warnings,
      exchanges: {
        ...this.exchanges,
        random: this.#options.random,
        hosts: this.hosts,
        calls: this.calls,
        current: this.#serving,
      },
      current: () => this.current,
      secure: (wire: Wire, port: number) => peers.secure(wire, port),
      termination: () => this.doors === null ? null : this.doors.termination,
    };
  }

  #onNameChange(name: string): void {
    const { current } = this;
    if (current !== null && current.onNameChange(name)) this.hosts.retain(current.hosts);
  }

  readonly #serving = (): CompiledSnapshot => {
    if (this.current === null) throw new Error("The proxy listens before it has a snapshot");
    return this.current;
  };

  readonly #isOwnAddress = (hostname: string, port: number): boolean =>
    isOwnAddress(hostname, port, this.#options.addresses, this.current);
}
