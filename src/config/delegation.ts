/**
 * The HTTP rules of a VirtualService with those in place to which it delegates (Istio's `delegate`, one level): each rule
 * of the delegate is narrowed by the match of the rule that delegates, and has its other fields where it lacks them.
 */
import type { NamedMatch, StringMatch } from "../model/route.ts";
import type { ConfigResource } from "./resource.ts";
import type { HttpMatch } from "./schema/http_match.ts";
import type { HttpRule } from "./schema/http_rule.ts";
import type { VirtualServiceSpec } from "./schema/virtual_service.ts";
import { isVisible } from "./visibility.ts";

type VirtualService = ConfigResource<VirtualServiceSpec>;

/** A rule and where it is written. */
export interface PlacedRule {
  readonly http: HttpRule;
  readonly resource: VirtualService;
  /** In `http[]` of that resource. */
  readonly index: number;
}

/** A rule that has no effect, since Istio's delegation drops it. */
export interface DroppedRule {
  readonly resource: VirtualService;
  readonly index: number;
  readonly reason: "no such delegate" | "not exported" | "conflict";
  /** `NAMESPACE/NAME` of who delegates where there is a conflict, else of the delegate. */
  readonly other: string;
}

export interface Delegation {
  readonly rules: readonly PlacedRule[];
  readonly dropped: readonly DroppedRule[];
}

export class Delegates {
  readonly #byKey: ReadonlyMap<string, VirtualService>;

  constructor(resources: readonly VirtualService[]) {
    const delegates = resources.filter(({ spec }) => spec.hosts.length === 0);
    this.#byKey = new Map(delegates.map((one) => [`${one.namespace}/${one.name}`, one]));
  }

  /** The rules of a VirtualService in order, none of which delegates. */
  rulesOf(resource: VirtualService): Delegation {
    const rules: PlacedRule[] = [];
    const dropped: DroppedRule[] = [];
    for (const [index, http] of resource.spec.http.entries()) {
      if (http.delegate === null) {
        rules.push({ http, resource, index });
        continue;
      }
      const key = `${http.delegate.namespace ?? resource.namespace}/${http.delegate.name}`;
      const child = this.#byKey.get(key);
      if (child === undefined || !isVisible(child.spec.exportTo, child.namespace, resource.namespace)) {
        const reason = child === undefined ? "no such delegate" : "not exported";
        dropped.push({ resource, index, reason, other: key });
        continue;
      }
      for (const [childIndex, rule] of child.spec.http.entries()) {
        const merged = mergeRules(http, rule);
        if (merged !== null) rules.push({ http: merged, resource: child, index: childIndex });
        else {
          const other = `${resource.namespace}/${resource.name}`;
          dropped.push({ resource: child, index: childIndex, reason: "conflict", other });
        }
      }
    }
    return { rules, dropped };
  }
}

/** Null where no request can meet both: Istio drops the rule. */
function mergeRules(root: HttpRule, leaf: HttpRule): HttpRule | null {
  const match = mergeMatches(root.match, leaf.match);
  if (match === null) return null;
  return {
    ...leaf,
    match,
    name: joined(root.name, leaf.name),
    rewrite: leaf.rewrite ?? root.rewrite,
    timeout: leaf.timeout ?? root.timeout,
    retries: leaf.retries ?? root.retries,
    fault: leaf.fault ?? root.fault,
    mirror: leaf.mirror ?? root.mirror,
    mirrors: leaf.mirrors.length > 0 ? leaf.mirrors : root.mirrors,
    corsPolicy: leaf.corsPolicy ?? root.corsPolicy,
    headers: leaf.headers ?? root.headers,
  };
}

/** Every block of the leaf needs one of the root that it narrows. */
function mergeMatches(root: readonly HttpMatch[], leaf: readonly HttpMatch[]): readonly HttpMatch[] | null {
  if (root.length === 0) return leaf;
  if (leaf.length === 0) return root;
  const merged: HttpMatch[] = [];
  for (const narrow of leaf) {
    const wider = root.filter((wide) => !conflict(wide, narrow));
    if (wider.length === 0) return null;
    merged.push(...wider.map((wide) => mergeBlocks(wide, narrow)));
  }
  return merged;
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

/** Whether the leaf asks for something outside of what the root allows, as Istio decides it. */
function conflict(root: HttpMatch, leaf: HttpMatch): boolean {
  const differs = <Value>(a: Value | null, b: Value | null) => a !== null && b !== null && a !== b;
  return outside(root.uri, leaf.uri) || outside(root.scheme, leaf.scheme) ||
    outside(root.method, leaf.method) || outside(root.authority, leaf.authority) ||
    outsideNamed(root.headers, leaf.headers) || outsideNamed(root.withoutHeaders, leaf.withoutHeaders) ||
    outsideNamed(root.queryParams, leaf.queryParams) ||
    root.ignoreUriCase !== leaf.ignoreUriCase ||
    differs(root.port, leaf.port) || differs(root.sourceNamespace, leaf.sourceNamespace) ||
    Object.entries(leaf.sourceLabels).some(([key, value]) => (root.sourceLabels[key] ?? value) !== value) ||
    (root.gateways.length > 0 && leaf.gateways.some((name) => !root.gateways.includes(name)));
}

function outsideNamed(root: readonly NamedMatch[], leaf: readonly NamedMatch[]): boolean {
  return leaf.some(({ name, match }) => outside(root.find((one) => one.name === name)?.match ?? null, match));
}

/** An exact value or a longer prefix is inside of a prefix; nothing is known to be inside of a regex, or it of others. */
function outside(root: StringMatch | null, leaf: StringMatch | null): boolean {
  if (root === null || leaf === null || root.type === "present") return false;
  if (leaf.type === "present" || root.type === "regex" || leaf.type === "regex") return true;
  if (root.type === "exact") return leaf.type !== "exact" || leaf.value !== root.value;
  return !leaf.value.startsWith(root.value);
}

function joined(root: string | null, leaf: string | null): string | null {
  return root === null || leaf === null ? leaf ?? root : `${root}-${leaf}`;
}
