/** The resources of all files together: each but once, and in one order whatever that of the files. */
import { appendTo } from "../lib/append_to.ts";
import { compareTexts } from "../lib/compare_texts.ts";
import { sameElements } from "../lib/same_elements.ts";
import { CODES } from "./codes.ts";
import type { ReadPart } from "./documents.ts";
import type { Finding } from "./finding.ts";
import type { ConfigResource, Position, ResourceSet } from "./resource.ts";
import type { MeshConfigSpec } from "./schema/mesh_config.ts";

/** The resources of one kind. */
interface OfKind {
  /** As the files have them, one after the other. */
  readonly written: readonly ConfigResource<unknown>[];
  /** Each but once, by name. */
  readonly resources: readonly ConfigResource<unknown>[];
  /** What is there twice. */
  readonly findings: readonly Finding[];
}

export class CollectedResources {
  /** Of the files, and of what they say together. */
  readonly findings: Finding[];
  readonly #sets = new Map<keyof ResourceSet, OfKind>();

  /**
   * `previous` is what was read before: where all of a kind are the same objects, so is their list, and thousands are
   * not put in order again for one of another kind. Null: nothing.
   */
  constructor(
    parts: readonly Pick<ReadPart, "resources" | "findings">[],
    previous: CollectedResources | null,
  ) {
    this.findings = parts.flatMap(({ findings }) => findings);
    const written = new Map<keyof ResourceSet, ConfigResource<unknown>[]>();
    for (const { resources } of parts) {
      for (const { set, resource } of resources) appendTo(written, set, resource);
    }
    for (const [set, resources] of written) {
      const known = previous === null ? undefined : previous.#sets.get(set);
      const collected = known !== undefined && sameElements(known.written, resources)
        ? known
        : inOrder(resources);
      this.#sets.set(set, collected);
      this.findings.push(...collected.findings);
    }
  }

  get count(): number {
    return [...this.#sets.values()].reduce((sum, { resources }) => sum + resources.length, 0);
  }

  /** The mesh has this trust domain, whatever the files say. */
  holdTo(trustDomain: string): void {
    for (const resource of this.#sets.get("meshConfigs")?.resources ?? []) {
      const { trustDomain: written } = resource.spec as MeshConfigSpec;
      if (written !== null && written !== trustDomain) {
        this.findings.push(foreignTrustDomain(resource, written, trustDomain));
      }
    }
  }

  resources(): ResourceSet {
    const of = (set: keyof ResourceSet) => (this.#sets.get(set)?.resources ?? []) as never[];
    return {
      services: of("services"),
      serviceEntries: of("serviceEntries"),
      workloadEntries: of("workloadEntries"),
      virtualServices: of("virtualServices"),
      destinationRules: of("destinationRules"),
      gateways: of("gateways"),
      sidecars: of("sidecars"),
      workloadGroups: of("workloadGroups"),
      authorizationPolicies: of("authorizationPolicies"),
      peerAuthentications: of("peerAuthentications"),
      requestAuthentications: of("requestAuthentications"),
      proxyConfigs: of("proxyConfigs"),
      meshConfigs: of("meshConfigs"),
    };
  }
}

function inOrder(written: readonly ConfigResource<unknown>[]): OfKind {
  const byKey = new Map<string, ConfigResource<unknown>>();
  const findings: Finding[] = [];
  for (const resource of written) {
    const key = `${resource.kind} ${resource.namespace}/${resource.name}`;
    const first = byKey.get(key);
    if (first === undefined) byKey.set(key, resource);
    else findings.push(duplicate(key, resource, first));
  }
  return { written, resources: [...byKey.values()].sort(byName), findings };
}

function foreignTrustDomain(resource: ConfigResource<unknown>, written: string, own: string): Finding {
  return {
    code: CODES.foreignTrustDomain,
    severity: "error",
    ...resource.positionOf(["spec", "trustDomain"]),
    resource: `${resource.kind} ${resource.namespace}/${resource.name}`,
    field: "spec.trustDomain",
    message: `the trust domain is ${JSON.stringify(own)}, not ${JSON.stringify(written)}`,
    hint: "it is the control plane's --trust-domain; names that it had before go to trustDomainAliases",
  };
}

function duplicate(key: string, resource: ConfigResource<unknown>, first: ConfigResource<unknown>): Finding {
  return {
    code: CODES.duplicateResource,
    severity: "error",
    ...resource.positionOf(["metadata", "name"]),
    resource: key,
    field: "metadata.name",
    message: `${key} is already defined at ${formatPosition(first.position)}`,
    hint: "rename or remove one of them",
  };
}

function formatPosition({ file, line, column }: Position): string {
  return `${file}:${line}:${column}`;
}

function byName(a: ConfigResource<unknown>, b: ConfigResource<unknown>): number {
  return compareTexts(a.namespace, b.namespace) || compareTexts(a.name, b.name);
}
