/** A large configuration: services with their workloads, routes and subsets, in tens of files. */
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";

export interface ConfigSize {
  readonly namespaces: number;
  readonly services: number;
  readonly endpointsPerService: number;
  /** Services are seen by their own namespace alone. */
  readonly scoped: boolean;
}

/** Of each kind: one file holds this many services with all that belongs to them. */
const SERVICES_PER_FILE = 50;
const PORT = 8080;
const SUBSETS = ["v1", "v2"];
const KINDS = ["services", "rules", "workloads"] as const;
type Kind = typeof KINDS[number];
/** Every so many services one has a DestinationRule with subsets. */
const SUBSETS_EVERY = 4;

/** Resources that toggle() adds and removes. */
export const EXTRA_KINDS = ["VirtualService", "DestinationRule", "ServiceEntry"] as const;
export type ExtraKind = typeof EXTRA_KINDS[number];

/** An edit that was not done yet: a file that would look so. */
export interface Edit {
  /** In the new text and not in the old one. */
  readonly mark: string;
  /** The one namespace whose proxies hear of it; null: all do. */
  readonly seenBy: string | null;
  apply(): void;
}

/** A configuration in a directory, and edits of it. */
export class GeneratedConfig {
  readonly #directory: string;
  readonly #size: ConfigSize;
  /** Workload -> address that an edit gave it. */
  readonly #addresses = new Map<number, string>();
  /** Service -> prefix of its first rule that an edit gave it. */
  readonly #prefixes = new Map<number, string>();
  #edits = 0;

  constructor(directory: string, size: ConfigSize) {
    this.#directory = directory;
    this.#size = size;
    mkdirSync(directory, { recursive: true });
    for (let file = 0; file * SERVICES_PER_FILE < size.services; file++) {
      for (const kind of KINDS) this.#write(kind, file);
    }
  }

  get workloadCount(): number {
    return this.#size.services * this.#size.endpointsPerService;
  }

  /** `NAMESPACE/NAME` of a workload. */
  workload(index: number): string {
    return `${this.#namespaceOf(this.#serviceOf(index))}/w-${index}`;
  }

