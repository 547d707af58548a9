/** DestinationRule (networking.istio.io): the subsets of a host, and how requests are balanced among its endpoints. */
import * as v from "valibot";
import type { BalancerPolicy } from "../../model/snapshot.ts";
import { fields, list, optional, type Schema } from "./fields.ts";
import { unimplementedValue, wrong } from "./problem.ts";
import { dnsLabel, exportTo, hostOrWildcard, labels } from "./scalars.ts";

const BALANCERS: Readonly<Record<string, BalancerPolicy>> = {
  UNSPECIFIED: "LEAST_REQUEST",
  LEAST_REQUEST: "LEAST_REQUEST",
  // Istio's deprecated name for the same.
  LEAST_CONN: "LEAST_REQUEST",
  ROUND_ROBIN: "ROUND_ROBIN",
  RANDOM: "RANDOM",
};

const simpleBalancer: Schema<BalancerPolicy> = v.pipe(
  v.string(),
  v.check((name) => name !== "PASSTHROUGH", unimplementedValue("the load balancer PASSTHROUGH")),
  v.check(
    (name) => name === "PASSTHROUGH" || Object.hasOwn(BALANCERS, name),
    wrong("{} is not a load balancer; one of LEAST_REQUEST, ROUND_ROBIN, RANDOM"),
  ),
  v.transform((name) => BALANCERS[name] as BalancerPolicy),
);

const loadBalancer = fields(
  { simple: v.nullish(simpleBalancer, "UNSPECIFIED") },
  ["consistentHash", "localityLbSetting", "warmup", "warmupDurationSecs"],
);

/** A subset's policy overrides the rule's, field by field; null inherits. */
const trafficPolicy = fields({ loadBalancer: optional(loadBalancer) }, [
  "connectionPool",
  "outlierDetection",
  "tls",
  "portLevelSettings",
  "tunnel",
  "proxyProtocol",
  "retryBudget",
]);

const subset = fields({ name: dnsLabel, labels, trafficPolicy: optional(trafficPolicy) });

export const destinationRuleSpec = fields({
  /** Lower case, as written: a short name is not resolved yet. */
  host: hostOrWildcard,
  trafficPolicy: optional(trafficPolicy),
  subsets: v.pipe(
    list(subset),
    v.rawCheck(({ dataset, addIssue }) => {
      if (!dataset.typed) return;
      const seen = new Set<string>();
      for (const [index, { name }] of dataset.value.entries()) {
        if (seen.has(name)) {
          addIssue({
            message: wrong(`the subset "${name}" is defined twice`),
            path: [
              { type: "array", origin: "value", input: dataset.value, key: index, value: name },
              { type: "object", origin: "value", input: {}, key: "name", value: name },
            ],
          });
        }
        seen.add(name);
      }
    }),
  ),
  exportTo,
}, ["workloadSelector"]);

export type DestinationRuleSpec = v.InferOutput<typeof destinationRuleSpec>;
