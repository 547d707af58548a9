/**
 * Addresses where nobody's keys are, but the admin ports of this machine, and what clouds tell their machines about
 * themselves.
 */
import { Network } from "../../lib/ip.ts";

const REFUSED = networks(
  // "This network", loopback, link-local, multicast and what is above.
  ...["0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4"],
  ...["::/128", "::1/128", "fe80::/10", "ff00::/8"],
  // Metadata of AWS, Alibaba and Oracle beside 169.254.169.254.
  ...["fd00:ec2::/32", "100.100.100.200", "192.0.0.192"],
);

/** IPv6 addresses in which an IPv4 address stands (`::` itself aside), and at which byte: compatible, NAT64, 6to4. */
const EMBEDDING = [
  { network: networks("::/96"), at: 12 },
  { network: networks("64:ff9b::/96"), at: 12 },
  { network: networks("2002::/16"), at: 2 },
];

/** Whether an address, as bytes, is one that a URL in a file must not lead to. */
export function isRefusedAddress(address: Uint8Array): boolean {
  if (isWithin(REFUSED, address)) return true;
  return EMBEDDING.some(({ network, at }) =>
    isWithin(network, address) && isWithin(REFUSED, address.subarray(at, at + 4))
  );
}

export function isWithin(networks: readonly Network[], address: Uint8Array): boolean {
  return networks.some((network) => network.contains(address));
}

function networks(...texts: readonly string[]): readonly Network[] {
  return texts.map((text) => Network.parse(text) as Network);
}
