/** What the files say of calls to a workload: which AuthorizationPolicies select it, and how its PeerAuthentication comes out. */
import { wantedBy } from "../config/selector.ts";
import { hasLabels } from "../model/labels.ts";
import type { ConfigResource, ResourceSet } from "../config/resource.ts";
import {
  type AuthorizationPolicySpec,
  type AuthorizationRule,
  claimOfKey,
  headerOfKey,
  isDryRun,
} from "../config/schema/authorization_policy.ts";
import type { MutualTlsMode, PeerAuthenticationSpec } from "../config/schema/peer_authentication.ts";
import type { RequestAuthenticationSpec } from "../config/schema/request_authentication.ts";
import type { JwtRule } from "../model/jwt_rule.ts";
import type { Policy, PolicyAttribute, PolicyRule, PolicyTest } from "../model/policy.ts";
import { sameElements } from "../lib/same_elements.ts";
import type { MeshWorkload } from "./file_workloads.ts";
import { jwtRulesOf } from "./jwt_rules.ts";

export type EffectiveMode = Exclude<MutualTlsMode, "UNSET">;

/** Of a workload, by its own ports. */
export interface PeerMode {
  readonly mode: EffectiveMode;
  readonly ports: ReadonlyMap<number, EffectiveMode>;
}

type Selecting = ConfigResource<
  AuthorizationPolicySpec | PeerAuthenticationSpec | RequestAuthenticationSpec
>;
type Selected = Pick<MeshWorkload, "namespace" | "labels">;

/** Istio's name for the trust domain of the mesh, whatever it is called. */
const LOCAL_TRUST_DOMAIN = "cluster.local";

export class PolicyCatalogue {
  readonly #root: string;
  readonly #authorization: ReadonlyMap<string, readonly ConfigResource<AuthorizationPolicySpec>[]>;
  readonly #peers: ReadonlyMap<string, readonly ConfigResource<PeerAuthenticationSpec>[]>;
  readonly #tokens: ReadonlyMap<string, readonly ConfigResource<RequestAuthenticationSpec>[]>;
  /** Some workload may be called in plain text because the files say so. */
  readonly disablesAny: boolean;

  /** Each kind sorted by name, of which the first counts where Istio takes the oldest: files have no age. */
  constructor(
    resources: Pick<
      ResourceSet,
      "authorizationPolicies" | "peerAuthentications" | "requestAuthentications"
    >,
    rootNamespace: string,
  ) {
    this.#root = rootNamespace;
    this.#authorization = Map.groupBy(resources.authorizationPolicies, ({ namespace }) => namespace);
    this.#peers = Map.groupBy(resources.peerAuthentications, ({ namespace }) => namespace);
    this.#tokens = Map.groupBy(resources.requestAuthentications, ({ namespace }) => namespace);
    this.disablesAny = resources.peerAuthentications.some(({ spec: { mtls, portLevelMtls } }) =>
      [mtls, ...Object.values(portLevelMtls)].some((one) => one?.mode === "DISABLE")
    );
  }

