/**
 * Which route a request takes: virtual host by authority, then the first rule that matches. Compiled once per snapshot;
 * the proxy and `explain` ask the same objects.
 */
import type { Route, RouteMatch } from "../../model/route.ts";
import type { VirtualHost } from "../../model/snapshot.ts";
import type { Random } from "../../lib/prng.ts";
import type { RequestHead } from "../exchange.ts";
import {
  type CompiledDestination,
  type CompiledForward,
  type CompiledRoute,
  compileRoute,
} from "./compiled_route.ts";
import { type Condition, pathWithoutQuery } from "./conditions.ts";
import { INDEXED_ROUTES_MIN, PathIndex, routePathKeys } from "./path_index.ts";
import { pickIndex } from "./weighted_targets.ts";
import { findByWildcard, hasLabelWildcard } from "./wildcard_names.ts";

export interface CompiledVirtualHost<Target> {
  readonly virtualHost: VirtualHost;
  readonly routes: readonly CompiledRoute<Target>[];
  /** Null where there are few. */
  readonly index: PathIndex | null;
}

/** One rule as `explain` shows it. */
export interface RouteVerdict {
  readonly route: Route;
  readonly matched: boolean;
  readonly why: string;
}

export class RouteTable<Target> {
  readonly #byDomain = new Map<string, CompiledVirtualHost<Target>>();
  readonly #wildcards: "none" | "of labels" | "within labels";

  /** `find` turns a cluster's name into what the proxy sends to. Throws when a regex does not compile. */
  constructor(virtualHosts: Iterable<VirtualHost>, find: (cluster: string) => Target | null) {
    for (const virtualHost of virtualHosts) {
      const { routes } = virtualHost;
      const compiled = {
        virtualHost,
        routes: routes.map((route) => compileRoute(route, find)),
        index: routes.length < INDEXED_ROUTES_MIN ? null : new PathIndex(routes.map(routePathKeys)),
      };
      for (const domain of virtualHost.domains) this.#byDomain.set(domain, compiled);
    }
    const isAny = [...this.#byDomain.keys()].some((domain) => domain.startsWith("*"));
    this.#wildcards = !isAny
      ? "none"
      : hasLabelWildcard(this.#byDomain.keys())
      ? "within labels"
      : "of labels";
  }

  /** The virtual host of an authority: exact before wildcard, and the longest wildcard first. */
  virtualHost(authority: string): CompiledVirtualHost<Target> | undefined {
    const found = this.#byDomain.get(authority);
    if (found !== undefined) return found;
    const canonical = canonicalAuthority(authority);
    const exact = canonical === authority ? undefined : this.#byDomain.get(canonical);
    if (exact !== undefined || this.#wildcards === "none") return exact;
    return findByWildcard(this.#byDomain, canonical, this.#wildcards === "within labels") ??
      this.#byDomain.get("*");
  }
}

/**
 * Lower case, without the dot of a rooted name, without an empty port and the zeros before one: an authority is the same
 * however it is written (RFC 3986 §6.2.3).
 */
export function canonicalAuthority(authority: string): string {
  const lower = authority.toLowerCase();
  const colon = lower.lastIndexOf(":");
  const hasPort = colon >= 0 && !lower.endsWith("]");
  const name = hasPort ? lower.slice(0, colon) : lower;
  const host = name.endsWith(".") ? name.slice(0, -1) : name;
  const port = hasPort ? lower.slice(colon + 1).replace(/^0+(?=[0-9])/, "") : "";
  return port === "" ? host : `${host}:${port}`;
}

export function findRoute<Target>(
  { routes, index }: CompiledVirtualHost<Target>,
  head: RequestHead,
): CompiledRoute<Target> | undefined {
  if (index !== null) return index.find(pathWithoutQuery(head), head, routes, matches);
  for (const compiled of routes) if (matches(compiled, head)) return compiled;
  return undefined;
}

/** Every rule up to the one that matches, with the reason for each. */
export function explainRoutes<Target>(host: CompiledVirtualHost<Target>, head: RequestHead): RouteVerdict[] {
  const verdicts: RouteVerdict[] = [];
  for (const compiled of host.routes) {
    const matched = matches(compiled, head);
    verdicts.push({
      route: compiled.route,
      matched,
      why: matched ? whyMatched(compiled) : whyNot(compiled, head),
    });
    if (matched) break;
  }
  return verdicts;
}

/**
 * The block of a route's match by which a request met it, which decides what a rewrite of the path replaces; null for a
 * route without any.
 */
export function matchedBlock<Target>(
  { alternatives, route }: CompiledRoute<Target>,
  head: RequestHead,
): RouteMatch | null {
  const index = alternatives === null ? -1 : alternatives.findIndex((one) => allHold(one, head));
  return route.matches[index] ?? null;
}

/** One of the route's destinations, by weight. */
export function pickDestination<Target>(
  { destinations, cumulative }: CompiledForward<Target>,
  random: Random,
): CompiledDestination<Target> {
  return destinations[pickIndex(cumulative, random)] as CompiledDestination<Target>;
}

function matches<Target>({ alternatives }: CompiledRoute<Target>, head: RequestHead): boolean {
  if (alternatives === null) return true;
  for (const conditions of alternatives) if (allHold(conditions, head)) return true;
  return false;
}

function allHold(conditions: readonly Condition[], head: RequestHead): boolean {
  for (const condition of conditions) if (!condition.holds(head)) return false;
  return true;
}

function whyMatched<Target>(compiled: CompiledRoute<Target>): string {
  if (compiled.alternatives === null) return "no match block: matches everything";
  return compiled.alternatives.length === 1 ? "all conditions hold" : "one of the match blocks holds";
}

function whyNot<Target>(compiled: CompiledRoute<Target>, head: RequestHead): string {
  const reasons = (compiled.alternatives ?? []).map((conditions) =>
    conditions.find((one) => !one.holds(head))?.whyNot(head) ?? ""
  );
  return reasons.join("; or ");
}
