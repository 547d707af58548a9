/** What changes for a proxy that gets one snapshot in place of another: routes, policies, endpoints. */
import type { GatewayListener } from "../../model/gateway_listener.ts";
import type { Route } from "../../model/route.ts";
import type { Cluster, Endpoint } from "../../model/cluster.ts";
import type { Listener, Snapshot, VirtualHost } from "../../model/snapshot.ts";
import { clusterParts, meshView } from "../../proxy/explain/mesh_view.ts";
import { sampleRequests } from "../../proxy/explain/sample_request.ts";
import type { RequestHead } from "../../proxy/exchange.ts";
import { findRoute, RouteTable } from "../../proxy/route/route_table.ts";
import { type ItemChange, sequenceDiff } from "./sequence_diff.ts";
import { type FieldChange, fieldChanges, meantChanges, sameMeaning, sameValue } from "./value_diff.ts";

export type Change = "added" | "removed" | "changed";

export interface SnapshotDiff {
  readonly routes: readonly HostChange[];
  /** What holds for the calls to a service or a subset of it: balancing, limits, protocols. */
  readonly policies: readonly PolicyChange[];
  readonly endpoints: readonly EndpointsChange[];
  /** How captured connections are told and found. */
  readonly listeners: readonly ListenerChange[];
  /** A gateway's ports, by `BIND:PORT`. */
  readonly ports: readonly ListenerChange[];
  /** The proxy's own settings. */
  readonly settings: readonly FieldChange[];
}

export interface HostChange {
  /** `HOST:PORT`. */
  readonly host: string;
  readonly change: Change;
  readonly rules: readonly ItemChange<Route>[];
  /** Whether requests in plain text are sent to HTTPS from now on. @default no other than before */
  readonly redirectsToHttps?: boolean;
  /** Of the requests that were tried with both route tables, those that are dealt with otherwise. */
  readonly requests: readonly MovedRequest[];
}

/** A request, and what becomes of it; null: nothing knows its host, or no rule takes it. */
export interface MovedRequest {
  readonly method: string;
  readonly url: string;
  /** `NAME: VALUE`. */
  readonly headers: readonly string[];
  /** What its token says. @default it has none */
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly before: Treatment | null;
  readonly after: Treatment | null;
}

/** All that a route does with a request. */
export type Treatment = Omit<Route, "name" | "origin" | "matches">;

export interface PolicyChange {
  readonly host: string;
  readonly subset: string | null;
  readonly port: number;
  readonly change: Change;
  readonly fields: readonly FieldChange[];
}

export interface EndpointsChange {
  readonly host: string;
  readonly subset: string | null;
  readonly port: number;
  readonly added: readonly Endpoint[];
  readonly removed: readonly Endpoint[];
  readonly changed: readonly { readonly endpoint: Endpoint; readonly fields: readonly FieldChange[] }[];
}

export interface ListenerChange {
  /** `HOST:PORT`. */
  readonly host: string;
  readonly change: Change;
  readonly fields: readonly FieldChange[];
}

/** Moved requests that one host names at most. */
const REQUESTS_MAX = 20;

/** Throws when a snapshot has no proxy settings, or a regular expression of it does not compile. */
export function snapshotDiff(before: Snapshot, after: Snapshot): SnapshotDiff {
  const [old, now] = [meshView(before), meshView(after)];
  const tables: TablePair = [tablesOf(old.virtualHosts), tablesOf(now.virtualHosts)];
  const hosts = paired(byName(old.virtualHosts), byName(now.virtualHosts));
  return {
    routes: hosts.flatMap((pair) => hostChange(pair, tables)),
    policies: paired(old.clusters, now.clusters).flatMap(policyChange),
    endpoints: paired(old.endpoints, now.endpoints).flatMap(endpointsChange),
    listeners: paired(old.listeners, now.listeners).flatMap(listenerChange),
    ports: paired(byName(old.gatewayListeners), byName(now.gatewayListeners)).flatMap(listenerChange),
    settings: meantChanges(old.settings, now.settings),
  };
}

/** Two things of one name; null: it is not there. */
type Pair<Thing> = readonly [name: string, before: Thing | null, after: Thing | null];

function paired<Thing>(before: ReadonlyMap<string, Thing>, after: ReadonlyMap<string, Thing>): Pair<Thing>[] {
  const names = [...new Set([...before.keys(), ...after.keys()])].sort();
  return names.map((name) => [name, before.get(name) ?? null, after.get(name) ?? null]);
}

