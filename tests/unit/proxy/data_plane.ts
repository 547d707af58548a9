/** A data plane without sockets, for tests: the acceptors on compiled snapshots, clients before them, upstreams behind. */
import { ManualClock } from "../../../src/lib/clock.ts";
import { Prng } from "../../../src/lib/prng.ts";
import { TimerWheel } from "../../../src/lib/timer_wheel.ts";
import { doorName, type SidecarDoor } from "../../../src/model/sidecar_door.ts";
import { type Cluster, clusterName, type Endpoint } from "../../../src/model/cluster.ts";
import {
  type Listener,
  type ProxySettings,
  type Resource,
  resourceKey,
  type Snapshot,
  type VirtualHost,
} from "../../../src/model/snapshot.ts";
import type { WorkloadInfo } from "../../../src/model/call_info.ts";
import { HostTable } from "../../../src/proxy/cluster/host_table.ts";
import { TlsFiles } from "../../../src/proxy/cluster/tls_files.ts";
import { compileSnapshot } from "../../../src/proxy/compile_snapshot.ts";
import type { CompiledSnapshot } from "../../../src/proxy/compiled_snapshot.ts";
import type { Acceptor } from "../../../src/proxy/exchange.ts";
import { ConnectionGate } from "../../../src/proxy/listener/connection_gate.ts";
import { OutboundDoor } from "../../../src/proxy/listener/outbound_door.ts";
import { type ListenerWarning, OutboundListener } from "../../../src/proxy/listener/outbound_listener.ts";
import { PlainInboundListener } from "../../../src/proxy/listener/plain_inbound_listener.ts";
import { Reception } from "../../../src/proxy/listener/reception.ts";
import { PeerDescriptions } from "../../../src/proxy/mesh_headers.ts";
import { type ProxyCaps, proxyCaps } from "../../../src/proxy/proxy_caps.ts";
import { type Address, NOBODY, setOwner, type Wire, type WireOwner } from "../../../src/runtime/wire.ts";
import { LimitedWarnings } from "../../../src/telemetry/limited_warnings.ts";
import { exchangeContext } from "../../../src/proxy/filters/exchange_context.ts";
import { InFlight } from "../../../src/proxy/filters/in_flight.ts";
import { InboundAcceptor } from "../../../src/proxy/filters/inbound.ts";
import { OutboundAcceptor } from "../../../src/proxy/filters/outbound.ts";
import { Http1ServerConnection } from "../../../src/proxy/http1/server_connection.ts";
import { policyPeer } from "../../../src/proxy/policy/policy_call.ts";
import { CallRecorder } from "../../../src/telemetry/call_recorder.ts";
import { EdgeRegistry } from "../../../src/telemetry/edge_metrics.ts";
import { PolicyCounts } from "../../../src/telemetry/policy_counts.ts";
import { FakeNetwork } from "./fake_network.ts";
import { FakeWire, latin1, settle } from "./fake_wire.ts";

export const SHOP_ID = "spiffe://mesh.test/ns/shop/sa/shop";
export const CALLER_ID = "spiffe://mesh.test/ns/web/sa/caller";

export function workload(name: string, principal = ""): WorkloadInfo {
  return { key: `shop/${name}`, namespace: "shop", name, principal, app: name, version: "v1" };
}

export const SERVICE = { host: "shop.test", name: "shop", namespace: "shop" };

export function settings(more: Partial<ProxySettings> = {}): ProxySettings {
  return {
    kind: "proxy",
    name: "self",
    trustDomain: "mesh.test",
    workload: workload("caller", CALLER_ID),
    address: "192.0.2.1",
    outboundPolicy: "ALLOW_ANY",
    inbound: [{ port: 8080, service: SERVICE }],
    ...more,
  };
}

/** An endpoint at 192.0.2.N:8080, in plain text or behind a mesh listener. */
export function endpoint(n: number, mesh = false): Endpoint {
  return {
    address: `192.0.2.${n}`,
    port: 8080,
    weight: 1,
    workload: workload(`shop-${n}`, mesh ? SHOP_ID : ""),
    meshPort: mesh ? 15008 : null,
  };
}

export function cluster(more: Partial<Cluster> = {}): Cluster {
  const name = clusterName(80, null, SERVICE.host);
  const { host } = SERVICE;
  return {
    kind: "cluster",
    name,
    service: { ...SERVICE, host },
    subset: null,
    port: 80,
    balancer: "ROUND_ROBIN",
    connectTimeoutMs: 1_000,
    ...more,
  };
}

export function virtualHost(more: Partial<VirtualHost> = {}): VirtualHost {
  const action = { type: "forward", destinations: [{ cluster: cluster().name, weight: 1 }] } as const;
  return {
    kind: "virtualHost",
    name: "shop.test:80",
    service: SERVICE,
    port: 80,
    domains: ["shop", "shop:80"],
    routes: [{ name: null, origin: null, matches: [], action }],
    ...more,
  };
}