  /** One workload moves to another address. */
  moveWorkload(index: number): Edit {
    const mark = `10.250.${this.#edits >> 8 & 255}.${this.#edits++ & 255}`;
    this.#addresses.set(index, mark);
    const file = Math.floor(this.#serviceOf(index) / SERVICES_PER_FILE);
    const seenBy = this.#seenBy(this.#serviceOf(index));
    return { mark, seenBy, apply: () => this.#write("workloads", file) };
  }

  /** One VirtualService matches another prefix. */
  changeRoute(service: number): Edit {
    const mark = `/edit-${this.#edits++}/`;
    this.#prefixes.set(service, mark);
    const apply = () => this.#write("rules", Math.floor(service / SERVICES_PER_FILE));
    return { mark, seenBy: this.#seenBy(service), apply };
  }

  /** A resource of its own that comes, or goes if it is there. */
  toggle(kind: ExtraKind, service: number): Edit {
    const path = `${this.#directory}/extra-${kind}.yaml`;
    const host = `s-${service}.${this.#namespaceOf(service)}.svc.cluster.local`;
    const specs: Readonly<Record<ExtraKind, string>> = {
      VirtualService: `{hosts: [${host}], http: [{timeout: 3s, route: [{destination: {host: ${host}}}]}]}`,
      DestinationRule: `{host: ${host}, trafficPolicy: {loadBalancer: {simple: RANDOM}}}`,
      ServiceEntry:
        "{hosts: [extra.example.com], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}",
    };
    const text = `apiVersion: networking.istio.io/v1
kind: ${kind}
metadata: {name: extra, namespace: ${this.#namespaceOf(0)}}
spec: ${specs[kind]}
`;
    return {
      mark: host,
      seenBy: null,
      apply: () => existsSync(path) ? rmSync(path) : writeFileSync(path, text),
    };
  }

  /** What the mesh says of all proxies, or with DISABLE of how workloads are called, becomes another. */
  changeMesh(kind: "MeshConfig" | "PeerAuthentication"): Edit {
    const mark = kind === "MeshConfig"
      ? `{pathNormalization: {normalization: ${this.#edits++ % 2 === 0 ? "NONE" : "BASE"}}}`
      : `{mtls: {mode: ${this.#edits++ % 2 === 0 ? "DISABLE" : "STRICT"}}}`;
    const text = kind === "MeshConfig"
      ? `apiVersion: mesh.istio.io/v1alpha1
kind: MeshConfig
metadata: {name: mesh, namespace: istio-system}
spec: ${mark}
`
      : `apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: ${this.#namespaceOf(0)}}
spec: ${mark}
`;
    return {
      mark,
      seenBy: null,
      apply: () => writeFileSync(`${this.#directory}/mesh-${kind}.yaml`, text),
    };
  }

  #namespaceOf(service: number): string {
    return `n${service % this.#size.namespaces}`;
  }

  #seenBy(service: number): string | null {
    return this.#size.scoped ? this.#namespaceOf(service) : null;
  }

  #serviceOf(workload: number): number {
    return Math.floor(workload / this.#size.endpointsPerService);
  }

  /** In one step, as editors and deployment tools do. */
  #write(kind: Kind, file: number): void {
    const documents: string[] = [];
    const end = Math.min(this.#size.services, (file + 1) * SERVICES_PER_FILE);
    for (let service = file * SERVICES_PER_FILE; service < end; service++) {
      documents.push(...this.#documents(kind, service));
    }
    const path = `${this.#directory}/${kind}-${file}.yaml`;
    writeFileSync(`${path}.new`, documents.join("---\n"));
    renameSync(`${path}.new`, path);
  }

  #documents(kind: Kind, service: number): string[] {
    if (kind === "services") return [this.#service(service)];
    return kind === "rules" ? this.#rules(service) : this.#workloads(service);
  }

  #service(service: number): string {
    const exported = this.#size.scoped ? ", annotations: {networking.istio.io/exportTo: '.'}" : "";
    return `apiVersion: v1
kind: Service
metadata: {name: s-${service}, namespace: ${this.#namespaceOf(service)}${exported}}
spec:
  selector: {app: s-${service}}
  ports:
  - {name: http, port: ${PORT}}
`;
  }

  #rules(service: number): string[] {
    const namespace = this.#namespaceOf(service);
    const exported = this.#size.scoped ? "\n  exportTo: ['.']" : "";
    const hasSubsets = service % SUBSETS_EVERY === 0;
    const destinations = hasSubsets
      ? SUBSETS.map((subset) => `    - {destination: {host: s-${service}, subset: ${subset}}, weight: 50}`)
      : [`    - {destination: {host: s-${service}}}`];
    const rule = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: s-${service}, namespace: ${namespace}}
spec:${exported}
  hosts: [s-${service}]
  http:
  - match:
    - uri: {prefix: ${this.#prefixes.get(service) ?? "/first/"}}
      headers: {x-canary: {exact: 'yes'}}
    route:
    - {destination: {host: s-${service}}}
  - route:
${destinations.join("\n")}
`;
    if (!hasSubsets) return [rule];
    const subsets = SUBSETS.map((subset) => `  - {name: ${subset}, labels: {version: ${subset}}}`);
    return [
      rule,
      `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: s-${service}, namespace: ${namespace}}
spec:${exported}
  host: s-${service}
  subsets:
${subsets.join("\n")}
`,
    ];
  }

  #workloads(service: number): string[] {
    const { endpointsPerService } = this.#size;
    return Array.from({ length: endpointsPerService }, (_, endpoint) => {
      const index = service * endpointsPerService + endpoint;
      const address = this.#addresses.get(index) ?? `10.${index >> 16}.${index >> 8 & 255}.${index & 255}`;
      const version = SUBSETS[endpoint % SUBSETS.length];
      return `apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: w-${index}, namespace: ${this.#namespaceOf(service)}}
spec:
  address: ${address}
  labels: {app: s-${service}, version: ${version}}
  serviceAccount: w-${index}
`;
    });
  }
}
