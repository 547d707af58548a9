/**
 * IST0101 for hosts at gateways: a rule leads requests to a service whose workloads are gateways, and at the port none of
 * these routes the host that the requests ask for.
 */
import { CODES } from "../codes.ts";
import { hostMatches, resolveHost, SERVICE_SUFFIX } from "../host.ts";
import type { ConfigResource, ResourceSet } from "../resource.ts";
import { MESH_GATEWAY, resolveGateway } from "../schema/gateway_name.ts";
import type { HttpRule } from "../schema/http_rule.ts";
import type { VirtualServiceSpec } from "../schema/virtual_service.ts";
import { serverSpeech } from "../server_speech.ts";
import { type Analyzer, warning } from "./analyzer.ts";
import { gatewayServices, type PlacedServer, portMeant } from "./gateway_services.ts";

type VirtualService = ConfigResource<VirtualServiceSpec>;

export const gatewayCalledHosts: Analyzer = function* (resources, registry) {
  const services = gatewayServices(resources);
  if (services.size === 0) return;
  const bound = boundTo(resources);
  for (const resource of resources.virtualServices) {
    if (!resource.spec.gateways.includes(MESH_GATEWAY)) continue;
    for (const [index, rule] of resource.spec.http.entries()) {
      if (!isForMesh(rule)) continue;
      for (const [at, { destination, headers }] of rule.route.entries()) {
        const host = resolveHost(destination.host, resource.namespace);
        const ports = services.get(host);
        const port = ports && portMeant(ports, registry.portsOf(host), destination.port);
        // A port that is shut is another finding, and bytes have no host.
        if (port === undefined || port.servers.length === 0 || port.servers.some(carriesBytes)) continue;
        if (setsAuthority(headers) || setsAuthority(rule.headers)) continue;
        const lost = askedHosts(resource, rule)
          .find((asked) => !port.servers.some((one) => routes(one, asked, bound)));
        if (lost === undefined) continue;
        const message = `${host} is gateways, of which none routes ${lost} at the port ${port.targetPort}; ` +
          "such requests are answered 404";
        yield warning(
          CODES.referenceNotFound,
          resource,
          ["spec", "http", index, "route", at, "destination"],
          message,
          "add the host to a server of a Gateway, and to a VirtualService for that",
        );
      }
    }
  }
};

/** By the Gateway's `NAMESPACE/NAME`. */
function boundTo({ virtualServices }: ResourceSet): ReadonlyMap<string, readonly VirtualService[]> {
  const bound = virtualServices.flatMap((resource) =>
    resource.spec.http.length === 0
      ? []
      : resource.spec.gateways.map((name) => [resolveGateway(name, resource.namespace), resource] as const)
  );
  const grouped = Map.groupBy(bound, ([key]) => key);
  return new Map([...grouped].map(([key, all]) => [key, all.map(([, resource]) => resource)]));
}

function isForMesh({ match }: HttpRule): boolean {
  return match.length === 0 ||
    match.some(({ gateways }) => gateways.length === 0 || gateways.includes(MESH_GATEWAY));
}

function carriesBytes({ server }: PlacedServer): boolean {
  const speech = serverSpeech(server);
  return speech !== "http" && speech !== "https";
}

function setsAuthority(headers: HttpRule["headers"]): boolean {
  const { set = {}, add = {} } = headers?.request ?? {};
  return Object.hasOwn(set, "host") || Object.hasOwn(add, "host");
}

/** What requests that meet the rule ask the gateway for, without a port; services of the mesh have several names. */
function askedHosts({ spec, namespace }: VirtualService, { rewrite }: HttpRule): readonly string[] {
  const authority = rewrite?.authority ?? null;
  if (authority !== null) return [authority.toLowerCase().replace(/:[0-9]*$/, "")];
  return spec.hosts.map((host) => resolveHost(host, namespace))
    .filter((host) => !host.startsWith("*") && !host.endsWith(`.${SERVICE_SUFFIX}`));
}

/** Whether a server lets the host in, and a VirtualService routes it there. */
function routes(
  { gateway, server }: PlacedServer,
  asked: string,
  bound: ReadonlyMap<string, readonly VirtualService[]>,
): boolean {
  const rules = bound.get(`${gateway.namespace}/${gateway.name}`) ?? [];
  return server.hosts.some((served) => {
    const from = served.namespace === "." ? gateway.namespace : served.namespace;
    return hostMatches(resolveHost(served.host, gateway.namespace), asked) &&
      rules.some(({ spec, namespace }) =>
        (from === "*" || from === namespace) &&
        spec.hosts.some((host) => hostMatches(resolveHost(host, namespace), asked))
      );
  });
}
