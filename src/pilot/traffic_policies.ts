/** Which settings of a DestinationRule hold for one cluster: of the rule or a subset, at one port (Istio's merging). */
import type { TrafficPolicy } from "../config/schema/traffic_policy.ts";

/** Each setting is whole; null is Istio's default. */
export type EffectivePolicy = Omit<TrafficPolicy, "portLevelSettings">;

const DEFAULTS: EffectivePolicy = {
  loadBalancer: null,
  connectionPool: null,
  outlierDetection: null,
  tls: null,
  retryBudget: null,
  tunnel: null,
  proxyProtocol: null,
};

/**
 * A subset overrides its rule setting by setting. What is written for a port inherits nothing, neither from the
 * settings of all ports beside it nor, in a subset, from the rule: what it leaves out has Istio's default.
 */
export function effectivePolicy(
  rule: TrafficPolicy | null,
  subset: TrafficPolicy | null,
  port: number,
): EffectivePolicy {
  const own = atPort(rule, port) ?? rule ?? DEFAULTS;
  if (subset === null) return withoutPorts(own);
  const ofPort = atPort(subset, port);
  const whole = {
    retryBudget: subset.retryBudget ?? own.retryBudget,
    tunnel: subset.tunnel ?? own.tunnel,
    proxyProtocol: subset.proxyProtocol ?? own.proxyProtocol,
  };
  if (ofPort !== null) return { ...ofPort, ...whole };
  return {
    loadBalancer: subset.loadBalancer ?? own.loadBalancer,
    connectionPool: subset.connectionPool ?? own.connectionPool,
    outlierDetection: subset.outlierDetection ?? own.outlierDetection,
    tls: subset.tls ?? own.tls,
    ...whole,
  };
}

/** What a port has none of is as it is for all. */
function atPort(policy: TrafficPolicy | null, port: number): EffectivePolicy | null {
  const found = policy?.portLevelSettings.find((settings) => settings.port === port);
  if (found === undefined) return null;
  const { loadBalancer, connectionPool, outlierDetection, tls } = found;
  const { tunnel, proxyProtocol } = policy as TrafficPolicy;
  return { loadBalancer, connectionPool, outlierDetection, tls, retryBudget: null, tunnel, proxyProtocol };
}

function withoutPorts(policy: EffectivePolicy): EffectivePolicy {
  const { loadBalancer, connectionPool, outlierDetection, tls, retryBudget, tunnel, proxyProtocol } = policy;
  return { loadBalancer, connectionPool, outlierDetection, tls, retryBudget, tunnel, proxyProtocol };
}
