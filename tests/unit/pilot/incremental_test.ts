import { expect, test } from "bun:test";
import { ConfigReader } from "../../../src/config/loader.ts";
import type { ResourceSet } from "../../../src/config/resource.ts";
import { ManualClock } from "../../../src/lib/clock.ts";
import { Prng } from "../../../src/lib/prng.ts";
import type { ResourceKey } from "../../../src/model/snapshot.ts";
import { resourceKey } from "../../../src/model/snapshot.ts";
import { difference, type ProxyView, snapshotOfView, viewVersion } from "../../../src/pilot/proxy_view.ts";
import { WorkloadRegistry } from "../../../src/pilot/registry.ts";
import { World } from "../../../src/pilot/world.ts";
import type { MeshWorkload } from "../../../src/pilot/file_workloads.ts";
import { caller, meshConfig, resource, TRUST_DOMAIN, workloadEntry } from "./fixture.ts";

const SEEDS = 12;
const STEPS = 24;
const NAMES = ["a", "b", "c", "d"];
const NAMESPACES = ["one", "two"];
const HOSTS = [
  "a",
  "b",
  "c.two.svc.cluster.local",
  "*.two.svc.cluster.local",
  "elsewhere.example.com",
  "*.example.com",
];
const CALLERS = [
  ...NAMESPACES.map((namespace) => caller(namespace)),
  caller("one", { app: "a" }),
  // Some rules tell these apart, and others do not.
  caller("one", { app: "a", tier: "gold" }),
  caller("one", { app: "b", tier: "gold" }),
  caller("two", { app: "a", zone: "z" }),
  caller("two", { tier: "gold", zone: "z" }),
  caller("three"),
  gatewayWith("one", { app: "a" }),
  gatewayWith("one", { app: "a", tier: "gold" }),
  gatewayWith("two", { app: "b" }),
  gatewayWith("two", { app: "a", zone: "z" }),
];
/** Who is called over the mesh unless the files say otherwise. */
const ENROLLED = new Set(["one/a", "one/b", "two/a", "two/c"] as const);
const SELECTORS = ["{app: a}", "{tier: gold}", "{zone: z}", "{app: a, tier: gold}"];

function gatewayWith(namespace: string, labels: Record<string, string>): MeshWorkload {
  return { ...caller(namespace, labels), role: "gateway" };
}

/** A directory of files, each with resources of one kind and namespace, and random edits of it. */
class Files {
  readonly #random: Prng;
  readonly #texts = new Map<string, string>();

  constructor(random: Prng) {
    this.#random = random;
    for (let edit = 0; edit < 12; edit++) this.edit();
  }

