/**
 * What is true at one moment: a generation of the configuration and the workloads that there are. Immutable to its
 * users; what a proxy should have is worked out when it is asked for, and shared with whoever sees the same.
 */
import type { ResourceSet } from "../config/resource.ts";
import { contentHash } from "../lib/hash.ts";
import type {
  InboundPort,
  ProxySettings,
  ResourceKey,
  Snapshot,
  VersionedResource,
} from "../model/snapshot.ts";
import { CompiledConfig, type ConfigView } from "./compiled_config.ts";
import { configFingerprint } from "./config_fingerprint.ts";
import { EndpointIndex, workloadInfo } from "./endpoints.ts";
import type { MeshWorkload } from "./file_workloads.ts";
import type { ProxyView } from "./proxy_view.ts";
import { selects, targetPortOf } from "./services.ts";

export interface WorldInput {
  readonly resources: ResourceSet;
  /** Distinct in their keys. */
  readonly workloads: readonly MeshWorkload[];
  readonly trustDomain: string;
  /** For `explain`: snapshots also have the rules that were left out of them. @default false */
  readonly tellsSkipped?: boolean;
}

export class World {
  readonly #input: WorldInput;
  /** Of everything but the workloads. */
  readonly #fingerprint: string;
  readonly #config: CompiledConfig;
  readonly #endpoints: EndpointIndex;
  readonly #shared = new Map<ConfigView, Snapshot>();
  readonly #settings: Map<MeshWorkload, VersionedResource>;

  /** What `previous` had and is still true is taken over, so that the cost is that of the change. */
  constructor(input: WorldInput, previous: World | null) {
    this.#input = input;
    const same = previous !== null && previous.#input.resources === input.resources;
    this.#fingerprint = same ? previous.#fingerprint : configFingerprint(input.resources);
    const kept = previous !== null && previous.#fingerprint === this.#fingerprint ? previous : null;
    this.#config = kept === null
      ? new CompiledConfig(input.resources, input.tellsSkipped ?? false)
      : kept.#config;
    this.#endpoints = new EndpointIndex(
      input.workloads,
      input.trustDomain,
      kept === null ? null : kept.#endpoints,
    );
    const alive = new Set(input.workloads);
    const settings = kept === null ? [] : [...kept.#settings];
    this.#settings = new Map(settings.filter(([workload]) => alive.has(workload)));
  }

  /** What the proxy of a workload should have. */
  view(workload: MeshWorkload): ProxyView {
    return { shared: this.#sharedBy(this.#config.viewFor(workload)), self: this.#settingsOf(workload) };
  }

  #sharedBy(view: ConfigView): Snapshot {
    let snapshot = this.#shared.get(view);
    if (snapshot === undefined) {
      const built = new Map<ResourceKey, VersionedResource>(view.resources);
      for (const membership of view.memberships) {
        built.set(`endpoints/${membership.cluster}`, this.#endpoints.endpointSet(membership));
      }
      snapshot = built;
      this.#shared.set(view, snapshot);
    }
    return snapshot;
  }

  #settingsOf(workload: MeshWorkload): VersionedResource {
    let resource = this.#settings.get(workload);
    if (resource === undefined) {
      const body: ProxySettings = {
        kind: "proxy",
        name: "self",
        trustDomain: this.#input.trustDomain,
        // Whoever asks has a sidecar, whatever the files let others believe.
        workload: workloadInfo({ ...workload, hasSidecar: true }, this.#input.trustDomain),
        address: workload.address,
        // Istio's default; there is no MeshConfig yet that could say otherwise.
        outboundPolicy: "ALLOW_ANY",
        inbound: this.#inboundOf(workload),
        ...(workload.probe === undefined ? {} : { probe: workload.probe }),
      };
      resource = { version: contentHash(body), body };
      this.#settings.set(workload, resource);
    }
    return resource;
  }

  /** The ports at which services lead to a workload, by number and then by host. */
  #inboundOf(workload: MeshWorkload): readonly InboundPort[] {
    const inbound = new Map<string, InboundPort>();
    for (const service of this.#config.services.ofNamespace(workload.namespace)) {
      if (!selects(service.selector, workload.labels)) continue;
      for (const servicePort of service.ports) {
        const port = targetPortOf(servicePort, workload);
        inbound.set(`${port} ${service.info.host}`, {
          port,
          service: service.info,
          protocol: servicePort.http,
          declared: servicePort.declared,
        });
      }
    }
    return [...inbound.values()].sort((a, b) =>
      a.port - b.port || (a.service.host < b.service.host ? -1 : a.service.host > b.service.host ? 1 : 0)
    );
  }
}