export function listener(more: Partial<Listener> = {}): Listener {
  return {
    kind: "listener",
    name: "shop.test:80",
    service: SERVICE,
    port: 80,
    protocol: "auto",
    addresses: ["10.96.0.1"],
    serverNames: ["shop.test", "shop"],
    routes: [{ origin: null, destinations: [{ cluster: cluster().name, weight: 1 }] }],
    ...more,
  };
}

export function snapshotOf(...resources: Resource[]): Snapshot {
  return new Map(resources.map((body) => [resourceKey(body), { version: JSON.stringify(body), body }]));
}

/** A mesh whose one service has these endpoints. */
export function shopSnapshot(...endpoints: Endpoint[]): Snapshot {
  return snapshotOf(settings(), virtualHost(), cluster(), {
    kind: "endpoints",
    name: cluster().name,
    endpoints,
  });
}

/** Requests that a data plane of the tests carries at once. */
export const IN_FLIGHT_MAX = 100;

export const CAPS: ProxyCaps = proxyCaps(1_024);

export class DataPlane {
  readonly clock = new ManualClock(Date.now());
  readonly wheel = new TimerWheel(this.clock);
  readonly network = new FakeNetwork();
  readonly edges = new EdgeRegistry();
  readonly calls = new CallRecorder();
  readonly decisions = new PolicyCounts();
  readonly warnings: string[] = [];
  readonly hosts = new HostTable({
    clock: this.clock,
    wheel: this.wheel,
    trustDomain: "mesh.test",
    connect: this.network.connect,
    tlsMaterial: () => ({ chain: "chain", key: "key", roots: "roots" }),
    tlsFiles: new TlsFiles(),
    warn: (message) => this.warnings.push(message),
  });
  /** What DNS knows. */
  readonly dns = new Map<string, readonly string[]>();
  /** Of names that DNS has not been heard about; null: nobody waits. */
  firstAnswer: Promise<void> | null = null;
  readonly random = new Prng(1);
  readonly inFlight = new InFlight(IN_FLIGHT_MAX);
  readonly descriptions = new PeerDescriptions();
  readonly exchanges = exchangeContext(this.clock, this.inFlight);
  compiled!: CompiledSnapshot;
  /** Called for each request, and for each message that is none. */
  onRequest: () => void = () => {};
  readonly #outbound = new OutboundAcceptor({
    ...this.exchanges,
    random: this.random,
    hosts: this.hosts,
    current: () => this.compiled,
    isOwnAddress,
  });
  readonly gate = new ConnectionGate(CAPS, this.clock);
  readonly #reception = new Reception(this.gate, this.wheel, "outbound");
  readonly #limited = new LimitedWarnings<ListenerWarning>(
    this.clock,
    (message) => void this.warnings.push(message),
  );

  constructor(snapshot: Snapshot) {
    this.apply(snapshot);
  }

  apply(snapshot: Snapshot): void {
    const { hosts, edges, random, clock, wheel, compiled: previous = null } = this;
    const deliverTo = "127.0.0.1";
    const names = {
      addressesOf: (name: string) => this.dns.get(name) ?? null,
      firstAnswer: () => this.firstAnswer,
    };
    this.compiled = compileSnapshot(snapshot, {
      decisions: this.decisions,
      ...{ hosts, edges, random, clock, wheel, previous, deliverTo },
      names,
    });
    hosts.retain(this.compiled.hosts);
    for (const listener of this.#plainListeners) listener.follow(this.compiled);
  }

  /** A connection that arrives at 15001: captured on its way to there, or dialled at the proxy for null. */
  arrives(destination: Address | null): Arrival {
    return new Arrival(this.outbound(destination).accept);
  }

  outbound(destination: Address | null): OutboundListener {
    return new OutboundListener({
      reception: this.#reception,
      acceptor: this.#outbound,
      warnings: this.#limited,
      originalDestination: () => destination,
      isOwnAddress,
      current: () => this.compiled,
    });
  }

  readonly #plainListeners: PlainInboundListener[] = [];

  /** Ports on the way to which mutual TLS was begun. */
  readonly secured: number[] = [];
  /** A connection that arrives at a port of the sidecar's own. */
  arrivesAt(door: SidecarDoor): Arrival {
    const { accept } = new OutboundDoor(doorName(door), {
      reception: this.#reception,
      acceptor: this.#outbound,
      destination: { hostname: door.bind, port: door.port },
      current: () => this.compiled,
    });
    return new Arrival(accept);
  }

  /** A connection that arrives at 15006. */
  arrivesPlain(destination: Address | null): Arrival {
    return new Arrival(this.plainInbound(destination).accept);
  }

  plainInbound(destination: Address | null): PlainInboundListener {
    const { random, hosts, calls } = this;
    const current = () => this.compiled;
    const listener = new PlainInboundListener({
      reception: () => new Reception(this.gate, this.wheel, "inbound"),
      warnings: this.#limited,
      originalDestination: () => destination,
      exchanges: { ...this.exchanges, random, hosts, calls, current },
      ownPorts: new Set([15001, 15006, 15008]),
      termination: () => null,
      current,
      secure: (_wire, port) => {
        this.secured.push(port);
        return NOBODY;
      },
    });
    this.#plainListeners.push(listener);
    return listener;
  }

  /** DNS says something new. */
  move(name: string, ...addresses: string[]): void {
    this.dns.set(name, addresses);
    if (this.compiled.onNameChange(name)) this.hosts.retain(this.compiled.hosts);
  }

  /** The own workload, calling out. */
  caller(): Client {
    const requests = this.#outbound.requestsOf({ destination: null, protocol: "http1" });
    return new Client(this.wheel, {
      accept: (stream, head, ended) => {
        this.onRequest();
        return requests.accept(stream, head, ended);
      },
      onMalformed: (status, details) => {
        this.onRequest();
        requests.onMalformed(status, details);
      },
    });
  }

  /** A proxy that calls in, with this identity. */
  peer(principal = CALLER_ID): Client {
    const { edges, calls, descriptions } = this;
    return new Client(
      this.wheel,
      new InboundAcceptor(
        {
          ...{ ...this.exchanges, edges, calls, descriptions, current: () => this.compiled },
          admits: () => this.#reception.admitsMore(),
          readRequests: (...them) => this.#reception.requests(...them),
        },
        policyPeer(principal, "192.0.2.9"),
        "00ff",
      ),
    );
  }

  /**
   * Every request that was counted: `STATUS FLAGS destination`, with its number when there were several; and of TCP
   * connections, for each flag that one has: `tcp FLAGS destination +OPENED -CLOSED RECEIVED/SENT`.
   */
  counted(): string[] {
    return [...this.edges.edges()].flatMap(({ series, connections, labels: { destination: { name } } }) => [
      ...series.map(({ code, flags, count }) => `${code} ${flags} ${name}${count === 1 ? "" : ` x${count}`}`),
      ...connections.map(({ flags, opened, closed, receivedBytes, sentBytes }) =>
        `tcp ${flags} ${name} +${opened} -${closed} ${receivedBytes}/${sentBytes}`
      ),
    ]).sort();
  }

  /** Requests in flight to the hosts of the snapshot. */
  get active(): number {
    return [...this.compiled.hosts].reduce((sum, { active }) => sum + active, 0);
  }
}

