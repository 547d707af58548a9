/** A VirtualService as routes are made of it: its rules with those of its delegates, and all that they ask for. */
import { Delegates, type PlacedRule } from "../config/delegation.ts";
import { resolveHost } from "../config/host.ts";
import type { ConfigResource } from "../config/resource.ts";
import type { Destination } from "../config/schema/destination.ts";
import type { HttpRule } from "../config/schema/http_rule.ts";
import type { VirtualServiceSpec } from "../config/schema/virtual_service.ts";
import type { Labels } from "../model/labels.ts";

/** With what is asked of it again and again. */
export interface MeshRule {
  readonly resource: ConfigResource<VirtualServiceSpec>;
  /** `NAMESPACE/NAME`. */
  readonly key: string;
  /** No other rule has it, in no generation. */
  readonly serial: number;
  /** Full names and wildcards, lower case. */
  readonly hosts: readonly string[];
  /** In order, those of delegates in the place of the rules that delegate. */
  readonly rules: readonly PlacedRule[];
  /** Some match asks for labels or the namespace of the caller. */
  readonly asksForSource: boolean;
  /** Keys of labels of the caller that some match asks for. */
  readonly sourceLabelKeys: readonly string[];
  /** Full hosts to which requests, their copies and bytes go. */
  readonly destinationHosts: readonly string[];
  /** Full hosts of destinations that leave their port to be inferred. */
  readonly portlessHosts: readonly string[];
}

/** The rules of resources that serve on: the next generation has the same objects. */
const meshRules = new WeakMap<ConfigResource<VirtualServiceSpec>, MeshRule>();

let nextSerial = 1;

/** The rules of the VirtualServices that are `wanted`. */
export function routingRules(
  resources: readonly ConfigResource<VirtualServiceSpec>[],
  wanted: (resource: ConfigResource<VirtualServiceSpec>) => boolean,
): readonly MeshRule[] {
  const delegates = new Delegates(resources);
  return resources.filter(wanted).map((resource) => meshRule(resource, delegates));
}

/** The rules of a VirtualService with those of its delegates; the object of before where none of them has changed. */
export function meshRule(resource: ConfigResource<VirtualServiceSpec>, delegates: Delegates): MeshRule {
  const known = meshRules.get(resource);
  if (known !== undefined && resource.spec.http.every(({ delegate }) => delegate === null)) return known;
  const { rules } = delegates.rulesOf(resource);
  const isSame = known !== undefined && known.rules.length === rules.length &&
    known.rules.every((rule, index) => isSameRule(rule, rules[index] as PlacedRule));
  if (isSame) return known;
  const rule = buildRule(resource, rules);
  meshRules.set(resource, rule);
  return rule;
}

/** A rule that was merged with its delegate's is another object each time. */
function isSameRule(a: PlacedRule, b: PlacedRule): boolean {
  return a.resource === b.resource && a.index === b.index;
}

function buildRule(
  resource: ConfigResource<VirtualServiceSpec>,
  rules: readonly PlacedRule[],
): MeshRule {
  const { namespace, name, spec } = resource;
  const matches = rules.flatMap(({ http }) => http.match);
  const labels = [...matches, ...[...spec.tls, ...spec.tcp].flatMap((rule): readonly Asking[] => rule.match)]
    .map(({ sourceLabels }) => sourceLabels);
  const destinations = rules.flatMap(({ http, resource }) =>
    destinationsOf(http).map(({ host, port }) => ({ host: resolveHost(host, resource.namespace), port }))
  );
  const bytes = [...spec.tls, ...spec.tcp].flatMap(({ route }) =>
    route.map(({ destination: { host, port } }) => ({ host: resolveHost(host, namespace), port }))
  );
  const all = [...destinations, ...bytes];
  return {
    resource,
    key: `${namespace}/${name}`,
    serial: nextSerial++,
    hosts: [...new Set(spec.hosts.map((host) => resolveHost(host, namespace)))],
    rules,
    asksForSource: matches.some((match) =>
      match.sourceNamespace !== null || Object.keys(match.sourceLabels).length > 0
    ),
    sourceLabelKeys: [...new Set(labels.flatMap((asked) => Object.keys(asked)))],
    destinationHosts: [...new Set(all.map(({ host }) => host))],
    portlessHosts: [...new Set(all.filter(({ port }) => port === null).map(({ host }) => host))].sort(),
  };
}

interface Asking {
  readonly sourceLabels: Labels;
}

/** Where requests and their copies go. */
function destinationsOf({ route, mirror, mirrors }: HttpRule): readonly Destination[] {
  return [...route, ...mirror === null ? [] : [mirror], ...mirrors].map(({ destination }) => destination);
}
