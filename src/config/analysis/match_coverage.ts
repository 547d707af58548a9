/**
 * Whether one match block leaves nothing for another. It answers yes only when that is certain: expressions are not
 * compared, except that equal ones are equal.
 */
import { hasLabels } from "../../model/labels.ts";
import type { NamedMatch, StringMatch } from "../../model/route.ts";
import type { HttpMatch } from "../schema/http_match.ts";
import type { TcpRule, TlsRule } from "../schema/l4_rules.ts";

type L4Match = TcpRule["match"][number] & Partial<Pick<TlsRule["match"][number], "sniHosts">>;

/** What holds before a request is seen: of callers, ports and gateways. */
type Scope = Pick<HttpMatch, "port" | "sourceLabels" | "sourceNamespace" | "gateways">;

/** Whether every request that `narrow` takes is taken by `wide`. `gateways` is the list of their VirtualService. */
export function httpCovers(wide: HttpMatch, narrow: HttpMatch, gateways: readonly string[]): boolean {
  return scopeCovers(wide, narrow, gateways) && pathCovers(wide, narrow) &&
    (["scheme", "method", "authority"] as const).every((field) => valueCovers(wide[field], narrow[field])) &&
    namedCover(wide.headers, narrow.headers) && namedCover(wide.queryParams, narrow.queryParams) &&
    wide.withoutHeaders.every((absent) => narrow.withoutHeaders.some((other) => same(absent, other)));
}

/** Whether every connection that `narrow` takes is taken by `wide`. `gateways` as in httpCovers(). */
export function l4Covers(wide: L4Match, narrow: L4Match, gateways: readonly string[]): boolean {
  return scopeCovers(wide, narrow, gateways) &&
    covers(wide.destinationSubnets, narrow.destinationSubnets) &&
    covers(wide.sniHosts ?? [], narrow.sniHosts ?? []);
}

/** A match block without any condition. */
export const EVERY_REQUEST: HttpMatch = {
  name: null,
  uri: null,
  scheme: null,
  method: null,
  authority: null,
  headers: [],
  withoutHeaders: [],
  queryParams: [],
  port: null,
  sourceLabels: {},
  sourceNamespace: null,
  gateways: [],
  ignoreUriCase: false,
  statPrefix: null,
};

export const EVERY_CONNECTION: L4Match = {
  destinationSubnets: [],
  port: null,
  sourceLabels: {},
  sourceNamespace: null,
  gateways: [],
};

function scopeCovers(wide: Scope, narrow: Scope, gateways: readonly string[]): boolean {
  const at = ({ gateways: own }: Scope) => own.length > 0 ? own : gateways;
  return at(narrow).every((name) => at(wide).includes(name)) &&
    (wide.port === null || wide.port === narrow.port) &&
    (wide.sourceNamespace === null || wide.sourceNamespace === narrow.sourceNamespace) &&
    hasLabels(narrow.sourceLabels, wide.sourceLabels);
}

/** An empty list asks for nothing. */
function covers(wide: readonly string[], narrow: readonly string[]): boolean {
  return wide.length === 0 || (narrow.length > 0 && narrow.every((item) => wide.includes(item)));
}

function pathCovers(wide: HttpMatch, narrow: HttpMatch): boolean {
  // Every path begins with it.
  if (wide.uri?.type === "prefix" && wide.uri.value === "/") return true;
  if (wide.ignoreUriCase === narrow.ignoreUriCase && !wide.ignoreUriCase) {
    return valueCovers(wide.uri, narrow.uri);
  }
  if (wide.uri === null) return true;
  return wide.ignoreUriCase && valueCovers(lower(wide.uri), narrow.uri && lower(narrow.uri));
}

/** Expressions heed case whatever is said beside them. */
function lower(match: StringMatch): StringMatch {
  return match.type === "exact" || match.type === "prefix"
    ? { type: match.type, value: match.value.toLowerCase() }
    : match;
}

function valueCovers(wide: StringMatch | null, narrow: StringMatch | null): boolean {
  if (wide === null) return true;
  if (narrow === null) return false;
  if (wide.type === "present") return true;
  if (narrow.type === "present") return false;
  if (wide.type === "prefix" && narrow.type !== "regex") return narrow.value.startsWith(wide.value);
  return wide.type === narrow.type && wide.value === narrow.value;
}

function namedCover(wide: readonly NamedMatch[], narrow: readonly NamedMatch[]): boolean {
  return wide.every(({ name, match }) =>
    narrow.some((other) => other.name === name && valueCovers(match, other.match))
  );
}

function same(a: NamedMatch, b: NamedMatch): boolean {
  return a.name === b.name && JSON.stringify(a.match) === JSON.stringify(b.match);
}
