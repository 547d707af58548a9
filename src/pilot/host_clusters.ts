/** The clusters of a service's ports, whole and by subset, for one kind of caller, and who is behind each. */
import type { MeshConfigSpec } from "../config/schema/mesh_config.ts";
import { type Cluster, clusterName } from "../model/cluster.ts";
import type { VersionedResource } from "../model/snapshot.ts";
import { sameElements } from "../lib/same_elements.ts";
import type { BodyCache } from "./body_cache.ts";
import { clusterSettings, comparedLabels } from "./cluster_settings.ts";
import type { Viewer } from "./config_view.ts";
import type { DestinationPolicy, DestinationRules } from "./destination_rules.ts";
import { type Membership, membershipOf } from "./endpoints.ts";
import type { VisiblePort } from "./service_catalogue.ts";
import type { MeshService, ServicePort } from "./services.ts";
import { effectivePolicy } from "./traffic_policies.ts";
import { reachOf } from "./upstream_security.ts";

export interface PortClusters {
  readonly resources: readonly VersionedResource[];
  /** One for each. */
  readonly memberships: readonly Membership[];
}

/** What clusters are made of, of one generation. */
interface ClusterSources {
  readonly mesh: MeshConfigSpec;
  readonly destinationRules: DestinationRules;
  /** Clusters also say which rules made them what they are, which proxies have no use for. */
  readonly tellsSkipped: boolean;
  readonly bodies: BodyCache;
}

/** The clusters of a port, which are the same for all callers for whom the same rules hold. */
interface Built extends PortClusters {
  readonly service: MeshService;
  readonly rules: DestinationPolicy["rules"];
}

export class HostClusters {
  readonly #of: ClusterSources;
  /** What was last made of each port: mostly it is the same for everybody. */
  readonly #built = new WeakMap<ServicePort, Built>();

  constructor(sources: ClusterSources) {
    this.#of = sources;
  }

  of({ service, port }: VisiblePort, viewer: Viewer): PortClusters {
    const { host, namespace } = service.info;
    const policy = this.#of.destinationRules.policyFor(host, namespace, viewer);
    const known = this.#built.get(port);
    if (known?.service === service && sameElements(known.rules, policy.rules)) return known;
    const built = this.#build(service, port, policy);
    this.#built.set(port, built);
    return built;
  }

  #build(
    service: MeshService,
    port: ServicePort,
    { trafficPolicy, subsets, rules }: DestinationPolicy,
  ): Built {
    const { mesh, tellsSkipped, bodies } = this.#of;
    const told = !tellsSkipped || rules.length === 0 ? {} : {
      rules: rules.map(({ namespace, name, position: { file, line } }) => ({
        name: `${namespace}/${name}`,
        file,
        line,
      })),
    };
    const resources: VersionedResource[] = [];
    const memberships: Membership[] = [];
    const whole = { name: null, labels: {}, trafficPolicy: null };
    for (const { name: subset, labels, trafficPolicy: own } of [whole, ...subsets]) {
      const policy = effectivePolicy(trafficPolicy, own, port.number);
      const settings = clusterSettings(policy, mesh, service, port);
      const name = clusterName(port.number, subset, service.info.host);
      const cluster: Cluster = {
        ...{ kind: "cluster", name, service: service.info, subset, port: port.number },
        ...settings,
        ...told,
      };
      resources.push(bodies.get(`cluster\n${JSON.stringify(cluster)}`, () => cluster));
      const reach = reachOf(policy.tls, mesh.enableAutoMtls);
      memberships.push(
        membershipOf({ cluster: name, service, port, labels, reach, labelKeys: comparedLabels(settings) }),
      );
    }
    return { service, rules, resources, memberships };
  }
}
