/** Rules that ask for a token where none is ever verified: of policies (BOW0032), and of routes (IST0149). */
import { hasLabels, type Labels, mayBeOne } from "../../model/labels.ts";
import { isClaimName } from "../../model/claim_name.ts";
import { CODES } from "../codes.ts";
import type { ConfigResource, ResourceSet } from "../resource.ts";
import type { AuthorizationRule } from "../schema/authorization_policy.ts";
import { MESH_GATEWAY, resolveGateway } from "../schema/gateway_name.ts";
import { MESH_CONFIG_DEFAULT } from "../schema/mesh_config.ts";
import type { RequestAuthenticationSpec } from "../schema/request_authentication.ts";
import { wantedBy } from "../selector.ts";
import { type Analyzer, type FieldPath, warning } from "./analyzer.ts";
import { gatewaysByKey } from "./gateways.ts";
import { formatLabels, knownWorkloads } from "./known_workloads.ts";

export const policyTokens: Analyzer = function* (resources) {
  const verifiers = new Verifiers(resources);
  const workloads = knownWorkloads(resources);
  for (const policy of resources.authorizationPolicies) {
    const index = policy.spec.rules.findIndex(asksForToken);
    if (index < 0) continue;
    const { namespace } = policy;
    const wanted = wantedBy(policy);
    // A policy of the root namespace speaks of workloads everywhere, of which any may have a verifier of its own.
    if (namespace === verifiers.root) {
      if (verifiers.any) continue;
    } else {
      const known = workloads.selected(namespace, wanted);
      if ((known.length === 0 ? [wanted] : known).every((labels) => verifiers.select(namespace, labels))) {
        continue;
      }
    }
    const labels = Object.keys(wanted).length === 0 ? "" : ` with ${formatLabels(wanted)}`;
    yield warning(
      CODES.policyNeedsToken,
      policy,
      ["spec", "rules", index],
      `no RequestAuthentication selects all workloads of ${namespace}${labels}, so that requests to them have no token`,
      "write a RequestAuthentication for them",
    );
  }
};

export const claimRoutes: Analyzer = function* (resources) {
  const verifiers = new Verifiers(resources);
  const gateways = gatewaysByKey(resources);
  for (const resource of resources.virtualServices) {
    for (const [rule, { match }] of resource.spec.http.entries()) {
      for (const [index, one] of match.entries()) {
        const field = (["headers", "withoutHeaders"] as const)
          .find((field) => one[field].some(({ name }) => isClaimName(name)));
        if (field === undefined) continue;
        const named = one.gateways.length > 0 ? one.gateways : resource.spec.gateways;
        const path: FieldPath = ["spec", "http", rule, "match", index, field];
        const blind = named.find((name) => {
          if (name === MESH_GATEWAY) return true;
          const gateway = gateways.get(resolveGateway(name, resource.namespace));
          return gateway !== undefined && !verifiers.mightSelect(gateway.spec.selector);
        });
        if (blind === undefined) continue;
        const why = blind === MESH_GATEWAY
          ? "sidecars verify no tokens of the calls that they send"
          : `no RequestAuthentication selects the workloads of the gateway ${blind}`;
        const hint = blind === MESH_GATEWAY
          ? "name a gateway, and leave mesh out"
          : "write a RequestAuthentication for the gateway";
        yield warning(CODES.claimsUnverified, resource, path, `claims are unknown here: ${why}`, hint);
      }
    }
  }
};

/** RequestAuthentications that verify anything. */
class Verifiers {
  readonly root: string;
  readonly #all: readonly ConfigResource<RequestAuthenticationSpec>[];

  constructor({ requestAuthentications, meshConfigs }: ResourceSet) {
    this.root = meshConfigs[0]?.spec.rootNamespace ?? MESH_CONFIG_DEFAULT.rootNamespace;
    this.#all = requestAuthentications.filter(({ spec }) => spec.jwtRules.length > 0);
  }

  get any(): boolean {
    return this.#all.length > 0;
  }

  select(namespace: string, labels: Labels): boolean {
    return this.#all.some((one) =>
      (one.namespace === namespace || one.namespace === this.root) && hasLabels(labels, wantedBy(one))
    );
  }

  /** Whether one might select workloads of which these labels are known, and in no namespace. */
  mightSelect(labels: Labels): boolean {
    return this.#all.some((one) => mayBeOne(wantedBy(one), labels));
  }
}

function asksForToken({ from, when }: AuthorizationRule): boolean {
  return from.some(({ source: { requestPrincipals, notRequestPrincipals } }) =>
    requestPrincipals.length + notRequestPrincipals.length > 0
  ) || when.some(({ key }) => key.startsWith("request.auth."));
}