function changeOf([, before, after]: Pair<unknown>): Change {
  return before === null ? "added" : after === null ? "removed" : "changed";
}

/** By the tables of a gateway's ports; what sidecars have is under none. */
type Tables = ReadonlyMap<string | undefined, RouteTable<null>>;
type TablePair = readonly [before: Tables, after: Tables];

function tablesOf(virtualHosts: readonly VirtualHost[]): Tables {
  const grouped = Map.groupBy(virtualHosts, ({ table }) => table);
  return new Map([...grouped].map(([table, hosts]) => [table, new RouteTable(hosts, () => null)]));
}

function hostChange(pair: Pair<VirtualHost>, [old, now]: TablePair): HostChange[] {
  const [host, before, after] = pair;
  const table = (before ?? after)?.table;
  const [oldTable, newTable] = [old.get(table), now.get(table)];
  const rules = sequenceDiff(before?.routes ?? [], after?.routes ?? [], sameRoute);
  const [redirected = false, redirectsToHttps = false] = [before?.requiresTls, after?.requiresTls];
  const redirects = redirected === redirectsToHttps || after === null ? {} : { redirectsToHttps };
  const isSame = sameValue(before?.domains, after?.domains) && redirected === redirectsToHttps;
  if (rules.length === 0 && isSame) return [];
  const tried = new Map<string, MovedRequest>();
  for (const head of [before, after].flatMap((one) => one === null ? [] : sampleRequests(one))) {
    const [was, is] = [treatmentOf(oldTable, head), treatmentOf(newTable, head)];
    if (sameValue(was, is)) continue;
    const request = described(head);
    tried.set(JSON.stringify(request), { ...request, before: was, after: is });
  }
  const requests = [...tried.values()].slice(0, REQUESTS_MAX);
  return [{ host, change: changeOf(pair), rules, ...redirects, requests }];
}

/** Where a rule stands, and whether others came before it, says nothing about what it does. */
function sameRoute(a: Route, b: Route): boolean {
  return sameMeaning(a, b);
}

function treatmentOf(table: RouteTable<null> | undefined, head: RequestHead): Treatment | null {
  const host = table?.virtualHost(head.authority);
  const found = host === undefined ? undefined : findRoute(host, head);
  if (!found) return null;
  const { name: _name, origin: _origin, matches: _matches, ...treatment } = found.route;
  return treatment;
}

function described({ method, scheme, authority, path, headers, auth }: RequestHead) {
  const fields: string[] = [];
  for (let i = 0; i < headers.length; i += 2) fields.push(`${headers[i]}: ${headers[i + 1]}`);
  const claims = auth === undefined ? {} : { claims: auth.claims };
  return { method, url: `${scheme}://${authority}${path}`, headers: fields, ...claims };
}

function policyChange(pair: Pair<Cluster>): PolicyChange[] {
  const [name, before, after] = pair;
  const fields = before === null || after === null ? [] : fieldChanges(before, after);
  if (before !== null && after !== null && fields.length === 0) return [];
  return [{ ...clusterParts(name), change: changeOf(pair), fields }];
}

function listenerChange(pair: Pair<Listener | GatewayListener>): ListenerChange[] {
  const [host, before, after] = pair;
  if (before === null || after === null) return [{ host, change: changeOf(pair), fields: [] }];
  const fields = meantChanges(before, after);
  return fields.length === 0 ? [] : [{ host, change: changeOf(pair), fields }];
}

function endpointsChange([name, before, after]: Pair<readonly Endpoint[]>): EndpointsChange[] {
  const members = paired(byAddress(before ?? []), byAddress(after ?? []));
  const changed = members.flatMap(([, was, is]) => {
    const fields = was === null || is === null ? [] : fieldChanges(was, is);
    return is === null || fields.length === 0 ? [] : [{ endpoint: is, fields }];
  });
  const added = members.flatMap(([, was, is]) => was === null && is !== null ? [is] : []);
  const removed = members.flatMap(([, was, is]) => was !== null && is === null ? [was] : []);
  if (added.length + removed.length + changed.length === 0) return [];
  return [{ ...clusterParts(name), added, removed, changed }];
}

function byName<Thing extends { readonly name: string }>(things: readonly Thing[]): Map<string, Thing> {
  return new Map(things.map((thing) => [thing.name, thing]));
}

function byAddress(endpoints: readonly Endpoint[]): Map<string, Endpoint> {
  return new Map(endpoints.map((endpoint) => [`${endpoint.address} ${endpoint.port}`, endpoint]));
}