  edit(): void {
    const kinds = {
      service: this.#service,
      entry: this.#entry,
      outside: this.#outside,
      rule: this.#rule,
      delegate: this.#delegate,
      gateway: this.#gateway,
      sidecar: this.#sidecar,
      destination: this.#subsets,
      mesh: this.#mesh,
      policy: this.#policy,
      peers: this.#peers,
    };
    const kind = this.#one(Object.keys(kinds) as (keyof typeof kinds)[]);
    const namespace = this.#one(NAMESPACES);
    const documents = NAMES.filter(() => this.#random.below(3) > 0)
      .map((name) => kinds[kind].call(this, name, namespace));
    const blank = "\n".repeat(this.#random.below(2));
    this.#texts.set(`${kind}-${namespace}.yaml`, blank + documents.join("\n---\n"));
  }

  read(): { file: string; text: string }[] {
    return [...this.#texts].map(([file, text]) => ({ file, text }));
  }

  #one<Item>(items: readonly Item[]): Item {
    return items[this.#random.below(items.length)] as Item;
  }

  #exportTo(): string {
    return this.#one(["", "exportTo: ['.'], ", "exportTo: [one], "]);
  }

  #service(name: string, namespace: string): string {
    const annotation = this.#one(["", "annotations: {networking.istio.io/exportTo: '.'}"]);
    const ports = this.#one([
      "{name: http, port: 80}",
      "{name: http, port: 80}, {name: http-more, port: 81}",
    ]);
    const spec = `{selector: {app: ${this.#one(NAMES)}}, ports: [${ports}]}`;
    return resource(`Service ${namespace}/${name}`, spec, annotation);
  }

  /** Names that lead to several of them, and to services, so that they change hands. */
  #outside(name: string, namespace: string): string {
    const [host, resolution] = this.#one([
      [`${name}.example.com`, "DNS"],
      ["c.two.svc.cluster.local", "DNS"],
      ["elsewhere.example.com", "DNS"],
      ["*.example.com", "NONE"],
    ]) as [string, string];
    const ports = this.#one([
      "{number: 80, name: http, protocol: HTTP}",
      "{number: 81, name: tcp, protocol: TCP}",
      "{number: 81, name: http, protocol: HTTP}",
    ]);
    const addresses = this.#one(["", "addresses: [10.1.1.1], ", "addresses: [10.1.1.1, 10.1.1.2], "]);
    return resource(
      `ServiceEntry ${namespace}/${name}`,
      `{${this.#exportTo()}${addresses}hosts: ['${host}'], ports: [${ports}], resolution: ${resolution}}`,
    );
  }

  #entry(name: string, namespace: string): string {
    const address = `10.0.0.${this.#random.below(3)}`;
    const labels = `{app: ${this.#one(NAMES)}, version: v${this.#random.below(2)}}`;
    return workloadEntry(
      name,
      namespace,
      `{address: ${address}, labels: ${labels}, serviceAccount: ${name}}`,
    );
  }

  #rule(name: string, namespace: string): string {
    const match = this.#one([
      ...["", "", "match: [{uri: {prefix: /x}}], ", "match: [{sourceNamespace: one}], "],
      `match: [{sourceLabels: ${this.#one(SELECTORS)}}], `,
    ]);
    const subset = this.#one(["", ", subset: v1"]);
    const to = this.#one(["a", "b", "d.one.svc.cluster.local"]);
    const delegate = `{name: delegate-${this.#one(NAMES)}, namespace: ${this.#one(NAMESPACES)}}`;
    const action = this.#one([`route: [{destination: {host: ${to}${subset}}}]`, `delegate: ${delegate}`]);
    const gateway = `one/${this.#one(NAMES.slice(0, 2))}`;
    const gateways = this.#one(["", "", `gateways: [mesh, ${gateway}], `, `gateways: [${gateway}], `]);
    const hosts = this.#one([`'${this.#one(HOSTS)}'`, `'${this.#one(HOSTS)}', rules.example.net`]);
    const bytes = this.#one(["", "", `, tcp: [{route: [{destination: {host: ${to}${subset}}}]}]`]);
    return resource(
      `VirtualService ${namespace}/${name}`,
      `{${this.#exportTo()}${gateways}hosts: [${hosts}], ` +
        `http: [{${match}${action}}]${bytes}}`,
    );
  }

  #delegate(name: string, namespace: string): string {
    const to = this.#one(NAMES);
    return resource(
      `VirtualService ${namespace}/delegate-${name}`,
      `{${this.#exportTo()}http: [{match: [{uri: {prefix: /x/y}}], route: [{destination: {host: ${to}}}]}]}`,
    );
  }

  #gateway(name: string, namespace: string): string {
    const hosts = this.#one(["'*'", "'*.example.com'", "'./*'", "c.two.svc.cluster.local"]);
    const protocol = this.#one(["HTTP", "HTTP", "TCP"]);
    const port = `{number: ${80 + this.#random.below(2)}, name: ${name}, protocol: ${protocol}}`;
    const redirect = protocol === "HTTP" ? this.#one(["", ", tls: {httpsRedirect: true}"]) : "";
    const passed = "{port: {number: 443, name: tls, protocol: TLS}, hosts: ['*.example.com'], " +
      "tls: {mode: PASSTHROUGH}}";
    const servers = [`{port: ${port}, hosts: [${hosts}]${redirect}}`, ...this.#one([[], [passed]])];
    const selector = this.#one(["{}", "{}", "{app: a}", "{app: b}", ...SELECTORS]);
    return resource(`Gateway ${namespace}/${name}`, `{selector: ${selector}, servers: [${servers}]}`);
  }

  /** Few, since each takes much away. */
  #sidecar(name: string, namespace: string): string {
    if (this.#random.below(3) > 0) return "";
    const selector = this.#one(["", `workloadSelector: {labels: ${this.#one(SELECTORS)}}, `]);
    const hosts = this.#one([
      ...["'./*'", "'*/*'", "one/a.one.svc.cluster.local", "'two/*'", "'~/*'", "'*/*.example.com'"],
      "'*/*', '~two/*'",
    ]);
    const egress = this.#one([
      `egress: [{hosts: [${hosts}]}]`,
      `egress: [{port: {number: 81, name: http}, hosts: [${hosts}]}]`,
      `egress: [{port: {number: 81, name: http}, hosts: [${hosts}]}, {hosts: ['./*']}]`,
      "outboundTrafficPolicy: {mode: REGISTRY_ONLY}",
    ]);
    return resource(`Sidecar ${namespace}/${name}`, `{${selector}${egress}}`);
  }

  #policy(name: string, namespace: string): string {
    const selector = this.#one(["", "selector: {matchLabels: {app: a}}, "]);
    const action = this.#one(["ALLOW", "DENY"]);
    const rules = this.#one(["", ", rules: [{to: [{operation: {methods: [GET]}}]}]", ", rules: [{}]"]);
    return resource(
      `AuthorizationPolicy ${namespace}/${name}`,
      `{${selector}action: ${action}${rules}}`,
    );
  }

  #peers(name: string, namespace: string): string {
    const modes = ["STRICT", "PERMISSIVE", "DISABLE"];
    const port = `portLevelMtls: {80: {mode: ${this.#one(modes)}}}, `;
    const selector = this.#one(["", "selector: {matchLabels: {app: b}}, "]);
    const ports = selector === "" ? "" : this.#one(["", port]);
    // The root namespace's hold everywhere.
    const where = name === "a" && namespace === "one" ? "istio-system" : namespace;
    return resource(
      `PeerAuthentication ${where}/${name}`,
      `{${selector}${ports}mtls: {mode: ${this.#one(modes)}}}`,
    );
  }

  /** One of the names makes the one that there may be, or there is none. */
  #mesh(name: string, namespace: string): string {
    if (name !== "a" || namespace !== "one") return "";
    const says = this.#one([
      "outboundTrafficPolicy: {mode: REGISTRY_ONLY}",
      "pathNormalization: {normalization: NONE}",
      "protocolDetectionTimeout: 2s",
      "trustDomainAliases: [old.local]",
      "defaultConfig: {gatewayTopology: {numTrustedProxies: 1}}",
      "defaultVirtualServiceExportTo: ['.']",
      "defaultServiceExportTo: ['.']",
      "defaultDestinationRuleExportTo: ['.']",
      "defaultHttpRetryPolicy: {attempts: 4}",
      "enableAutoMtls: false",
      "rootNamespace: two",
    ]);
    return meshConfig(`{${says}}`);
  }

  #subsets(name: string, namespace: string): string {
    const balancer = this.#one(["simple: ROUND_ROBIN", "simple: RANDOM"]);
    const locality = this.#one(["", ", localityLbSetting: {failoverPriority: [version]}"]);
    const selector = this.#one(["", `workloadSelector: {matchLabels: ${this.#one(SELECTORS)}}, `]);
    const more = this.#one([
      "",
      ", tls: {mode: DISABLE}",
      ", outlierDetection: {interval: 5s}",
      ", connectionPool: {tcp: {maxConnections: 3}}",
    ]);
    return resource(
      `DestinationRule ${namespace}/${name}`,
      `{${selector === "" ? this.#exportTo() : selector}host: '${this.#one(HOSTS.slice(0, 4))}', ` +
        `trafficPolicy: {loadBalancer: {${balancer}${locality}}${more}}, ` +
        `subsets: [{name: v1, labels: {version: v${this.#random.below(2)}}}]}`,
    );
  }
}

