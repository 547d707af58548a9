/** How often each rule of each policy decided, since the start. */
import type { Sample } from "./prometheus_text.ts";

/** Rules that are counted one by one; what is beyond is counted together. */
const POLICY_COUNTERS_MAX = 10_000;

/** What became of a call, `custom` that somebody was asked; `dry-run-…` is what would have become of it. */
export type PolicyVerdict = RuleVerdict | `dry-run-${RuleVerdict}`;
type RuleVerdict = "allow" | "deny" | "audit" | "custom";

/** `policy` is `NAMESPACE/NAME` and `rule` counts from 0; both are `none` where no rule allowed. */
export interface PolicyLabels {
  readonly policy: string;
  readonly rule: string;
  readonly action: PolicyVerdict;
}

export const NO_RULE = "none";

export interface PolicyCounter {
  readonly labels: PolicyLabels;
  count: number;
}

/** Differences since the last report. */
export interface PolicyCountReport extends PolicyLabels {
  readonly count: number;
}

export class PolicyCounts {
  readonly #counters = new Map<string, PolicyCounter>();
  readonly #told = new Map<PolicyCounter, number>();

  /** The counter of these labels; the same object every time. Not for the hot path. */
  counter(labels: PolicyLabels): PolicyCounter {
    const full = this.#counters.size >= POLICY_COUNTERS_MAX;
    const known = this.#counters.get(keyOf(labels));
    if (known !== undefined) return known;
    const counted = full ? { policy: "overflow", rule: NO_RULE, action: labels.action } : labels;
    const counter = this.#counters.get(keyOf(counted)) ?? { labels: counted, count: 0 };
    this.#counters.set(keyOf(counted), counter);
    return counter;
  }

  /** Adds what another process of the same proxy counted. */
  absorb({ policy, rule, action, count }: PolicyCountReport): void {
    this.counter({ policy, rule, action }).count += count;
  }

  takeReport(): PolicyCountReport[] {
    const report: PolicyCountReport[] = [];
    for (const counter of this.#counters.values()) {
      const count = counter.count - (this.#told.get(counter) ?? 0);
      if (count === 0) continue;
      this.#told.set(counter, counter.count);
      report.push({ ...counter.labels, count });
    }
    return report;
  }

  samples(): Sample[] {
    return [...this.#counters.values()].filter(({ count }) => count > 0).map(({ labels, count }) => ({
      name: "bowline_policy_decisions_total",
      help: "Calls on which a rule of an AuthorizationPolicy decided.",
      type: "counter",
      value: count,
      labels: { ...labels },
    }));
  }
}

function keyOf({ policy, rule, action }: PolicyLabels): string {
  return `${policy} ${rule} ${action}`;
}
