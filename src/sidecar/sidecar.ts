/**
 * The sidecar as a whole: joins, keeps its certificate fresh, subscribes, runs the proxy, reports. Once it has served, it
 * needs nobody: without the control plane it goes on, and starts, from what is on its disk.
 */
import { certificateInfo } from "../identity/certificate_info.ts";
import type { Clock } from "../lib/clock.ts";
import { messageOf } from "../lib/message_of.ts";
import type { Random } from "../lib/prng.ts";
import { TimerWheel } from "../lib/timer_wheel.ts";
import { ADMIN_SOCKET } from "../model/admin.ts";
import { DISCOVERY_PROTOCOL } from "../model/discovery.ts";
import type { Limits } from "../model/limits.ts";
import { PORTS } from "../model/ports.ts";
import type { ProxySettings, Snapshot } from "../model/snapshot.ts";
import { LATE_CALLS_MS } from "../proxy/proxy.ts";
import { claimSocket } from "../runtime/claim_socket.ts";
import { prepareDataDirectory } from "../runtime/data_directory.ts";
import type { HttpServer } from "../runtime/http_server.ts";
import { type PrivateFiles, privateFiles } from "../runtime/private_files.ts";
import { connect } from "../runtime/socket.ts";
import { certificateSamples } from "../telemetry/certificate_samples.ts";
import type { Sample } from "../telemetry/prometheus_text.ts";
import type { Log } from "../telemetry/log.ts";
import { CertificateKeeper } from "./certificate_keeper.ts";
import { ControlClient } from "./control_client.ts";
import { createDataPlane } from "./create_data_plane.ts";
import type { DataPlane } from "./data_plane.ts";
import { DiscoveryClient } from "./discovery_client.ts";
import { IdentitySaver, type SidecarIdentity } from "./identity_state.ts";
import { Joining, type PlatformTrust } from "./joining.ts";
import { createCheck } from "./probe/check.ts";
import { HealthProber } from "./probe/health_prober.ts";
import { healthSamples } from "./probe/health_samples.ts";
import { TapReporter } from "./tap_reporter.ts";
import { Reporter } from "./reporter.ts";
import { refusalSamples } from "./refusal_samples.ts";
import { workerSamples } from "./workers/worker_samples.ts";
import { SnapshotStore } from "./snapshot_store.ts";
import { serveStatus } from "./status_server.ts";

const ANY_ADDRESS = "0.0.0.0";
const LOOPBACK = "127.0.0.1";

/** Before what is in flight drains, others are given this long to hear that they must call elsewhere (Istio's MINIMUM_DRAIN_DURATION). */
const LEAVE_MS = 5_000;

/** When it has drained, what was counted is told, if the control plane takes it within this time. */
const LAST_REPORT_MS = 3_000;

/** That, and everything closes: no more than this. */
const CLOSE_MS = 5_000;

export interface SidecarOptions {
  /** A gateway has no workload of its own: it serves the Gateways that select it. */
  readonly role: "sidecar" | "gateway";
  readonly dataDirectory: string;
  /** Holds the join token; needed until the sidecar has joined once. */
  readonly tokenFile: string | undefined;
  /** Instead of a join token; undefined: no platform vouches for the workload. */
  readonly platform: PlatformTrust | undefined;
  /** `HOST:PORT`, instead of the address in the token. */
  readonly controlPlane: string | undefined;
  /** Moves all listeners to one address; undefined: the mesh port to all, the others to loopback. */
  readonly bind: string | undefined;
  /** Where others reach the workload; undefined: `bind`, else where its connection to the control plane comes from. */
  readonly address: string | undefined;
  /** Directory of the credentials that Gateways and DestinationRules name, each in a directory of its name. */
  readonly credentials: string | undefined;
  /** Processes that carry requests; 1 is this one alone. */
  readonly workers: number;
  readonly limits: Limits;
  /** Networks where keys of tokens may be asked for although they are refused otherwise. */
  readonly jwksAllow: readonly string[];
  /** The program's version. */
  readonly version: string;
  /** Its doors are open; the first time it may still wait for a certificate. */
  onListening(sidecar: Sidecar): void;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export class Sidecar {
  readonly #options: SidecarOptions;
  /** Gives the data directory back. */
  readonly #release: () => void;
  readonly #files: PrivateFiles = privateFiles;
  readonly #wheel: TimerWheel;
  readonly #snapshots: SnapshotStore;
  readonly #prober: HealthProber;
  #plane: DataPlane | null = null;
  #servers: HttpServer[] = [];
  #keeper: CertificateKeeper | null = null;
  #discovery: DiscoveryClient | null = null;
  #reporter: Reporter | null = null;
  #snapshot: Snapshot | null = null;
  /** Its serial number. */
  #certificateOnDisk = "";
  #stopping = false;

  private constructor(options: SidecarOptions, release: () => void) {
    this.#options = options;
    this.#release = release;
    const { dataDirectory: directory, clock, log, bind } = options;
    this.#wheel = new TimerWheel(clock);
    this.#snapshots = new SnapshotStore({ directory, files: this.#files, clock, log });
    this.#prober = new HealthProber({
      clock,
      log,
      check: createCheck({ workloadAddress: bind ?? LOOPBACK, clock, wheel: this.#wheel }),
      onChange: (health) => this.#discovery?.tellHealth(health),
    });
  }

  /**
   * Resolves when the sidecar has an identity and its doors are open; it may still wait for its first snapshot. A
   * control plane that cannot be reached is tried again for ever. Throws JoinError, EnrolmentRefused, ListenError,
   * FileError, IdentityStateError.
   */
  static async start(options: SidecarOptions): Promise<Sidecar> {
    await prepareDataDirectory(options.dataDirectory);
    const release = await claimSocket(`${options.dataDirectory}/${ADMIN_SOCKET}`);
    const sidecar = new Sidecar(options, release);
    try {
      await sidecar.#start();
      return sidecar;
    } catch (error) {
      await sidecar.#close();
      throw error;
    }
  }

  /**
   * Has the mesh call elsewhere, while everything goes on; then lets what is in flight end, tells what was counted, and
   * closes.
   */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#prober.stop();
    await this.#discovery?.leave(LEAVE_MS);
    await this.#plane?.drain(this.#options.limits.drainMs);
    await this.#reporter?.finish(LAST_REPORT_MS);
    await this.#close();
  }