  /** Tells the workloads that are to be called in plain text at other ports than by that catalogue; null: there are none. */
  plainTextSince(before: PolicyCatalogue): ((workload: Selected) => boolean) | null {
    if (before === this || (!this.disablesAny && !before.disablesAny)) return null;
    const isOther = (namespace: string) =>
      !sameElements(this.#peers.get(namespace) ?? [], before.#peers.get(namespace) ?? []);
    const others = new Set([...this.#peers.keys(), ...before.#peers.keys()].filter(isOther));
    const rootIsOther = this.#root !== before.#root || others.has(this.#root);
    if (others.size === 0 && !rootIsOther) return null;
    return (workload) =>
      (rootIsOther || others.has(workload.namespace)) &&
      !sameInPlainText(this.peerMode(workload), before.peerMode(workload));
  }

  /** Everything on which the answers for workloads of a namespace depend. */
  ofNamespace(namespace: string): readonly Selecting[] {
    const namespaces = new Set([this.#root, namespace]);
    return [...namespaces].flatMap((one): Selecting[] => [
      ...this.#authorization.get(one) ?? [],
      ...this.#peers.get(one) ?? [],
      ...this.#tokens.get(one) ?? [],
    ]);
  }

  /** The provider that a workload's policies ask; of several the first, as in Istio. Null: they ask nobody. */
  providerFor(workload: Selected): string | null {
    const namespaces = [...new Set([this.#root, workload.namespace])];
    const asking = namespaces.flatMap((one) => this.#authorization.get(one) ?? [])
      .find((resource) => resource.spec.action === "CUSTOM" && selects(resource, workload));
    return asking?.spec.provider?.name ?? null;
  }

  /**
   * Those that select a workload, the mesh's own first. `trustDomains` are all names of the mesh's trust domain: a
   * principal with one of them means it with any. `provider` is whom it can ask: policies that ask another, or one
   * that there is not, deny, as in Istio. @default whomever they want
   */
  policiesFor(
    workload: Selected,
    trustDomains: readonly string[],
    provider: string | null = this.providerFor(workload),
  ): readonly Policy[] {
    const namespaces = new Set([this.#root, workload.namespace]);
    return [...namespaces].flatMap((one) => this.#authorization.get(one) ?? [])
      .filter((resource) => selects(resource, workload))
      .map((resource) => policyOf(resource, trustDomains, provider));
  }

  /** How tokens of its requests are verified, by all that select it; the mesh's own first. */
  jwtRulesFor(workload: Selected): readonly JwtRule[] {
    const namespaces = new Set([this.#root, workload.namespace]);
    return [...namespaces].flatMap((one) => this.#tokens.get(one) ?? [])
      .filter((resource) => selects(resource, workload))
      .flatMap(jwtRulesOf);
  }

  /** The workload's own, else that of its namespace, else that of the mesh, else PERMISSIVE. */
  peerMode(workload: Selected): PeerMode {
    const own = this.#peers.get(workload.namespace) ?? [];
    const forAll = (resource: Selecting) => Object.keys(wantedBy(resource)).length === 0;
    const named = own.find((resource) => !forAll(resource) && selects(resource, workload));
    const scopes = [named, own.find(forAll), (this.#peers.get(this.#root) ?? []).find(forAll)];
    const mode = scopes.map((scope) => scope?.spec.mtls?.mode).find(isSet) ?? "PERMISSIVE";
    const ports = Object.entries(named?.spec.portLevelMtls ?? {});
    return {
      mode,
      ports: new Map(ports.map(([port, own]) => [Number(port), isSet(own.mode) ? own.mode : mode])),
    };
  }
}

/** Whether the same ports are to be called in plain text. */
function sameInPlainText(a: PeerMode, b: PeerMode): boolean {
  const isPlain = (modes: PeerMode, port?: number) =>
    (port === undefined ? modes.mode : modeAt(modes, port)) === "DISABLE";
  return isPlain(a) === isPlain(b) &&
    [...a.ports.keys(), ...b.ports.keys()].every((port) => isPlain(a, port) === isPlain(b, port));
}

export function modeAt({ mode, ports }: PeerMode, port: number): EffectiveMode {
  return ports.get(port) ?? mode;
}

function isSet(mode: MutualTlsMode | undefined): mode is EffectiveMode {
  return mode !== undefined && mode !== "UNSET";
}

function selects(resource: Selecting, { labels }: Selected): boolean {
  return hasLabels(labels, wantedBy(resource));
}

function policyOf(
  resource: ConfigResource<AuthorizationPolicySpec>,
  trustDomains: readonly string[],
  provider: string | null,
): Policy {
  const { namespace, name, annotations, position, spec } = resource;
  return {
    name: `${namespace}/${name}`,
    action: spec.action === "CUSTOM" && spec.provider?.name !== provider ? "DENY" : spec.action,
    ...(isDryRun(annotations) === true ? { dryRun: true as const } : {}),
    file: position.file,
    line: position.line,
    rules: spec.rules.map((rule, index) => {
      const { line } = resource.positionOf(["spec", "rules", index]);
      return { line, ...ruleOf(rule, namespace, trustDomains) };
    }),
  };
}

function ruleOf(
  { from, to, when }: AuthorizationRule,
  namespace: string,
  trustDomains: readonly string[],
): Omit<PolicyRule, "line"> {
  const test = (
    attribute: PolicyAttribute,
    values: readonly string[],
    notValues: readonly string[],
    of: Pick<PolicyTest, "header" | "claim"> = {},
  ): PolicyTest[] => {
    if (values.length + notValues.length === 0) return [];
    const settled = (texts: readonly string[]) => settle(attribute, texts, namespace, trustDomains);
    return [{
      attribute,
      ...of,
      ...(values.length === 0 ? {} : { values: settled(values) }),
      ...(notValues.length === 0 ? {} : { notValues: settled(notValues) }),
    }];
  };
  return {
    sources: from.map(({ source }) => [
      ...test("source.principal", source.principals, source.notPrincipals),
      ...test("request.auth.principal", source.requestPrincipals, source.notRequestPrincipals),
      ...test("source.namespace", source.namespaces, source.notNamespaces),
      ...test("source.serviceAccount", source.serviceAccounts, source.notServiceAccounts),
      ...test("source.ip", source.ipBlocks, source.notIpBlocks),
      ...test("remote.ip", source.remoteIpBlocks, source.notRemoteIpBlocks),
    ]),
    operations: to.map(({ operation }) => [
      ...test("destination.port", operation.ports, operation.notPorts),
      ...test("method", operation.methods, operation.notMethods),
      ...test("path", operation.paths, operation.notPaths),
      ...test("host", operation.hosts, operation.notHosts),
    ]),
    conditions: when.flatMap(({ key, values, notValues }) => {
      const [header, claim] = [headerOfKey(key), claimOfKey(key)];
      if (header !== null) return test("header", values, notValues, { header });
      if (claim !== null) return test("request.auth.claims", values, notValues, { claim });
      return test(key as PolicyAttribute, values, notValues);
    }),
  };
}

/** A principal with one name of the trust domain, with all of them; others, and patterns of names, as they are. */
function underEachName(principal: string, trustDomains: readonly string[]): readonly string[] {
  const slashAt = principal.indexOf("/");
  const name = principal.slice(0, Math.max(0, slashAt));
  if (name !== LOCAL_TRUST_DOMAIN && !trustDomains.includes(name)) return [principal];
  return [principal, ...trustDomains.map((domain) => domain + principal.slice(slashAt))];
}

/** Values that say the same wherever they are read. */
function settle(
  attribute: PolicyAttribute,
  values: readonly string[],
  namespace: string,
  trustDomains: readonly string[],
): readonly string[] {
  if (attribute === "source.serviceAccount") {
    return values.map((value) => value.includes("/") ? value : `${namespace}/${value}`);
  }
  if (attribute !== "source.principal") return values;
  return [...new Set(values.flatMap((value) => underEachName(value, trustDomains)))];
}
