/** Where endpoints stand, and which come first for a proxy that stands somewhere itself (DestinationRule `localityLbSetting`). */
import type { Labels } from "../../../model/labels.ts";
import type { Endpoint, LocalitySettings } from "../../../model/cluster.ts";

/** What the rules compare endpoints with. */
export interface OwnPlace {
  /** `REGION/ZONE/SUBZONE`. */
  readonly locality: string;
  readonly labels: Labels;
}

/** Levels of `localityDistance`, and one for regions that a rule leaves out. */
const DISTANCES = 5;
const OTHER_REGION = 3;
const OTHER_THAN_FAILOVER = 4;

/** A pattern has `*` for any part, and says nothing of the parts that it leaves out. */
export function localityMatches(locality: string, pattern: string): boolean {
  const [region, ...rest] = locality.split("/");
  const [wantedRegion, ...wantedRest] = pattern.split("/");
  if (wantedRegion !== "*" && wantedRegion !== (region ?? "")) return false;
  return wantedRest.every((part, i) => part === "*" || part === "" || part === (rest[i] ?? ""));
}

/** 0: the same subzone, 1: the same zone, 2: the same region, 3: another region. */
export function localityDistance(a: string, b: string): number {
  const [left, right] = [a.split("/"), b.split("/")];
  let same = 0;
  while (same < OTHER_REGION && (left[same] ?? "") === (right[same] ?? "")) same++;
  return OTHER_REGION - same;
}

/** The priority level of each endpoint; 0 is asked first, and no level is skipped. */
export function priorities(
  endpoints: readonly Endpoint[],
  own: OwnPlace,
  { failover, failoverPriority }: LocalitySettings,
): number[] {
  const byLabels = failoverPriority.length > 0;
  const byPlace = !byLabels || failover.length > 0;
  const wanted = failoverPriority.map((entry) => wantedLabel(entry, own.labels));
  const raw = endpoints.map((endpoint) => {
    const labelLevel = byLabels ? labelMismatch(endpoint, wanted) : 0;
    return byPlace ? labelLevel * DISTANCES + placeLevel(endpoint, own, failover) : labelLevel;
  });
  const levels = [...new Set(raw)].sort((a, b) => a - b);
  return raw.map((level) => levels.indexOf(level));
}

/**
 * The share of each endpoint's locality by `distribute`: endpoints of one group share its weight. Null when no rule is
 * for this proxy. Endpoints that the rule names nowhere get nothing, and are in no group.
 */
export function distribution(
  endpoints: readonly Endpoint[],
  own: OwnPlace,
  { distribute }: LocalitySettings,
): { readonly weight: number; readonly members: readonly number[] }[] | null {
  const rule = distribute.find(({ from }) => localityMatches(own.locality, from));
  if (rule === undefined) return null;
  const left = new Set(endpoints.keys());
  const groups: { weight: number; members: number[] }[] = [];
  for (const [pattern, share] of Object.entries(rule.to)) {
    const matched = [...left].filter((i) =>
      localityMatches((endpoints[i] as Endpoint).locality ?? "", pattern)
    );
    for (const i of matched) left.delete(i);
    const places = Map.groupBy(matched, (i) => (endpoints[i] as Endpoint).locality ?? "");
    const weigh = (members: readonly number[]) =>
      members.reduce((sum, i) => sum + Math.max(1, (endpoints[i] as Endpoint).weight), 0);
    const sum = weigh(matched);
    for (const members of places.values()) groups.push({ weight: share * weigh(members) / sum, members });
  }
  return groups;
}

/** `LABEL=VALUE` brings its value along; else it is the proxy's own. */
function wantedLabel(entry: string, own: Labels): [name: string, value: string] {
  const [name, value] = entry.split("=") as [string, string?];
  return [name, value ?? own[name] ?? ""];
}

/** 0 when all labels agree; the earlier the first one that does not, the more. */
function labelMismatch({ labels }: Endpoint, wanted: readonly (readonly [string, string])[]): number {
  const first = wanted.findIndex(([name, value]) => (labels?.[name] ?? "") !== value);
  return first < 0 ? 0 : wanted.length - first;
}

function placeLevel(
  { locality = "" }: Endpoint,
  own: OwnPlace,
  failover: LocalitySettings["failover"],
): number {
  const distance = localityDistance(own.locality, locality);
  if (distance < OTHER_REGION) return distance;
  const [region] = own.locality.split("/");
  const rule = failover.find(({ from }) => from === region);
  return rule === undefined || locality.split("/")[0] === rule.to ? OTHER_REGION : OTHER_THAN_FAILOVER;
}
