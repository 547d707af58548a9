/**
 * What holds for the certificates of all peers: other names of the trust domain; which were revoked, and which
 * connections were opened with each, since those of revoked ones are closed.
 */
import { isOpen, type Wire } from "../runtime/socket.ts";

/** From this many connections on those that are closed are forgotten, each time the number has doubled. */
const CLEARED_FROM = 1_024;

export class PeerCertificates {
  /** Other names of the trust domain. */
  trustDomainAliases: readonly string[] = [];
  #revoked: ReadonlySet<string> = new Set();
  readonly #wires = new Map<string, Set<Wire>>();
  #count = 0;
  #clearedAt = CLEARED_FROM;

  /** `serial` in lower-case hex. */
  isRevoked(serial: string): boolean {
    return this.#revoked.has(serial);
  }

  /** A connection stands whose peer has proved to own this certificate. */
  add(serial: string, wire: Wire): void {
    const wires = this.#wires.get(serial);
    if (wires === undefined) this.#wires.set(serial, new Set([wire]));
    else wires.add(wire);
    if (++this.#count > this.#clearedAt) this.#clear();
  }

  /** These and no others are revoked from now on; their connections are broken off. */
  revoke(serials: readonly string[]): void {
    this.#revoked = new Set(serials);
    for (const serial of serials) {
      const wires = this.#wires.get(serial) ?? [];
      this.#wires.delete(serial);
      for (const wire of wires) wire.terminate();
    }
  }

  #clear(): void {
    this.#count = 0;
    for (const [serial, wires] of this.#wires) {
      for (const wire of wires) if (!isOpen(wire)) wires.delete(wire);
      if (wires.size === 0) this.#wires.delete(serial);
      this.#count += wires.size;
    }
    this.#clearedAt = Math.max(CLEARED_FROM, this.#count * 2);
  }
}
