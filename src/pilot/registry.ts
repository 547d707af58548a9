/**
 * All workloads of the mesh: those in files merged with those that are connected. Files are the truth: a connected
 * workload that has a WorkloadEntry is what the entry says, at the entry's address; one that joined a WorkloadGroup is
 * what the group says, where it says it is.
 */
import type { ConfigResource } from "../config/resource.ts";
import type { GatewaySpec } from "../config/schema/gateway.ts";
import type { WorkloadEntrySpec } from "../config/schema/workload_entry.ts";
import { deniesSidecar } from "../config/sidecar_label.ts";
import type { Clock } from "../lib/clock.ts";
import type { Labels } from "../model/labels.ts";
import type { WorkloadHealth } from "../model/health_probe.ts";
import { formatSpiffeId } from "../model/spiffe_id.ts";
import { parseWorkloadKey, type WorkloadKey, workloadKey } from "../model/workload.ts";
import { type MeshWorkload, selectsGateways, workloadOfEntry } from "./file_workloads.ts";
import { HealthReports } from "./health_reports.ts";
import { type Group, WorkloadGroups, workloadOfGroup } from "./workload_groups.ts";

/**
 * How long a workload without a file stays known after its last connection ended: long enough for a restart of
 * its sidecar, so that its clients never see it come and go.
 */
export const DISCONNECT_GRACE_MS = 60_000;

/** What a proxy says of itself when it connects; the caller has checked who it is. */
export interface ConnectedWorkload {
  readonly workload: WorkloadKey;
  /** An IP address. */
  readonly address: string;
  readonly meshPort: number;
  readonly role: "sidecar" | "gateway";
  /** What its probe says; undefined: it knows of none. */
  readonly health?: WorkloadHealth;
}

export interface RegistryOptions {
  readonly clock: Clock;
  readonly trustDomain: string;
  /** `NAMESPACE/NAME` of the WorkloadGroup that a workload was enrolled for. @default none, whoever asks */
  readonly groupOf?: (workload: WorkloadKey) => WorkloadKey | undefined;
}

/** A WorkloadEntry, and what becomes of it. */
interface FileWorkload {
  readonly entry: ConfigResource<WorkloadEntrySpec>;
  readonly workload: MeshWorkload;
}

export class WorkloadRegistry {
  readonly #clock: Clock;
  readonly #trustDomain: string;
  readonly groups: WorkloadGroups;
  readonly #health = new HealthReports();
  #entries: readonly ConfigResource<WorkloadEntrySpec>[] = [];
  /** What the files say, by key. */
  #files: ReadonlyMap<WorkloadKey, FileWorkload> = new Map();
  #gateways: readonly ConfigResource<GatewaySpec>[] = [];
  #isGatewayByFiles: (labels: Labels) => boolean = () => false;
  #enrolled = new Set<WorkloadKey>();
  /**
   * Enrolled, and have not connected: in no file, so that their address is not known, or a gateway by the files, which is
   * called at its own ports if it is one.
   */
  readonly #awaited = new Set<WorkloadKey>();
  /** The latest connection of a workload comes last; a reconnect may be here before the old one is given up. */
  readonly #connections = new Map<WorkloadKey, ConnectedWorkload[]>();
  /** Workloads without a live connection, but in their grace period. */
  readonly #lingering = new Map<WorkloadKey, { last: ConnectedWorkload; cancel: () => void }>();
  /** Said good-bye and has not come back since. */
  readonly #left = new Set<WorkloadKey>();
  /** Has run a sidecar since this control plane started: never plain text again. */
  readonly #everConnected = new Set<WorkloadKey>();
  readonly #workloads = new Map<WorkloadKey, MeshWorkload>();
  #keys: readonly WorkloadKey[] | null = null;
  #sorted: readonly MeshWorkload[] | null = null;
  readonly #listeners = new Set<() => void>();

  constructor(options: RegistryOptions) {
    this.#clock = options.clock;
    this.#trustDomain = options.trustDomain;
    const { trustDomain, groupOf = () => undefined } = options;
    this.groups = new WorkloadGroups({ trustDomain, groupOf });
  }

