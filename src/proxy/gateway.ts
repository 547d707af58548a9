/** The gateway's half of the data plane: ports by configuration, certificates from files. */
import type { Clock } from "../lib/clock.ts";
import { isSocket } from "../model/bind.ts";
import { certificateSources } from "../model/gateway_listener.ts";
import type { ShutPort } from "../model/shut_port.ts";
import { keyKind, keyPairFault } from "../runtime/key_pair_check.ts";
import { openKeyWarning } from "../runtime/open_key.ts";
import { listenTcp } from "../runtime/socket.ts";
import type { TlsMaterial } from "../runtime/tls_options.ts";
import { readTextSync, WatchedFiles } from "../runtime/watched_files.ts";
import { LimitedWarnings } from "../telemetry/limited_warnings.ts";
import type { CompiledSnapshot } from "./compiled_snapshot.ts";
import type { GatewayContext } from "./filters/gateway.ts";
import { CertificateStore } from "./listener/certificate_store.ts";
import { Doors } from "./listener/doors.ts";
import { GatewayPort } from "./listener/gateway_port.ts";
import type { PeerCertificates } from "./peer_certificates.ts";
import type { Reception } from "./listener/reception.ts";
import { TlsTermination, type TlsWarning } from "./listener/tls_termination.ts";

/** Where a gateway stands; plain data. */
export interface GatewayPlace {
  /** Address of its ports, unless a Gateway says otherwise. */
  readonly hostname: string;
  /** Other processes have the same ports. */
  readonly shared: boolean;
}

export interface GatewayOptions {
  /** Directory of the credentials that Gateways name. */
  readonly credentials: string | null;
  /** As in ProxyOptions. */
  readonly servesSockets: boolean;
  readonly clock: Clock;
  /** One for each port, so that its connections can be told from others. */
  reception(): Reception;
  readonly context: GatewayContext;
  readonly trustDomain: string;
  readonly peers: PeerCertificates;
  /** The gateway's own certificate; null before it has joined. */
  meshMaterial(): TlsMaterial | null;
  warn(message: string): void;
  /** As in DoorsOptions. */
  onShutPorts(): void;
}

export class Gateway {
  readonly #servesSockets: boolean;
  readonly #certificates: CertificateStore;
  readonly #files: WatchedFiles;
  readonly #doors: Doors;
  #compiled: CompiledSnapshot | null = null;
  #listens = false;

  constructor(place: GatewayPlace, options: GatewayOptions) {
    const { clock, warn } = options;
    this.#servesSockets = options.servesSockets;
    this.#files = new WatchedFiles({ clock, onChange: () => this.#certificates.refresh() });
    this.#certificates = new CertificateStore({
      directory: options.credentials,
      read: readTextSync,
      check: keyPairFault,
      openKeyWarning,
      keyKind,
      watch: (paths) => this.#files.watch(paths),
      warn,
    });
    const current = () => this.#compiled;
    const termination = new TlsTermination({
      ...options,
      current,
      warnings: new LimitedWarnings<TlsWarning>(clock, warn),
      certificate: (first, other) => this.#certificates.get(first, other),
    });
    const port = { context: options.context, current, termination };
    this.#doors = new Doors({
      ...place,
      clock,
      owner: "gateway",
      listen: listenTcp,
      door: (name) => new GatewayPort(name, { ...port, reception: options.reception() }),
      warn,
      onShut: options.onShutPorts,
    });
  }

  get shutPorts(): readonly ShutPort[] {
    return this.#doors.shut;
  }

  /** Serves by a snapshot: certificates are there before the ports that show them. */
  update(compiled: CompiledSnapshot): void {
    this.#compiled = compiled;
    const listeners = [...compiled.gateway.values()].map(({ listener }) => listener);
    this.#certificates.retain(
      listeners.flatMap(({ chains }) => chains.flatMap(({ tls }) => certificateSources(tls))),
    );
    if (this.#listens) this.#open();
  }

  listen(): void {
    this.#listens = true;
    this.#open();
  }

  /** Closes the ports; connections go on. */
  close(): void {
    this.#listens = false;
    this.#doors.close();
    this.#files.close();
  }

  #open(): void {
    const tables = [...this.#compiled?.gateway ?? []]
      .filter(([, { listener }]) => this.#servesSockets || !isSocket(listener));
    this.#doors.update(new Map(tables.map(([name, { listener }]) => [name, listener])));
  }
}