  /** The longest that stop() takes. */
  get stopMs(): number {
    return LEAVE_MS + this.#options.limits.drainMs + LATE_CALLS_MS + CLOSE_MS;
  }

  /** Why it does not serve; null when it does. */
  notReady(): string | null {
    if (this.#stopping) return "draining";
    if (this.#keeper === null) return "waiting for a certificate";
    if (this.#keeper.notAfterMs <= this.#options.clock.now()) return "the certificate has expired";
    if (this.#discovery?.refusal === "certificate_revoked") return "the certificate was revoked";
    if (this.#snapshot === null) return "waiting for a snapshot";
    return this.isAlive() ? null : "no worker serves";
  }

  /** False once it served and no process of its own does any more. */
  isAlive(): boolean {
    return this.#snapshot === null || this.#plane?.workers.serving !== 0;
  }

  async #start(): Promise<void> {
    const { dataDirectory } = this.#options;
    const joining = await this.#openJoining();
    const plane = this.#plane = this.#createPlane(joining.trustDomain);
    let identity = joining.usable();
    // After a restart callers are served from the first connection on, and none is turned away.
    let client = identity && await this.#serveAs(identity, plane, joining);
    plane.listen();
    this.#servers = await serveStatus(this.#options.bind ?? LOOPBACK, dataDirectory, this.#wheel, {
      edges: plane.edges,
      collect: () => plane.collect(),
      notReady: () => this.notReady(),
      snapshot: () => this.#snapshot,
      samples: () => this.#samples(),
    });
    this.#options.onListening(this);
    identity ??= await joining.join();
    client ??= await this.#serveAs(identity, plane, joining);
    this.#keeper?.start();
    this.#subscribe(client, identity, plane);
  }

  async #openJoining(): Promise<Joining> {
    const { dataDirectory, tokenFile, platform, controlPlane, clock, random, log } = this.#options;
    return await Joining.open({
      ...{ dataDirectory, tokenFile, platform, controlPlane, clock, random, log },
      files: this.#files,
      wheel: this.#wheel,
      client: (address, trustDomain, roots) =>
        this.#client(address, trustDomain, () => ({ chain: "", key: "", roots })),
      isStopping: () => this.#stopping,
    });
  }

  /** Has an identity from now on, and serves by what is on disk. Returns the line to the control plane. */
  async #serveAs(identity: SidecarIdentity, plane: DataPlane, joining: Joining): Promise<ControlClient> {
    const { dataDirectory, clock, random, log } = this.#options;
    const client = this.#client(identity.controlPlane, identity.trustDomain, () => this.#identity);
    plane.useIdentity(identity);
    const saver = new IdentitySaver(dataDirectory, this.#files);
    const kept = ({ chain }: SidecarIdentity) => this.#certificateOnDisk = certificateInfo(chain).serial;
    kept(identity);
    const save = async (renewed: SidecarIdentity) => {
      plane.useIdentity(renewed);
      client.reconnect();
      await saver.save(renewed);
      this.#discovery?.tellCertificate(kept(renewed));
    };
    const rejoin = (expired: SidecarIdentity) => joining.rejoin(expired);
    this.#keeper = new CertificateKeeper({ clock, random, log, client, rejoin, save }, identity);
    await this.#serveFromDisk(plane);
    return client;
  }

  get #identity(): SidecarIdentity {
    return (this.#keeper as CertificateKeeper).identity;
  }

  #createPlane(trustDomain: string): DataPlane {
    const { clock, random, log, bind, workers, limits, jwksAllow, role, credentials = null } = this.#options;
    const settings = {
      trustDomain,
      gateway: role === "sidecar" ? null : { hostname: bind ?? ANY_ADDRESS, shared: false },
      credentials,
      addresses: role === "gateway" ? null : {
        outbound: { hostname: bind ?? LOOPBACK, port: PORTS.outbound },
        inboundPlain: { hostname: bind ?? ANY_ADDRESS, port: PORTS.inboundPlain },
        mesh: { hostname: bind ?? ANY_ADDRESS, port: PORTS.mesh },
      },
      deliverTo: bind ?? LOOPBACK,
      limits,
      jwksAllow,
    };
    const onShutPorts = () => this.#discovery?.tellPorts(this.#plane?.shutPorts ?? []);
    return createDataPlane({ workers, settings, clock, random, log, onShutPorts });
  }