  /** Takes the WorkloadEntries of a new generation; costs what differs from the one before. */
  setFiles(entries: readonly ConfigResource<WorkloadEntrySpec>[]): void {
    if (entries === this.#entries) return;
    this.#entries = entries;
    const before = this.#files;
    const files = new Map<WorkloadKey, FileWorkload>();
    const changed: WorkloadKey[] = [];
    for (const entry of entries) {
      const key = workloadKey(entry);
      const known = before.get(key);
      if (known?.entry !== entry) changed.push(key);
      files.set(key, known?.entry === entry ? known : { entry, workload: workloadOfEntry(entry) });
    }
    for (const key of before.keys()) if (!files.has(key)) changed.push(key);
    this.#files = files;
    this.#refresh(changed);
  }

  /** Takes the Gateways of a new generation. */
  setGateways(gateways: readonly ConfigResource<GatewaySpec>[]): void {
    if (gateways === this.#gateways) return;
    this.#gateways = gateways;
    this.#isGatewayByFiles = selectsGateways(gateways);
    for (const key of this.#files.keys()) this.#await(key, this.#workloads.get(key));
  }

  /** Takes the WorkloadGroups of a new generation. */
  setGroups(groups: readonly Group[]): void {
    this.groups.set(groups);
    const connected = [...this.#connections.keys(), ...this.#lingering.keys()];
    this.#refresh(connected.filter((key) => this.groups.keyOf(key) !== undefined));
  }

  /** Takes the workloads that hold an unexpired certificate, as the certificate authority knows them. */
  setEnrolled(keys: ReadonlySet<WorkloadKey>): void {
    const before = this.#enrolled;
    this.#enrolled = new Set(keys);
    this.#refresh(before.symmetricDifference(keys));
  }

  /** One more of them. */
  addEnrolled(key: WorkloadKey): void {
    this.#enrolled.add(key);
    this.#refresh([key]);
  }

  /** A proxy has connected; the returned function says that this connection has ended. */
  connect(connected: ConnectedWorkload): () => void {
    const key = connected.workload;
    this.#lingering.get(key)?.cancel();
    this.#lingering.delete(key);
    this.#connections.set(key, [...(this.#connections.get(key) ?? []), connected]);
    this.#everConnected.add(key);
    this.#left.delete(key);
    this.#health.set(key, connected.health);
    this.#refresh([key]);
    return () => this.#disconnect(connected);
  }

  /** A connected proxy is about to stop: its workload is not to be called any more, until the proxy connects again. */
  leave(key: WorkloadKey): void {
    this.#left.add(key);
    this.#refresh([key]);
  }

  /** The probe of a connected workload has changed its mind. */
  setHealth(key: WorkloadKey, health: WorkloadHealth): void {
    this.#health.set(key, health);
    this.#refresh([key]);
  }

  /** All workloads, sorted by key. The same array, with the same objects in it, as long as nothing changed. */
  workloads(): readonly MeshWorkload[] {
    this.#keys ??= [...this.#workloads.keys()].sort();
    this.#sorted ??= this.#keys.map((key) => this.#workloads.get(key) as MeshWorkload);
    return this.#sorted;
  }

  get(key: WorkloadKey): MeshWorkload | undefined {
    return this.#workloads.get(key);
  }

  /**
   * The SPIFFE ID that a workload must show; undefined where no workload of this key can be. One without a file has
   * the service account of its group, or else of its own name: were any account of the namespace accepted, one workload
   * could pose as another that is not written down.
   */
  expectedSpiffeId(key: WorkloadKey): string | undefined {
    const parsed = parseWorkloadKey(key);
    if (parsed === undefined) return undefined;
    const file = this.#files.get(key)?.workload;
    const group = file === undefined ? this.groups.keyOf(key) : undefined;
    if (group !== undefined) return this.groups.spiffeId(group);
    const serviceAccount = file?.serviceAccount ?? parsed.name;
    return formatSpiffeId({ trustDomain: this.#trustDomain, namespace: parsed.namespace, serviceAccount });
  }

  /** Some workload holds a certificate, and has yet to connect before it is known how it is called. */
  awaitsConnections(): boolean {
    for (const key of this.#awaited) if (this.#mayConnect(key)) return true;
    return false;
  }

  /** The files say who it must be; a member of a group that they have no more is not served. */
  #mayConnect(key: WorkloadKey): boolean {
    return this.expectedSpiffeId(key) !== undefined;
  }

  /** Calls whenever `workloads()` answers something new; the returned function ends that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Ends all timers; nothing is forgotten any more. */
  close(): void {
    for (const { cancel } of this.#lingering.values()) cancel();
  }

  #disconnect(connected: ConnectedWorkload): void {
    const key = connected.workload;
    const rest = (this.#connections.get(key) ?? []).filter((other) => other !== connected);
    if (rest.length > 0) {
      this.#connections.set(key, rest);
    } else if (this.#connections.delete(key)) {
      const cancel = this.#clock.after(DISCONNECT_GRACE_MS, () => {
        this.#lingering.delete(key);
        // What the files describe stays away until it is back; anything else is forgotten here.
        if (!this.#files.has(key)) this.#left.delete(key);
        this.#health.forget(key);
        this.#refresh([key]);
      });
      this.#lingering.set(key, { last: connected, cancel });
    }
    this.#refresh([key]);
  }

  #refresh(keys: Iterable<WorkloadKey>): void {
    let changed = false;
    for (const key of keys) {
      const before = this.#workloads.get(key);
      const after = this.#compute(key);
      this.#await(key, after);
      if (JSON.stringify(before) === JSON.stringify(after)) continue;
      changed = true;
      if (before === undefined || after === undefined) this.#keys = null;
      if (after === undefined) this.#workloads.delete(key);
      else this.#workloads.set(key, after);
    }
    if (!changed) return;
    this.#sorted = null;
    for (const listener of this.#listeners) listener();
  }

  #await(key: WorkloadKey, known: MeshWorkload | undefined): void {
    const isOpen = known === undefined ||
      (known.hasSidecar && !this.#everConnected.has(key) && this.#isGatewayByFiles(known.labels));
    if (isOpen && this.#enrolled.has(key)) this.#awaited.add(key);
    else this.#awaited.delete(key);
  }

  #compute(key: WorkloadKey): MeshWorkload | undefined {
    const file = this.#files.get(key)?.workload;
    const reported = this.#connections.get(key)?.at(-1) ?? this.#lingering.get(key)?.last;
    const leaving = this.#left.has(key)
      ? { leaving: this.#connections.has(key) ? "draining" : "gone" } as const
      : {};
    // A gateway has no mesh listener: whoever calls it calls one of its own ports.
    const role = reported?.role === "gateway" ? { role: "gateway", hasSidecar: false } as const : {};
    if (file === undefined) {
      const workload = reported && this.#computeUnwritten(key, reported);
      return workload && { ...workload, ...role, ...leaving };
    }
    const meshPort = reported?.meshPort ?? file.meshPort;
    return { ...file, hasSidecar: this.#hasSidecar(key, file), meshPort, ...role, ...leaving };
  }

  #computeUnwritten(key: WorkloadKey, reported: ConnectedWorkload): MeshWorkload | undefined {
    if (this.groups.keyOf(key) === undefined) return unwritten(key, reported);
    const group = this.groups.of(key);
    const workload = group && workloadOfGroup(group, key, reported);
    if (workload?.probe === undefined || this.#health.isHealthy(key)) return workload;
    return { ...workload, unhealthy: true };
  }

  /**
   * Fails closed: whoever was ever seen with a sidecar is spoken to in mTLS only, and a control plane that has just
   * started knows it from the certificates. Only the files can say otherwise.
   */
  #hasSidecar(key: WorkloadKey, file: MeshWorkload): boolean {
    if (deniesSidecar(file.labels)) return false;
    return file.hasSidecar || this.#everConnected.has(key) || this.#enrolled.has(key);
  }
}

/** A connected workload that no file describes: its name is all that a Service can select it by. */
function unwritten(key: WorkloadKey, reported: ConnectedWorkload): MeshWorkload | undefined {
  const parsed = parseWorkloadKey(key);
  return parsed && {
    ...parsed,
    address: reported.address,
    labels: { app: parsed.name },
    serviceAccount: parsed.name,
    ports: {},
    weight: 1,
    hasSidecar: true,
    meshPort: reported.meshPort,
  };
}
