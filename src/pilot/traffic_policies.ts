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
  if (ofPort !== null) return { ...ofPort, retryBudget: subset.retryBudget ?? own.retryBudget };
  return {
    loadBalancer: subset.loadBalancer ?? own.loadBalancer,
    connectionPool: subset.connectionPool ?? own.connectionPool,
    outlierDetection: subset.outlierDetection ?? own.outlierDetection,
    tls: subset.tls ?? own.tls,
    retryBudget: subset.retryBudget ?? own.retryBudget,
  };
}

/** A port has no retry budget of its own. */
function atPort(policy: TrafficPolicy | null, port: number): EffectivePolicy | null {
  const found = policy?.portLevelSettings.find((settings) => settings.port === port);
  if (found === undefined) return null;
  const { loadBalancer, connectionPool, outlierDetection, tls } = found;
  return { loadBalancer, connectionPool, outlierDetection, tls, retryBudget: null };
}

function withoutPorts(policy: EffectivePolicy): EffectivePolicy {
  const { loadBalancer, connectionPool, outlierDetection, tls, retryBudget } = policy;
  return { loadBalancer, connectionPool, outlierDetection, tls, retryBudget };
}
