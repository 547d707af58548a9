/** What goes wrong with a request, said to the person who asks: calls that are answered 503, names that nobody has. */
import { nearest } from "../../lib/edit_distance.ts";
import { LOCAL_REPLY, type LocalReply } from "../local_reply.ts";
import { canonicalAuthority } from "../route/route_table.ts";
import { clusterParts, type MeshView } from "./mesh_view.ts";
import { quote } from "./quote.ts";

/** Why requests that are routed to a cluster, or copies of them, fail; undefined when they do not. */
export function noteOnCluster(
  mesh: MeshView,
  name: string,
  what: "Requests" | "Copies" = "Requests",
): string | undefined {
  const { host, subset, port } = clusterParts(name);
  const place = subset === null ? `${host}:${port}` : `subset ${quote(subset)} of ${host}:${port}`;
  if (!mesh.clusters.has(name)) {
    const fate = what === "Copies" ? "not sent" : answered(LOCAL_REPLY.noCluster);
    return `${what} to ${place} are ${fate}: ${whyNoCluster(mesh, name)}`;
  }
  if ((mesh.endpoints.get(name) ?? []).length > 0) return undefined;
  const missing = subset === null
    ? "no workload stands behind it"
    : "no workload has the labels of the subset";
  const fate = what === "Copies" ? "not sent" : answered(LOCAL_REPLY.noHealthyUpstream);
  return `${what} to ${place} are ${fate}: ${missing}`;
}

/** What an authority that no virtual host has was probably meant to be; undefined when nothing is near. */
export function noteOnUnknownName(mesh: MeshView, authority: string): string | undefined {
  const { virtualHosts } = mesh;
  const asked = withoutPort(canonicalAuthority(authority));
  const named = virtualHosts.filter(({ domains }) => domains.some((domain) => withoutPort(domain) === asked));
  if (named.length > 0) {
    const ports = named.map(({ port }) => port);
    return `${asked} is known to the mesh, but not at that port; it has ${listed(ports)}`;
  }
  const hidden = whyHidden(mesh, asked);
  if (hidden !== undefined) return `${asked} is known to the mesh, but ${hidden}`;
  const meant = nearest(asked, virtualHosts.flatMap(({ domains }) => domains.map(withoutPort)));
  return meant === undefined ? undefined : `Did you mean ${quote(meant)}?`;
}

function whyHidden({ settings: { hidden = [] } }: MeshView, asked: string): string | undefined {
  return hidden.find(({ names }) => names.includes(asked))?.why;
}

function whyNoCluster(mesh: MeshView, name: string): string {
  const { clusters, settings } = mesh;
  const { host, subset, port } = clusterParts(name);
  const known = [...clusters.keys()].map(clusterParts);
  const ofHost = known.filter((one) => one.host === host);
  if (ofHost.length === 0) {
    const hidden = whyHidden(mesh, host);
    const hint = hidden === undefined ? didYouMean(host, known.map((one) => one.host)) : `: ${hidden}`;
    return `${settings.workload.key} sees no service with that host${hint}`;
  }
  const ofPort = ofHost.filter((one) => one.port === port);
  if (ofPort.length === 0) {
    return `the service has no such port; it has ${listed(ofHost.map((one) => one.port))}`;
  }
  const subsets = ofPort.flatMap((one) => one.subset ?? []);
  return `no DestinationRule defines the subset${didYouMean(subset ?? "", subsets)}`;
}

function answered({ status, flags }: LocalReply): string {
  return `answered ${status} ${flags}`;
}

function didYouMean(word: string, candidates: readonly string[]): string {
  const meant = nearest(word, candidates);
  return meant === undefined ? "" : `; did you mean ${quote(meant)}?`;
}

function withoutPort(authority: string): string {
  return authority.replace(/:[0-9]+$/, "");
}

function listed(ports: readonly number[]): string {
  return [...new Set(ports)].sort((a, b) => a - b).join(", ");
}
