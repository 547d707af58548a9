/**
 * Listening sockets that somebody opened before this process began, and keeps when it ends: whoever connects while nobody
 * serves waits in their backlogs instead of being refused. listen_fds.ts says which there are.
 */
import { formatAuthority } from "../lib/authority.ts";
import { formatIp, parseIp } from "../lib/ip.ts";
import type { Address } from "./wire.ts";

/** The first of them; the others follow it (SD_LISTEN_FDS_START). */
export const FIRST_DESCRIPTOR = 3;

/** More than anybody listens at. */
export const INHERITED_SOCKETS_MAX = 256;

export interface InheritedSocket {
  /** As the kernel has it: an IP address. */
  readonly address: Address;
  /** What the socket unit calls it. */
  readonly name: string;
  /** A descriptor of its own, which a listener closes when it stops; the socket goes on. */
  duplicate(): number;
}

let inherited: readonly InheritedSocket[] = [];
const inUse = new Set<InheritedSocket>();

/** Told once, as the process begins: in the order of their descriptors. */
export function useInheritedSockets(sockets: readonly InheritedSocket[]): void {
  inherited = sockets;
  inUse.clear();
}

/** All of them, for a child that is to have them as well: their descriptors, and what they are called. */
export function allInherited(): {
  readonly descriptors: readonly number[];
  readonly names: readonly string[];
} {
  return {
    descriptors: inherited.map((_, i) => FIRST_DESCRIPTOR + i),
    names: inherited.map(({ name }) => name),
  };
}

/** By address and port: in which order somebody wrote them down means nothing. Null: the port is to be opened. */
export function inheritedAt({ hostname, port }: Address): InheritedSocket | null {
  // Hardly any process has any.
  if (inherited.length === 0) return null;
  const bytes = parseIp(hostname);
  const canonical = bytes === null ? hostname : formatIp(bytes);
  return inherited.find(({ address }) => address.hostname === canonical && address.port === port) ?? null;
}

/** The descriptor of an inherited socket to listen at until it is given back. */
export function borrow(socket: InheritedSocket): { readonly descriptor: number; giveBack(): void } {
  const descriptor = socket.duplicate();
  inUse.add(socket);
  return { descriptor, giveBack: () => void inUse.delete(socket) };
}

/**
 * What to tell of sockets that nobody listens at: who connects there hears nothing. Null: there are none, besides those
 * with ports that are somebody else's.
 */
export function idleSocketsWarning(others: readonly number[] = []): string | null {
  const idle = inherited.filter((socket) => !inUse.has(socket) && !others.includes(socket.address.port));
  if (idle.length === 0) return null;
  const where = idle.map((socket) => `${placeOf(socket)} (${socket.name})`).join(", ");
  return `Nobody serves ${where}, inherited from the service manager: who connects there waits for ever. Take it out of ` +
    "the socket unit, or write the address and port on which this process listens";
}

export function placeOf({ address }: InheritedSocket): string {
  return formatAuthority(address);
}