function versionsOf(view: ProxyView): [ResourceKey, string][] {
  return [...snapshotOfView(view)].map(([key, { version }]): [ResourceKey, string] => [key, version]).sort();
}

function simulate(seed: number): void {
  const random = new Prng(seed);
  const files = new Files(random);
  const reader = new ConfigReader();
  const registry = new WorkloadRegistry({ clock: new ManualClock(), trustDomain: TRUST_DOMAIN });
  registry.setEnrolled(ENROLLED);
  const had = new Map<number, ProxyView>();
  let world: World | null = null;
  for (let step = 0; step < STEPS; step++) {
    for (let edits = random.below(3); edits >= 0; edits--) files.edit();
    const { resources, findings } = reader.read(files.read());
    if (resources === null) throw new Error(JSON.stringify(findings));
    registry.setFiles(resources.workloadEntries);
    const input = { resources, workloads: registry.workloads(), trustDomain: TRUST_DOMAIN };
    world = new World(input, world);
    const fresh = new World({ ...input, resources: freshly(files) }, null);
    // The first workload of the registry is another one from time to time, and has settings that can be taken over.
    const viewers = [...CALLERS, ...registry.workloads().slice(0, 2)];
    for (const [index, proxy] of viewers.entries()) {
      // Not everybody asks each time.
      if (random.below(4) === 0) continue;
      const view = world.view(proxy);
      const wanted = fresh.view(proxy);
      expect(versionsOf(view)).toEqual(versionsOf(wanted));
      expect(viewVersion(view)).toBe(viewVersion(wanted));
      const before = index < CALLERS.length ? had.get(index) : undefined;
      if (before !== undefined) expect(after(before, view)).toEqual(versionsOf(wanted));
      had.set(index, view);
    }
  }
}

function freshly(files: Files): ResourceSet {
  return new ConfigReader().read(files.read()).resources as ResourceSet;
}

/** What a proxy has once it has taken the difference. */
function after(before: ProxyView, next: ProxyView): [ResourceKey, string][] {
  const { set, remove } = difference(before, next);
  const result = new Map(versionsOf(before));
  for (const key of remove) expect(result.delete(key)).toBe(true);
  for (const { version, body } of set) {
    expect(result.get(resourceKey(body))).not.toBe(version);
    result.set(resourceKey(body), version);
  }
  return [...result].sort();
}

for (let seed = 1; seed <= SEEDS; seed++) {
  test(`World that follows edits is the World made afresh, seed ${seed}`, () => simulate(seed));
}
