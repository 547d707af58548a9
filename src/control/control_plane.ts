/**
 * The control plane as a whole: configuration from files, the certificate authority, discovery, telemetry, and the three
 * doors: port 15012 for proxies, 15014 for whoever reads on this machine, admin.sock for its owner.
 */
import { AuditLog } from "../citadel/audit_log.ts";
import { Citadel } from "../citadel/citadel.ts";
import type { ConfigStore } from "../config/config_store.ts";
import type { ResourceSet } from "../config/resource.ts";
import type { PlatformEnrolment } from "../citadel/platform/platform_enrolment.ts";
import { formatAuthority } from "../lib/authority.ts";
import type { Clock } from "../lib/clock.ts";
import type { Random } from "../lib/prng.ts";
import { TimerWheel } from "../lib/timer_wheel.ts";
import { CallStore } from "../mixer/call_store.ts";
import { TelemetryStore } from "../mixer/telemetry_store.ts";
import { ADMIN_SOCKET } from "../model/admin.ts";
import { PORTS } from "../model/ports.ts";
import { workloadKey } from "../model/workload.ts";
import { DiscoveryServer } from "../pilot/discovery/discovery_server.ts";
import { WorkloadRegistry } from "../pilot/registry.ts";
import { StatusPort } from "../proxy/status_port.ts";
import { certificateExpiries, type CertificateExpiry } from "../identity/certificate_expiries.ts";
import { prepareDataDirectory } from "../runtime/data_directory.ts";
import { claimSocket } from "../runtime/claim_socket.ts";
import { type HttpServer, serveHttp } from "../runtime/http_server.ts";
import { primaryAddress } from "../runtime/network.ts";
import { privateFiles } from "../runtime/private_files.ts";
import type { Log } from "../telemetry/log.ts";
import { createAdminApi } from "./doors/admin_api.ts";
import { CertificateWatch } from "./certificate_watch.ts";
import { ConfigSource } from "./config_source.ts";
import { EnrolmentRules } from "./enrolment_rules.ts";
import { MtlsEndpoint } from "./doors/mtls_endpoint.ts";
import { OwnCertificateKeeper } from "./own_certificate.ts";
import { createPolicyApi } from "./doors/policy_api.ts";
import { createPlatformEnrolment } from "./platform_enrolment.ts";
import { createProxyApi } from "./doors/proxy_api.ts";
import { createRolloverApi } from "./doors/rollover_api.ts";
import { RolloverWatch } from "./rollover_watch.ts";
import { createTapApi } from "./doors/tap_api.ts";
import { TapHub } from "./tap_hub.ts";
import { createStatusApi, notReady } from "./doors/status_api.ts";

const ANY_ADDRESS = "0.0.0.0";
const LOOPBACK = "127.0.0.1";

/** How long after a certificate was issued those that have expired are forgotten. */
const ENROLLED_EXPIRY_MS = 60_000;

export interface ControlPlaneOptions {
  readonly configPath: string;
  readonly dataDirectory: string;
  readonly trustDomain: string;
  /** Directory of a CA that the operator plugs in; undefined: one of its own. */
  readonly pluggedCaDirectory: string | undefined;
  /** Life of the certificates that it issues, milliseconds; undefined: LEAF_LIFE_DEFAULT_MS. */
  readonly leafLifeMs: number | undefined;
  /** How long after it has expired a certificate's key still lets its workload in, milliseconds; undefined: REJOIN_GRACE_DEFAULT_MS. */
  readonly rejoinGraceMs: number | undefined;
  /** File of the platforms that vouch for workloads; undefined: none does. */
  readonly enrolmentFile: string | undefined;
  /** Moves all listeners to one address; undefined: 15012 to all, 15014 to loopback. */
  readonly bind: string | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** What stands before the doors open. */
interface Parts {
  readonly citadel: Citadel;
  readonly audit: AuditLog;
  readonly certificate: OwnCertificateKeeper;
  readonly store: TelemetryStore;
  readonly calls: CallStore;
  readonly tap: TapHub;
  readonly rollover: RolloverWatch;
}

export class ControlPlane {
  readonly #options: ControlPlaneOptions;
  readonly #source: ConfigSource;
  readonly #registry: WorkloadRegistry;
  readonly #discovery: DiscoveryServer;
  readonly #servers: HttpServer[] = [];
  /** Gives the data directory back. */
  readonly #release: () => void;
  #endpoint: MtlsEndpoint | null = null;
  #citadel: Citadel | null = null;
  #watch: CertificateWatch | null = null;
  #enrolmentRules: EnrolmentRules | null = null;
  #tap: TapHub | null = null;
  #rollover: RolloverWatch | null = null;
  #certificate: OwnCertificateKeeper | null = null;
  #cancelExpiry: (() => void) | null = null;

