/** A difference of two configurations in words; workloads that notice the same stand together. */
import { formatAuthority } from "../../lib/authority.ts";
import type { Route, RouteMatch, RouteOrigin, StringMatch } from "../../model/route.ts";
import type { TcpMatch, TcpRoute } from "../../model/tcp_route.ts";
import { printable } from "../output.ts";
import type { MeshDiff, WorkloadDiff } from "./mesh_diff.ts";
import { destinationsText, placeText, stringText, treatmentText } from "./route_words.ts";
import { sequenceDiff } from "./sequence_diff.ts";
import type {
  EndpointsChange,
  HostChange,
  ListenerChange,
  MovedRequest,
  PolicyChange,
} from "./snapshot_diff.ts";
import { CHAINS, type ItemWords, wordsFor } from "./setting_words.ts";
import { type FieldChange, meantChanges, sameMeaning } from "./value_diff.ts";

/** Workloads that a heading names; of more it gives the number. */
const WORKLOADS_NAMED_MAX = 5;

const SIGNS = { added: "+", removed: "-", changed: "~" } as const;

export function diffText({ workloads, workloadCount }: MeshDiff): string {
  if (workloads.length === 0) return `Nothing changes for any of ${workloadCount} workloads.`;
  const groups = Map.groupBy(workloads, ({ workload: _, ...rest }) => JSON.stringify(rest));
  const paragraphs = [...groups.values()].map((group) => groupLines(group).map(printable).join("\n"));
  const summary = `${workloads.length} of ${workloadCount} workloads notice it.`;
  return [...paragraphs, summary].join("\n\n");
}

function groupLines(group: readonly WorkloadDiff[]): string[] {
  const first = group[0] as WorkloadDiff;
  const names = group.slice(0, WORKLOADS_NAMED_MAX).map(({ workload }) => workload).join(", ");
  const more = group.length - WORKLOADS_NAMED_MAX;
  const heading = more > 0 ? `${names} and ${more} more` : names;
  if (first.change !== "changed") return [`${SIGNS[first.change]} ${heading}: ${first.change}`];
  const changes = [
    ...first.routes.flatMap(hostLines),
    ...first.policies.flatMap(policyLines),
    ...first.endpoints.flatMap(endpointLines),
    ...first.listeners.flatMap(listenerLines),
    ...first.ports.flatMap(portLines),
    ...first.settings.flatMap(settingLines),
  ];
  return [`${heading}:`, ...changes.map((line) => `  ${line}`)];
}

function hostLines({ host, change, rules, requests, redirectsToHttps }: HostChange): string[] {
  const lines = [`${SIGNS[change]} routes of ${hostText(host)}`];
  for (const rule of rules) {
    if (rule.before !== null) lines.push(`    - ${routeText(rule.before)}`);
    if (rule.after !== null) lines.push(`    + ${routeText(rule.after)}`);
  }
  if (redirectsToHttps !== undefined) {
    lines.push(`    requests in plain text are ${redirectsToHttps ? "" : "no more "}redirected to HTTPS`);
  } else if (change === "changed" && rules.length === 0) lines.push("    how it is called changes");
  if (change === "changed" && rules.length > 0 && requests.length === 0) {
    lines.push("    no request that was tried is dealt with otherwise");
  }
  for (const request of requests) lines.push(...requestLines(request).map((line) => `    ${line}`));
  return lines;
}

function requestLines({ method, url, headers, claims, before, after }: MovedRequest): string[] {
  const fields = headers.map((field) => ` -H '${field}'`).join("");
  const token = claims === undefined ? "" : ` --claims '${JSON.stringify(claims)}'`;
  return [
    `${method} ${url}${fields}${token}`,
    `    was: ${treatmentText(before)}`,
    `    now: ${treatmentText(after)}`,
  ];
}

/** `rule 0 of tutorial/recommendation: when the path starts with "/a": 100% to …`. */
function routeText({ origin, name, matches, ...treatment }: Route): string {
  const label = name === null ? "" : ` (${name})`;
  const when = matches.length === 0 ? "every request" : `when ${matches.map(matchText).join(", or ")}`;
  return `${ruleText(origin)}${label}: ${when}: ${treatmentText(treatment)}`;
}

function ruleText(origin: RouteOrigin | null): string {
  return origin === null ? "no VirtualService" : `rule ${origin.rule} of ${origin.virtualService}`;
}

function matchText(match: RouteMatch): string {
  const part = (what: string, wanted: StringMatch | null) =>
    wanted === null ? [] : [`${what} ${stringText(wanted)}`];
  const parts = [
    ...part("the method", match.method),
    ...part("the path", match.path),
    ...part("the scheme", match.scheme),
    ...part("the authority", match.authority),
    ...match.headers.flatMap((one) => part(`header ${one.name}`, one.match)),
    ...match.withoutHeaders.flatMap((one) => part(`not header ${one.name}`, one.match)),
    ...match.queryParams.flatMap((one) => part(`parameter ${one.name}`, one.match)),
  ];
  return parts.length === 0 ? "anything comes" : parts.join(" and ");
}