  async #serveFromDisk(plane: DataPlane): Promise<void> {
    const { log } = this.#options;
    const stored = await this.#snapshots.load();
    if (stored === undefined) return;
    try {
      await plane.apply(stored);
      this.#useSnapshot(stored);
      log.info("Serving the snapshot on disk until the control plane says otherwise", {
        resources: stored.size,
      });
    } catch (error) {
      log.warn("Cannot use the snapshot on disk; waiting for the control plane", {
        reason: messageOf(error),
      });
    }
  }

  #subscribe(client: ControlClient, identity: SidecarIdentity, plane: DataPlane): void {
    const { clock, random, log, role, version, address, bind } = this.#options;
    const hello = {
      type: "hello",
      protocol: DISCOVERY_PROTOCOL,
      version,
      role,
      workload: identity.workload,
      // Empty: the control plane takes the address that it sees.
      address: address ?? bind ?? "",
      meshPort: PORTS.mesh,
      followsTrust: true,
    } as const;
    const apply = async (snapshot: Snapshot) => {
      const { trust } = snapshot.get("proxy/self")?.body as ProxySettings;
      // Before the ACK, which says that others with certificates of these roots will be let in.
      if (trust !== undefined) await this.#keeper?.useTrust(trust);
      await plane.apply(snapshot);
      if (this.#snapshot === null) log.info(`The ${role} is ready`, { workload: identity.workload });
      this.#useSnapshot(snapshot);
      this.#snapshots.save(snapshot);
    };
    const certificate = () => this.#certificateOnDisk;
    const health = () => this.#prober.health;
    const shutPorts = () => plane.shutPorts;
    const { workload } = identity;
    const tap = new TapReporter({ clock, client, workload, plane });
    this.#discovery = new DiscoveryClient(
      {
        client,
        clock,
        random,
        log,
        hello,
        certificate,
        health,
        shutPorts,
        onTap: (leaseMs) => tap.open(leaseMs),
        apply,
      },
      this.#snapshot ?? new Map(),
    );
    this.#discovery.start();
    this.#reporter = new Reporter({ clock, log, client, workload, edges: plane.edges, calls: plane.calls });
    this.#reporter.start();
  }

  /** It serves. */
  #useSnapshot(snapshot: Snapshot): void {
    this.#snapshot = snapshot;
    const self = snapshot.get("proxy/self")?.body as ProxySettings | undefined;
    this.#prober.use(self?.probe ?? null);
  }

  #client(
    address: string,
    trustDomain: string,
    tlsMaterial: () => { chain: string; key: string; roots: string },
  ): ControlClient {
    const { clock, log } = this.#options;
    const warn = (message: string) => log.warn(message);
    return new ControlClient({ address, trustDomain, clock, wheel: this.#wheel, connect, tlsMaterial, warn });
  }

  // What others see.

  #samples(): Sample[] {
    const gauge = (name: string, help: string, value: number): Sample => ({
      name,
      help,
      type: "gauge",
      value,
    });
    const { clock } = this.#options;
    const samples = [
      gauge("bowline_ready", "1 when the sidecar serves.", this.notReady() === null ? 1 : 0),
      gauge(
        "bowline_downstream_connections",
        "Open connections from clients.",
        this.#plane?.connections ?? 0,
      ),
      ...(this.#plane === null ? [] : [
        ...workerSamples(this.#plane.workers),
        ...refusalSamples(this.#plane.refusals),
        ...this.#plane.decisions.samples(),
      ]),
      ...healthSamples(this.#prober),
    ];
    if (this.#keeper !== null) samples.push(...certificateSamples(this.#keeper.expiries, clock.now()));
    return samples;
  }

  async #close(): Promise<void> {
    this.#stopping = true;
    this.#prober.stop();
    this.#discovery?.stop();
    this.#reporter?.stop();
    this.#keeper?.stop();
    await this.#snapshots.flush();
    await this.#plane?.drain(0);
    await Promise.all(this.#servers.splice(0).map((server) => server.stop()));
    this.#release();
  }
}
