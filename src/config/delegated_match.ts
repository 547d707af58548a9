/**
 * The match of a delegate's rule within that of the rule that delegates to it. What is within what is as Istio decides
 * it, which compares exact values and prefixes alone.
 */
import type { NamedMatch, StringMatch } from "../model/route.ts";
import { resolveGateway } from "./schema/gateway_name.ts";
import type { HttpMatch } from "./schema/http_match.ts";

/** The blocks of a rule, any of which may hold, and the namespace from which they name gateways. */
export interface WrittenMatch {
  readonly blocks: readonly HttpMatch[];
  readonly namespace: string;
}

/** Why a block of the delegate's rule is in none of the others. */
export interface MatchConflict {
  /** Index of the block in the delegate's rule. */
  readonly block: number;
  /** Of the first condition that fails, from the block on; the block may lack it. */
  readonly path: readonly string[];
  /** The value is beyond that of the other; it is of a kind that is within nothing; it has to be the same, and is not. */
  readonly kind: "outside" | "incomparable" | "unlike";
}

/** Every block of the leaf needs one of the root that it narrows. Gateways come out as `NAMESPACE/NAME`. */
export function mergeMatches(root: WrittenMatch, leaf: WrittenMatch): readonly HttpMatch[] | MatchConflict {
  const [wide, narrow] = [resolved(root), resolved(leaf)];
  if (wide.length === 0) return narrow;
  if (narrow.length === 0) return wide;
  const merged: HttpMatch[] = [];
  for (const [block, own] of narrow.entries()) {
    const wider = wide.filter((one) => conflictOf(one, own) === null);
    if (wider.length === 0) {
      return { block, ...conflictOf(wide[0] as HttpMatch, own) as Omit<MatchConflict, "block"> };
    }
    merged.push(...wider.map((one) => mergeBlocks(one, own)));
  }
  return merged;
}

function resolved({ blocks, namespace }: WrittenMatch): readonly HttpMatch[] {
  return blocks.map((block) =>
    block.gateways.length === 0
      ? block
      : { ...block, gateways: block.gateways.map((name) => resolveGateway(name, namespace)) }
  );
}

function mergeBlocks(root: HttpMatch, leaf: HttpMatch): HttpMatch {
  return {
    name: joined(root.name, leaf.name),
    uri: leaf.uri ?? root.uri,
    scheme: leaf.scheme ?? root.scheme,
    method: leaf.method ?? root.method,
    authority: leaf.authority ?? root.authority,
    headers: mergeNamed(root.headers, leaf.headers),
    withoutHeaders: mergeNamed(root.withoutHeaders, leaf.withoutHeaders),
    queryParams: mergeNamed(root.queryParams, leaf.queryParams),
    port: leaf.port ?? root.port,
    sourceLabels: { ...root.sourceLabels, ...leaf.sourceLabels },
    sourceNamespace: leaf.sourceNamespace ?? root.sourceNamespace,
    gateways: leaf.gateways.length > 0 ? leaf.gateways : root.gateways,
    ignoreUriCase: leaf.ignoreUriCase,
    statPrefix: leaf.statPrefix ?? root.statPrefix,
  };
}

function mergeNamed(root: readonly NamedMatch[], leaf: readonly NamedMatch[]): readonly NamedMatch[] {
  return [...root.filter(({ name }) => !leaf.some((one) => one.name === name)), ...leaf];
}

/** Names of rules, and of their blocks. */
export function joined(root: string | null, leaf: string | null): string | null {
  return root === null || leaf === null ? leaf ?? root : `${root}-${leaf}`;
}

type Conflict = Omit<MatchConflict, "block">;

const VALUES = ["uri", "scheme", "method", "authority"] as const;
const NAMED = ["headers", "withoutHeaders", "queryParams"] as const;

function conflictOf(root: HttpMatch, leaf: HttpMatch): Conflict | null {
  for (const field of VALUES) {
    const kind = compare(root[field], leaf[field]);
    if (kind !== null) return { path: [field], kind };
  }
  for (const field of NAMED) {
    for (const { name, match } of leaf[field]) {
      const kind = compare(root[field].find((one) => one.name === name)?.match ?? null, match);
      if (kind !== null) return { path: [field, name], kind };
    }
  }
  if (root.ignoreUriCase !== leaf.ignoreUriCase) return unlike("ignoreUriCase");
  if (root.port !== null && leaf.port !== null && root.port !== leaf.port) return unlike("port");
  // Unlike anything else, it has to be said again.
  if (root.sourceNamespace !== null && root.sourceNamespace !== leaf.sourceNamespace) {
    return unlike("sourceNamespace");
  }
  for (const [key, value] of Object.entries(leaf.sourceLabels)) {
    if ((root.sourceLabels[key] ?? value) !== value) return unlike("sourceLabels", key);
  }
  const isOutside = root.gateways.length > 0 && leaf.gateways.some((name) => !root.gateways.includes(name));
  return isOutside ? { path: ["gateways"], kind: "outside" } : null;
}

function unlike(...path: readonly string[]): Conflict {
  return { path, kind: "unlike" };
}

/** Null where the leaf is inside, or either says nothing. */
function compare(root: StringMatch | null, leaf: StringMatch | null): "outside" | "incomparable" | null {
  if (root === null || leaf === null) return null;
  if (!isComparable(root) || !isComparable(leaf)) return "incomparable";
  const isInside = root.type === "exact"
    ? leaf.type === "exact" && leaf.value === root.value
    : leaf.value.startsWith(root.value);
  return isInside ? null : "outside";
}

/** Presence and expressions are not, nor is the empty value, which Istio does not tell from none. */
function isComparable(match: StringMatch): match is StringMatch & { type: "exact" | "prefix" } {
  return (match.type === "exact" || match.type === "prefix") && match.value !== "";
}