function policyLines({ change, fields, ...place }: PolicyChange): string[] {
  if (change !== "changed") return [`${SIGNS[change]} ${placeText(place)}`];
  return [
    `~ policy of ${placeText(place)}`,
    ...fields.map((field) => `    ${fieldText(field)}`),
  ];
}

function endpointLines({ added, removed, changed, ...place }: EndpointsChange): string[] {
  return [
    `~ endpoints of ${placeText(place)}`,
    ...removed.map(({ address, port, workload }) => `    - ${addressText(address, port)} ${workload.key}`),
    ...added.map(({ address, port, workload }) => `    + ${addressText(address, port)} ${workload.key}`),
    ...changed.flatMap(({ endpoint: { address, port, workload }, fields }) => [
      `    ~ ${addressText(address, port)} ${workload.key}`,
      ...fields.map((field) => `        ${fieldText(field)}`),
    ]),
  ];
}

/** What changed in a listener; one that comes or goes does so with the routes and policies of its host. */
function listenerLines({ host, change, fields }: ListenerChange): string[] {
  if (change !== "changed") return [];
  return [`~ connections to ${host}`, ...changedLines(fields).map((line) => `    ${line}`)];
}

function changedLines(fields: readonly FieldChange[]): string[] {
  return fields.flatMap((one) => one.field === "routes" ? tcpRouteLines(one) : [fieldText(one)]);
}

/** `before` and `after` are routes of a listener. */
function tcpRouteLines({ before, after }: FieldChange): string[] {
  const changes = sequenceDiff(before as readonly TcpRoute[], after as readonly TcpRoute[], sameMeaning);
  return changes.flatMap((one) => [
    ...one.before === null ? [] : [`- ${tcpRouteText(one.before)}`],
    ...one.after === null ? [] : [`+ ${tcpRouteText(one.after)}`],
  ]);
}

/** `rule 0 of shop/names: when TLS asks for a.test: 100% to …`. */
function tcpRouteText({ origin, matches = [], destinations }: TcpRoute): string {
  const when = matches.length === 0 ? "every connection" : `when ${matches.map(tcpMatchText).join(", or ")}`;
  return `${ruleText(origin)}: ${when}: ${destinationsText(destinations)}`;
}

function tcpMatchText({ serverNames, addresses }: TcpMatch): string {
  const parts = [
    ...serverNames.length === 0 ? [] : [`TLS asks for ${serverNames.join(" or ")}`],
    ...addresses.length === 0 ? [] : [`the address is in ${addresses.join(" or ")}`],
  ];
  return parts.length === 0 ? "anything comes" : parts.join(" and ");
}

function portLines({ host, change, fields }: ListenerChange): string[] {
  return [
    `${SIGNS[change]} the gateway's ${doorText(host)}`,
    ...fields.flatMap((one) => one.field === "chains" ? chainLines(one) : [`    ${fieldText(one)}`]),
  ];
}

/** What is done with a connection, by the name that its TLS asks for. */
function chainLines({ before, after }: FieldChange): string[] {
  return listLines(before as readonly unknown[], after as readonly unknown[], CHAINS);
}

/** `BIND:PORT`, where most have no bind, or a socket. */
function doorText(listener: string): string {
  return listener.startsWith("unix:") ? `socket ${listener}` : `port ${listener.replace(/^:/, "")}`;
}

/** `HOST:PORT`; at a gateway the table of a port stands before a host, and of TLS that of a server there. */
function hostText(name: string): string {
  const [table = "", host] = name.split("|");
  if (host === undefined) return name;
  const listener = table.startsWith("https.") ? table.split(".")[1] ?? "" : table.slice("http.".length);
  return `${host} at the gateway's ${doorText(listener)}`;
}

/** Of a list, what came and what went, and of what is still there what is otherwise. */
function settingLines(change: FieldChange): string[] {
  const { field, before, after } = change;
  const [old, now] = [before ?? [], after ?? []];
  if (!Array.isArray(old) || !Array.isArray(now)) return [`~ own ${fieldText(change)}`];
  const words = wordsFor(field);
  return [`~ ${words.title}`, ...listLines(old, now, words)];
}

function listLines(old: readonly unknown[], now: readonly unknown[], { lines, name }: ItemWords): string[] {
  return sequenceDiff<unknown>(old, now, sameMeaning).flatMap(({ before: was, after: is }) => {
    if (was !== null && is !== null && name(was) === name(is)) {
      return [`    ~ ${name(is)}`, ...changedLines(meantChanges(was, is)).map((line) => `        ${line}`)];
    }
    return [...was === null ? [] : signed("-", lines(was)), ...is === null ? [] : signed("+", lines(is))];
  });
}

function signed(sign: "+" | "-", [first = "", ...rest]: readonly string[]): string[] {
  return [`    ${sign} ${first}`, ...rest.map((line) => `          ${line}`)];
}

function addressText(hostname: string, port: number): string {
  return formatAuthority({ hostname, port });
}

function fieldText({ field, before, after }: FieldChange): string {
  return `${field}: ${JSON.stringify(before)} -> ${JSON.stringify(after)}`;
}
