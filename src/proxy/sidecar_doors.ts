/** The ports of a sidecar that its Sidecar resource asks for, and the certificates that it shows to who is no mesh. */
import type { Clock } from "../lib/clock.ts";
import { isSocket } from "../model/bind.ts";
import { certificateSources } from "../model/gateway_listener.ts";
import { doorName, type SidecarDoor } from "../model/sidecar_door.ts";
import type { ShutPort } from "../model/shut_port.ts";
import { keyKind, keyPairFault } from "../runtime/key_pair_check.ts";
import { openKeyWarning } from "../runtime/open_key.ts";
import { listenTcp } from "../runtime/socket.ts";
import type { TlsMaterial } from "../runtime/tls_options.ts";
import { readTextSync, WatchedFiles } from "../runtime/watched_files.ts";
import { LimitedWarnings } from "../telemetry/limited_warnings.ts";
import type { CompiledSnapshot } from "./compiled_snapshot.ts";
import type { OutboundAcceptor } from "./filters/outbound.ts";
import { CertificateStore } from "./listener/certificate_store.ts";
import type { Side } from "./listener/connection_gate.ts";
import { Doors } from "./listener/doors.ts";
import { OutboundDoor } from "./listener/outbound_door.ts";
import { PlainInboundListener, type PlainInboundListenerOptions } from "./listener/plain_inbound_listener.ts";
import type { Reception } from "./listener/reception.ts";
import { TlsTermination, type TlsWarning } from "./listener/tls_termination.ts";
import type { PeerCertificates } from "./peer_certificates.ts";

export interface SidecarDoorsOptions {
  readonly clock: Clock;
  /** Directory of credentials; null: there is none. */
  readonly credentials: string | null;
  /** Other processes have the same ports. */
  readonly shared: boolean;
  /** Of those this is the one that listens at sockets, which nobody can share. */
  readonly servesSockets: boolean;
  readonly trustDomain: string;
  readonly peers: PeerCertificates;
  readonly inbound: Omit<PlainInboundListenerOptions, "reception" | "originalDestination" | "ownPorts">;
  readonly outbound: OutboundAcceptor;
  /** Where the own workload listens when nothing else is said. */
  readonly deliverTo: string;
  /** One for each port, so that its connections can be told from others. */
  reception(side: Side): Reception;
  warn(message: string): void;
  /** Other ports than before cannot be opened. */
  onShutPorts(): void;
}

export class SidecarDoors {
  /** For whoever calls the own workload with TLS that is not the mesh's. */
  readonly termination: TlsTermination;
  readonly #options: SidecarDoorsOptions;
  readonly #certificates: CertificateStore;
  readonly #files: WatchedFiles;
  readonly #doors: Readonly<Record<Side, Doors>>;
  readonly #inbound = new Set<PlainInboundListener>();
  #compiled: CompiledSnapshot | null = null;

  constructor(options: SidecarDoorsOptions) {
    const { clock, warn, credentials: directory } = options;
    this.#options = options;
    this.#files = new WatchedFiles({ clock, onChange: () => this.#certificates.refresh() });
    this.#certificates = new CertificateStore({
      ...{ directory, warn },
      read: readTextSync,
      check: keyPairFault,
      openKeyWarning,
      keyKind,
      watch: (paths) => this.#files.watch(paths),
    });
    this.termination = new TlsTermination({
      ...options,
      warnings: new LimitedWarnings<TlsWarning>(clock, warn),
      current: () => this.#compiled,
      meshMaterial: (): TlsMaterial | null => null,
      certificate: (first, other) => this.#certificates.get(first, other),
    });
    this.#doors = { inbound: this.#createDoors("inbound"), outbound: this.#createDoors("outbound") };
  }

  /** Serves by a snapshot, at the sides that are open. */
  update(compiled: CompiledSnapshot, open: ReadonlySet<Side>): void {
    this.#compiled = compiled;
    this.#certificates.retain(compiled.settings.inbound.flatMap(({ tls }) => certificateSources(tls)));
    for (const listener of this.#inbound) listener.follow(compiled);
    for (const side of open) this.#doors[side].update(this.#wanted(compiled, side));
  }

  get shutPorts(): readonly ShutPort[] {
    return [...this.#doors.inbound.shut, ...this.#doors.outbound.shut];
  }

  /** Closes the ports of a side; connections go on. */
  close(side: Side): void {
    this.#doors[side].close();
  }

  #wanted({ settings }: CompiledSnapshot, side: Side): ReadonlyMap<string, SidecarDoor> {
    const { servesSockets } = this.#options;
    const doors = (settings.doors ?? [])
      .filter((door) => door.side === side && (servesSockets || !isSocket(door)));
    return new Map(doors.map((door) => [doorName(door), door]));
  }

  #createDoors(side: Side): Doors {
    const { clock, shared, warn, onShutPorts: onShut, reception } = this.#options;
    return new Doors({
      ...{ clock, shared, warn, onShut },
      owner: "sidecar",
      hostname: this.#options.deliverTo,
      listen: (address, accept) => {
        if (side === "inbound") this.#refuseCircle(address);
        return listenTcp(address, accept);
      },
      door: (name, { bind, port }) => {
        const destination = { hostname: bind ?? this.#options.deliverTo, port };
        if (side === "outbound") {
          const { current } = this.#options.inbound;
          return new OutboundDoor(name, {
            ...{ destination, current },
            reception: reception(side),
            acceptor: this.#options.outbound,
          });
        }
        const listener = new PlainInboundListener({
          ...this.#options.inbound,
          reception: () => reception(side),
          originalDestination: () => destination,
          ownPorts: new Set(),
        });
        this.#inbound.add(listener);
        return {
          accept: listener.accept,
          close: () => {
            this.#inbound.delete(listener);
            listener.close();
          },
        };
      },
    });
  }

  /** What arrives would go out to where it arrived, for ever. Throws. */
  #refuseCircle({ hostname, port }: { readonly hostname: string; readonly port: number }): void {
    const inbound = this.#compiled?.settings.inbound.filter((one) => one.port === port) ?? [];
    for (const { deliverTo = { hostname: this.#options.deliverTo, port } } of inbound) {
      if (deliverTo.port !== port) continue;
      if (deliverTo.hostname === hostname || hostname === "0.0.0.0" || hostname === "::") {
        throw new Error(
          `${hostname}:${port} would deliver to itself: give the ingress another defaultEndpoint`,
        );
      }
    }
  }
}
