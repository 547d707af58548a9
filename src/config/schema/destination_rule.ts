/**
 * DestinationRule (networking.istio.io): the subsets of a host, and how its endpoints are treated.
 * Fields have Istio's names; durations are in milliseconds.
 */
import * as v from "valibot";
import { across } from "./across.ts";
import { fields, list, optional } from "./fields.ts";
import type { Immutable } from "./immutable.ts";
import { wrong } from "./problem.ts";
import { dnsLabel, exportTo, hostOrWildcard, labels } from "./scalars.ts";
import { trafficPolicy } from "./traffic_policy.ts";

/** Its policy overrides the rule's, setting by setting; null inherits all of it. It counts where a route names it. */
const subset = fields({ name: dnsLabel, labels, trafficPolicy: optional(trafficPolicy) });

const subsets = list(subset);

const written = fields({
  /** Lower case, as written: a short name is not resolved yet. */
  host: hostOrWildcard,
  trafficPolicy: optional(trafficPolicy),
  subsets: v.pipe(
    subsets,
    across(function* (all: v.InferOutput<typeof subsets>) {
      const seen = new Set<string>();
      for (const [index, { name }] of all.entries()) {
        if (seen.has(name)) {
          yield { message: wrong(`the subset "${name}" is defined twice`), at: [index, "name"] };
        }
        seen.add(name);
      }
    }),
  ),
  exportTo,
  /** The callers to which the rule applies; null is all of its namespace's view. */
  workloadSelector: optional(fields({ matchLabels: labels })),
});

export const destinationRuleSpec = v.pipe(
  written,
  across(function* ({ exportTo, workloadSelector }: v.InferOutput<typeof written>) {
    if (workloadSelector === null || !exportTo.includes("*")) return;
    const message = wrong(
      "is more than a rule with a workloadSelector can be for, its own namespace",
      'use "."',
    );
    yield { message, at: ["exportTo"] };
  }),
);

export type DestinationRuleSpec = Immutable<v.InferOutput<typeof destinationRuleSpec>>;
export type Subset = DestinationRuleSpec["subsets"][number];
