/** Names to addresses, as the machine is set up: /etc/hosts, then the name servers of /etc/resolv.conf. */

export interface ResolvedName {
  /** IP addresses in the order of the answer; never empty. IPv6 only where there is no IPv4. */
  readonly addresses: readonly string[];
  /** How long the answer holds; 0 where nobody said so, as in /etc/hosts. */
  readonly ttlMs: number;
}

/** Rejects when the name has no address, or nobody answers. */
export type ResolveName = (name: string) => Promise<ResolvedName>;

export const resolveName: ResolveName = async (name) => {
  const found = await lookUp(name);
  const family = found.some((one) => one.family === 4) ? 4 : 6;
  const usable = found.filter((one) => one.family === family);
  const addresses = [...new Set(usable.map(({ address }) => address))];
  if (addresses.length === 0) throw new Error(`The name ${name} has no address`);
  return { addresses, ttlMs: 1_000 * usable.reduce((least, { ttl }) => Math.min(least, ttl), Infinity) };
};

/** By c-ares, since the system's own resolver does not tell how long an answer holds. */
async function lookUp(name: string): Promise<Bun.DNSLookup[]> {
  try {
    return await Bun.dns.lookup(name, { backend: "c-ares" });
  } catch (error) {
    // That a name is there without an address it believes for an hour, whatever the name server says by then.
    if ((error as { code?: unknown }).code === "DNS_ENOTFOUND") return await askSystem(name);
    throw error;
  }
}

let systemAsked: Promise<unknown> = Promise.resolve();

/** One name at a time: a thread waits for the answer, and there are few. */
function askSystem(name: string): Promise<Bun.DNSLookup[]> {
  const found = systemAsked.then(() => Bun.dns.lookup(name, { backend: "libc" }));
  systemAsked = found.catch(() => {});
  return found;
}
