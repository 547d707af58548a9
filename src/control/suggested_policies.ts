/** AuthorizationPolicies that allow the calls that were seen, and nothing else: a first draft for whoever has none. */
import { compareTexts } from "../lib/compare_texts.ts";
import type { Labels } from "../model/labels.ts";
import type { PolicySuggestions, SuggestedPolicy, SuggestedRule } from "../model/admin.ts";
import type { RecordedCall } from "../model/recorded_call.ts";
import { parseWorkloadKey, type WorkloadKey } from "../model/workload.ts";
import type { SeenCalls } from "../mixer/call_store.ts";

/** What is known of a workload; undefined: it is gone, or is not whose it was said to be. */
export type LabelsOf = (
  workload: WorkloadKey,
  spiffeId: string,
) => Labels | undefined;

/** The label by which a workload is chosen, the first that it has: those that Istio takes for its name. */
const NAME_LABELS = ["app", "app.kubernetes.io/name", "service.istio.io/canonical-name"];

interface Group {
  readonly namespace: string;
  readonly matchLabels: Labels;
  readonly seen: SeenCalls[];
}

type Operation = SuggestedRule["to"][number]["operation"];

/** One policy for all workloads with the same name label, sorted. */
export function suggestPolicies(
  seen: readonly SeenCalls[],
  labelsOf: LabelsOf,
): Pick<PolicySuggestions, "policies"> {
  const groups = new Map<string, Group>();
  for (const one of seen) {
    const labels = labelsOf(one.workload, one.principal);
    if (labels === undefined) continue;
    const { namespace } = parseWorkloadKey(one.workload) ?? { namespace: "" };
    const matchLabels = selectorOf(labels);
    const key = JSON.stringify([namespace, matchLabels]);
    const group = groups.get(key) ?? { namespace, matchLabels, seen: [] };
    group.seen.push(one);
    groups.set(key, group);
  }
  const sorted = [...groups].sort(([a], [b]) => compareTexts(a, b)).map(([, group]) => group);
  return { policies: sorted.flatMap((group) => policyOf(group) ?? []) };
}

function selectorOf(labels: Labels): Labels {
  const name = NAME_LABELS.find((label) => labels[label] !== undefined);
  return name === undefined ? labels : { [name]: labels[name] as string };
}

/** Null: no call was let through, and a policy for none would shut the workload off. */
function policyOf({ namespace, matchLabels, seen }: Group): SuggestedPolicy | null {
  const calls = seen.flatMap(({ calls }) => calls).filter(({ allowed }) => allowed > 0);
  const written = calls.filter(isWritable);
  if (written.length === 0) return null;
  const [name = "workloads"] = Object.values(matchLabels);
  return {
    workloads: seen.map(({ workload }) => workload),
    kinds: written.length,
    calls: sum(written),
    leftOut: sum(calls) - sum(written) + seen.reduce((count, { omitted }) => count + omitted, 0),
    resource: {
      apiVersion: "security.istio.io/v1",
      kind: "AuthorizationPolicy",
      metadata: { name: `${dnsLabel(name)}-callers`, namespace },
      spec: { selector: { matchLabels }, action: "ALLOW", rules: rulesOf(written) },
    },
  };
}

/** In a pattern these mean more than themselves; parameters of a path are allowed only where the path without them is too. */
function isWritable({ protocol, path }: RecordedCall): boolean {
  return protocol === "tcp" || !/^\*|\*$|\{\*|;|%3B/.test(path);
}

/** Callers who do the same share a rule. */
function rulesOf(calls: readonly RecordedCall[]): SuggestedRule[] {
  const byCaller = Map.groupBy(calls, ({ principal }) => principal);
  const proven = [...byCaller].filter(([principal]) => principal !== "")
    .flatMap(([principal, own]) => targetsOf(own).map((to) => ({ principal, to })));
  const alike = Map.groupBy(proven, ({ to }) => JSON.stringify(to));
  const rules = [...alike.values()].map((callers): SuggestedRule => ({
    from: [{ source: { principals: callers.map(({ principal }) => principal).sort() } }],
    to: callers[0]?.to ?? [],
  }));
  const sorted = rules.sort((a, b) => compareTexts(firstPrincipal(a), firstPrincipal(b)));
  return [...sorted, ...unprovenRules(byCaller.get("") ?? [])];
}

/** Who proved nothing is known by its address alone. */
function unprovenRules(calls: readonly RecordedCall[]): SuggestedRule[] {
  if (calls.length === 0) return [];
  const ipBlocks = [...new Set(calls.map(({ address }) => address))].sort();
  return targetsOf(calls).map((to) => ({ from: [{ source: { notPrincipals: ["*"], ipBlocks } }], to }));
}

/**
 * Of one rule each: requests and bytes stand apart, since a rule of which any operation asks for what HTTP has allows no
 * bytes at all.
 */
function targetsOf(calls: readonly RecordedCall[]): SuggestedRule["to"][] {
  const operations = operationsOf(calls);
  const isOfBytes = ({ operation }: SuggestedRule["to"][number]) => operation.methods === undefined;
  return [operations.filter((one) => !isOfBytes(one)), operations.filter(isOfBytes)]
    .filter(({ length }) => length > 0);
}

/** Sorted, so that equal calls give equal texts. */
function operationsOf(calls: readonly RecordedCall[]): SuggestedRule["to"] {
  const byPort = [...Map.groupBy(calls, ({ port }) => port)].sort(([a], [b]) => a - b);
  return byPort.flatMap(([port, own]): { operation: Operation }[] => {
    const ports = [String(port)];
    if (own.some(({ protocol }) => protocol === "tcp")) return [{ operation: { ports } }];
    const byMethod = Map.groupBy(own, ({ method }) => method);
    const pathsOf = [...byMethod].map(([method, ofMethod]) => ({
      method,
      paths: [...new Set(ofMethod.map(({ path }) => path))].sort(),
    }));
    const alike = [...Map.groupBy(pathsOf, ({ paths }) => JSON.stringify(paths)).values()];
    return alike.map((same) => ({
      operation: {
        ports,
        methods: same.map(({ method }) => method).sort(),
        paths: same[0]?.paths ?? [],
      },
    })).sort((a, b) => compareTexts(firstOf(a.operation.methods), firstOf(b.operation.methods)));
  });
}

function firstPrincipal({ from: [first] }: SuggestedRule): string {
  return firstOf(first?.source.principals);
}

function firstOf(texts: readonly string[] | undefined): string {
  return texts?.[0] ?? "";
}

function sum(calls: readonly RecordedCall[]): number {
  return calls.reduce((count, { allowed }) => count + allowed, 0);
}

/** Labels may have upper case, dots and underscores. */
function dnsLabel(text: string): string {
  return text.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "") || "workloads";
}