function isOwnAddress(hostname: string, port: number): boolean {
  return hostname === "127.0.0.1" && (port === 15001 || port === 15006);
}

/** The client's end of a connection that a listener was given. */
export class Arrival {
  readonly wire = new FakeWire();
  /** The listener took it. */
  readonly taken: boolean;

  constructor(accept: (wire: Wire) => WireOwner | null) {
    const owner = accept(this.wire);
    this.taken = owner !== null;
    if (owner !== null) setOwner(this.wire, owner);
  }

  send(...pieces: (string | Buffer)[]): void {
    for (const piece of pieces) this.#owner.onData(typeof piece === "string" ? latin1(piece) : piece);
  }

  /** The client sends no more. */
  end(): void {
    this.#owner.onEnd();
  }

  close(error?: Error): void {
    this.#owner.onClose(error);
  }

  /** What it has read since the last call. */
  async read(): Promise<string> {
    await settle();
    return this.wire.take();
  }

  get #owner(): WireOwner {
    return (this.wire as unknown as { data: WireOwner }).data;
  }
}

export class Client {
  readonly wire = new FakeWire();
  readonly connection: Http1ServerConnection;

  constructor(wheel: TimerWheel, acceptor: Acceptor) {
    this.connection = new Http1ServerConnection(this.wire, acceptor, wheel, "http", () => {});
  }

  send(...pieces: string[]): void {
    for (const piece of pieces) this.#owner.onData(latin1(piece));
  }

  get(path = "/", ...fields: string[]): void {
    this.send(`GET ${path} HTTP/1.1\r\nHost: shop\r\n${fields.map((field) => `${field}\r\n`).join("")}\r\n`);
  }

  /** What it has read since the last call. */
  async read(): Promise<string> {
    await settle();
    return this.wire.take();
  }

  /** Sends no more. */
  end(): void {
    this.#owner.onEnd();
  }

  close(): void {
    this.#owner.onClose();
  }

  /** A tunnel takes the wire over. */
  get #owner(): WireOwner {
    return this.wire.data ?? this.connection;
  }
}
