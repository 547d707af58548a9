/** Endpoints whose address is a name, as the addresses that DNS gives for it (Envoy's STRICT_DNS and LOGICAL_DNS). */
import type { Cluster, Endpoint, EndpointSet } from "../../../model/cluster.ts";
import type { Snapshot } from "../../../model/snapshot.ts";

/** What clusters ask of NameCache. */
export interface NameAddresses {
  addressesOf(name: string): readonly string[] | null;
  firstAnswer(names: readonly string[]): Promise<void> | null;
}

type AddressesOf = NameAddresses["addressesOf"];

/** Whether somebody has to look it up: neither an IP address nor a socket of the file system. */
export function isName(address: string): boolean {
  return !address.includes(":") && /[a-z]/i.test(address);
}

/** The names that a cluster's endpoints have, as far as the proxy looks them up ahead of requests. */
export function namesOf(
  { resolution }: Pick<Cluster, "resolution">,
  endpoints: readonly Endpoint[],
): readonly string[] {
  if (resolution === "ON_DEMAND" || resolution === "AUTHORITY") return [];
  return endpoints.map(({ address }) => address).filter(isName);
}

/** All names of a snapshot. */
export function namesIn(snapshot: Snapshot): ReadonlySet<string> {
  const names = new Set<string>();
  for (const { body } of snapshot.values()) {
    if (body.kind !== "cluster") continue;
    const set = snapshot.get(`endpoints/${body.name}`)?.body as EndpointSet | undefined;
    for (const name of namesOf(body, set?.endpoints ?? [])) names.add(name);
  }
  return names;
}

/**
 * Every address of a name is an endpoint with the name's weight, in an order that does not depend on the answer's; with
 * LOGICAL_DNS the first one of the answer alone. A name without an answer is none.
 */
export function resolvedEndpoints(
  { resolution }: Pick<Cluster, "resolution">,
  endpoints: readonly Endpoint[],
  addressesOf: AddressesOf,
): readonly Endpoint[] {
  if (resolution === "ON_DEMAND" || resolution === "AUTHORITY") return endpoints;
  return endpoints.flatMap((endpoint) => {
    if (!isName(endpoint.address)) return [endpoint];
    const answer = addressesOf(endpoint.address) ?? [];
    const addresses = resolution === "LOGICAL_DNS" ? answer.slice(0, 1) : [...answer].sort();
    return addresses.map((address) => ({ ...endpoint, address }));
  });
}