  private constructor(options: ControlPlaneOptions, release: () => void) {
    this.#options = options;
    this.#release = release;
    const { clock, trustDomain } = options;
    this.#registry = new WorkloadRegistry({
      clock,
      trustDomain,
      groupOf: (workload) => this.#citadel?.groupOf(workload),
    });
    this.#discovery = new DiscoveryServer({ registry: this.#registry, clock, trustDomain });
    const { configPath: path, dataDirectory, log } = options;
    this.#source = new ConfigSource({ path, dataDirectory, trustDomain, clock, log });
    this.#source.store.onGeneration(({ resources }) => this.#discovery.update(resources));
  }

  /** Starts everything or nothing. Throws FileError, CitadelError, NoConfigError, EnrolmentFileError, ListenError. */
  static async start(options: ControlPlaneOptions): Promise<ControlPlane> {
    await prepareDataDirectory(options.dataDirectory);
    // The books are one process's: two would write over each other's.
    const release = await claimSocket(`${options.dataDirectory}/${ADMIN_SOCKET}`);
    const controlPlane = new ControlPlane(options, release);
    try {
      await controlPlane.#start();
      return controlPlane;
    } catch (error) {
      await controlPlane.stop();
      throw error;
    }
  }

  /** Closes the doors and ends all streams; proxies go on with what they have. */
  async stop(): Promise<void> {
    this.#certificate?.stop();
    this.#rollover?.stop();
    this.#cancelExpiry?.();
    this.#watch?.stop();
    this.#enrolmentRules?.close();
    this.#tap?.close();
    this.#source.close();
    this.#discovery.close();
    this.#registry.close();
    this.#endpoint?.close();
    await Promise.all(this.#servers.splice(0).map((server) => server.stop()));
    this.#release();
  }

  /** Why it serves nobody, as `/readyz` says it; null when it serves. */
  notReady(): string | null {
    const { clock } = this.#options;
    return notReady({ clock, config: this.#source.store, expiries: () => this.#expiries() });
  }

  /** When the control plane's own certificate ends, and those above it. */
  #expiries(): readonly CertificateExpiry[] {
    const current = this.#certificate?.current;
    return current === undefined ? [] : certificateExpiries(current.chain, current.roots);
  }

  async #start(): Promise<void> {
    const { clock, random, log } = this.#options;
    const citadel = this.#citadel = await this.#openCitadel();
    const audit = await AuditLog.open(citadel.directory, privateFiles, clock);
    // Before anybody connects: no workload that has a sidecar may be called in plain text, not even for a moment.
    this.#registry.setEnrolled(citadel.enrolledWorkloads());
    this.#discovery.setRevoked(citadel.revokedSerials(), citadel.revokedIds());
    this.#discovery.setTrust(citadel.trust);
    await this.#source.start();
    const certificate = this.#certificate = await OwnCertificateKeeper.start({ citadel, clock, random, log });
    const tap = this.#tap = new TapHub({
      clock,
      ask: (workload, leaseMs) => this.#discovery.openTap(workload, leaseMs),
    });
    const follow = () => certificate.follow();
    this.#rollover = new RolloverWatch({
      ...{ citadel, discovery: this.#discovery, clock, log, follow },
      cutOthers: (trusted) => this.#endpoint?.cut(({ signer }) => signer !== trusted),
    });
    this.#rollover.start();
    this.#watch = new CertificateWatch({ certificates: () => citadel.certificates(), clock, log });
    this.#watch.start();
    const store = new TelemetryStore(clock);
    const parts = {
      citadel,
      audit,
      certificate,
      store,
      calls: new CallStore(),
      tap,
      rollover: this.#rollover,
    };
    const proxies = await this.#openToProxies(parts);
    const api = await this.#openToOperators(parts, proxies);
    log.info("The control plane is ready", { proxies, api });
  }

  async #openCitadel(): Promise<Citadel> {
    const { dataDirectory, trustDomain, leafLifeMs, rejoinGraceMs, clock, log } = this.#options;
    const citadel = await Citadel.open({
      dataDirectory,
      trustDomain,
      pluggedDirectory: this.#options.pluggedCaDirectory,
      leafLifeMs,
      rejoinGraceMs,
      clock,
      files: privateFiles,
    });
    if (citadel.tornLogLines > 0) {
      log.warn("The issuance log has lines cut off", { lines: citadel.tornLogLines });
    }
    if (citadel.hasLostLog) {
      log.warn("The issuance log is gone: workloads that joined before must join again", {
        directory: citadel.directory,
      });
    }
    return citadel;
  }

  /** Port 15012. Returns where proxies find it: `HOST:PORT`. */
  async #openToProxies({ citadel, audit, certificate, store, calls, tap }: Parts): Promise<string> {
    const { trustDomain, clock, bind, log } = this.#options;
    this.#endpoint = new MtlsEndpoint({
      address: { hostname: bind ?? ANY_ADDRESS, port: PORTS.controlPlane },
      clock,
      trustDomain,
      tlsMaterial: () => certificate.current,
      warn: (message) => log.warn(message),
      ...createProxyApi({
        citadel,
        audit,
        platform: await this.#platform(citadel),
        discovery: this.#discovery,
        store,
        calls,
        tap,
        clock,
        log,
        onEnrolled: (workload) => {
          this.#registry.addEnrolled(workload);
          this.#expireEnrolled(citadel);
        },
      }),
    });
    return formatAuthority({ hostname: bind ?? primaryAddress() ?? LOOPBACK, port: PORTS.controlPlane });
  }

  /** admin.sock and port 15014. Returns the address of that. */
  async #openToOperators(parts: Parts, advertised: string): Promise<string> {
    const { citadel, audit, store, calls, tap, rollover } = parts;
    const { dataDirectory, trustDomain, clock, bind, log } = this.#options;
    const discovery = this.#discovery;
    const registry = this.#registry;
    const config = this.#source.store;
    const status = createStatusApi({
      clock,
      expiries: () => this.#expiries(),
      roots: () => citadel.trust.roots,
      crl: () => citadel.crl(),
      config,
      discovery,
      store,
    });
    const known = () => new Set([...registry.workloads().map(workloadKey), ...citadel.enrolledWorkloads()]);
    const admin = createAdminApi({
      citadel,
      audit,
      registry,
      log,
      advertised,
      status,
      tap: createTapApi({
        hub: tap,
        known,
        isConnected: (workload) => discovery.isConnected(workload),
      }),
      rollover: createRolloverApi({ citadel, audit, watch: rollover }),
      policies: createPolicyApi({
        calls,
        registry,
        trustDomain,
        sinceMs: clock.now(),
        known,
        resources: () => this.#resources(config),
      }),
      onRevoked: () => this.#shutOutRevoked(citadel),
    });
    const unixPath = `${dataDirectory}/${ADMIN_SOCKET}`;
    this.#servers.push(await serveHttp({ unixPath }, (request) => admin.fetch(request)));
    // Last: whoever hears there that it is ready asks for tokens next.
    const statusAddress = { hostname: bind ?? LOOPBACK, port: PORTS.controlPlaneApi };
    this.#servers.push(
      new StatusPort(statusAddress, new TimerWheel(clock), (request) => status.fetch(request)),
    );
    return formatAuthority(statusAddress);
  }

  /** Tells all proxies, and ends what these certificates have opened here. */
  #shutOutRevoked(citadel: Citadel): void {
    this.#discovery.setRevoked(citadel.revokedSerials(), citadel.revokedIds());
    const endedBy = new Map(citadel.revokedIds().map((each) => [each.spiffeId, each.endedByMs]));
    this.#endpoint?.cut(({ serial, spiffeId, notAfterMs }) =>
      citadel.isRevoked(serial) || notAfterMs <= (endedBy.get(spiffeId) ?? -Infinity)
    );
  }

  /** The source has started, so that something serves. */
  #resources({ current }: ConfigStore): ResourceSet {
    if (current === null) throw new Error("Unreachable: the control plane serves without a configuration");
    return current.resources;
  }

  /** Null when no platform vouches for anybody. Throws EnrolmentFileError. */
  async #platform(citadel: Citadel): Promise<PlatformEnrolment | null> {
    const { enrolmentFile: path, clock, log } = this.#options;
    if (path === undefined) return null;
    const platform = await createPlatformEnrolment({
      ...{ citadel, registry: this.#registry, clock, enrolmentFile: path },
    });
    this.#enrolmentRules = EnrolmentRules.start({
      path,
      clock,
      log,
      use: (issuers) => platform.use(issuers),
    });
    return platform;
  }

  /** Some time after a certificate was issued, not after each: it looks at all of them. */
  #expireEnrolled(citadel: Citadel): void {
    this.#cancelExpiry ??= this.#options.clock.after(ENROLLED_EXPIRY_MS, () => {
      this.#cancelExpiry = null;
      this.#registry.setEnrolled(citadel.enrolledWorkloads());
    });
  }
}
