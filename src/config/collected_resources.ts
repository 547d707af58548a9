/** The resources of all files together: each but once, and in one order whatever that of the files. */
import { appendTo } from "../lib/append_to.ts";
import { compareTexts } from "../lib/compare_texts.ts";
import { CODES } from "./codes.ts";
import type { ReadPart } from "./documents.ts";
import type { Finding } from "./finding.ts";
import type { ConfigResource, Position, ResourceSet } from "./resource.ts";
import type { MeshConfigSpec } from "./schema/mesh_config.ts";

export class CollectedResources {
  /** Of the files, and of what they say together. */
  readonly findings: Finding[] = [];
  readonly #byKey = new Map<string, ConfigResource<unknown>>();
  readonly #sets = new Map<keyof ResourceSet, ConfigResource<unknown>[]>();

  get count(): number {
    return this.#byKey.size;
  }

  add({ resources, findings }: Pick<ReadPart, "resources" | "findings">): void {
    this.findings.push(...findings);
    for (const { set, resource } of resources) {
      const key = `${resource.kind} ${resource.namespace}/${resource.name}`;
      const first = this.#byKey.get(key);
      if (first !== undefined) {
        this.findings.push(duplicate(key, resource, first));
        continue;
      }
      this.#byKey.set(key, resource);
      appendTo(this.#sets, set, resource);
    }
  }

  /** The mesh has this trust domain, whatever the files say. */
  holdTo(trustDomain: string): void {
    for (const resource of this.#sets.get("meshConfigs") ?? []) {
      const { trustDomain: written } = resource.spec as MeshConfigSpec;
      if (written !== null && written !== trustDomain) {
        this.findings.push(foreignTrustDomain(resource, written, trustDomain));
      }
    }
  }

  resources(): ResourceSet {
    const of = (set: keyof ResourceSet) => (this.#sets.get(set) ?? []).sort(byName) as never[];
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
