/** The VirtualServices that have no say at a gateway, for people who ask why one of them does not route a request there. */
import { hasLabels } from "../model/labels.ts";
import type { UnboundRules } from "../model/snapshot.ts";
import { resolveHost } from "../config/host.ts";
import type { ConfigResource, ResourceSet } from "../config/resource.ts";
import { resolveGateway } from "../config/schema/gateway_name.ts";
import type { GatewaySpec } from "../config/schema/gateway.ts";
import type { VirtualServiceSpec } from "../config/schema/virtual_service.ts";
import { sharedHosts } from "../config/shared_hosts.ts";
import { isVisible } from "../config/visibility.ts";
import type { Viewer } from "./config_view.ts";
import { originOf } from "./routes.ts";

export function unboundRules(
  { gateways, virtualServices }: ResourceSet,
  { namespace, labels }: Viewer,
): readonly UnboundRules[] {
  const own = gateways.filter(({ spec }) => hasLabels(labels, spec.selector));
  return virtualServices.flatMap((resource): UnboundRules[] => {
    const why = whyUnbound(resource, own, namespace);
    if (why === null) return [];
    const rules = resource.spec.http.map((_, index) => ({
      origin: originOf(resource, "http", index),
      before: 0,
      why,
    }));
    return [{ hosts: fullHosts(resource), rules }];
  });
}

/** Null: it has. */
function whyUnbound(
  resource: ConfigResource<VirtualServiceSpec>,
  gateways: readonly ConfigResource<GatewaySpec>[],
  namespace: string,
): string | null {
  const { spec } = resource;
  const named = new Set(spec.gateways.map((name) => resolveGateway(name, resource.namespace)));
  const bound = gateways.filter((gateway) => named.has(nameOf(gateway)));
  if (bound.length === 0) return `its gateways leave out ${gateways.map(nameOf).join(" and ")}`;
  if (!isVisible(spec.exportTo, resource.namespace, namespace)) {
    return `it is not exported to the namespace ${namespace}`;
  }
  const routed = { namespace: resource.namespace, hosts: fullHosts(resource) };
  const hasHost = bound.some((gateway) =>
    gateway.spec.servers.some((server) =>
      sharedHosts({ namespace: gateway.namespace, server }, routed).length > 0
    )
  );
  if (hasHost) return null;
  return `no server of ${
    bound.map(nameOf).join(" and ")
  } has the host for the namespace ${resource.namespace}`;
}

function fullHosts({ namespace, spec }: ConfigResource<VirtualServiceSpec>): readonly string[] {
  return spec.hosts.map((host) => resolveHost(host, namespace));
}

function nameOf({ namespace, name }: ConfigResource<GatewaySpec>): string {
  return `${namespace}/${name}`;
}
