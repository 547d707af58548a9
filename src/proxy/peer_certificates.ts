/**
 * What holds for the certificates of all peers: other names of the trust domain; which were revoked, and which
 * connections were opened with each, since those of revoked ones are closed.
 */
import type { PeerIdentity } from "../identity/peer_identity.ts";
import type { RevokedIdentity } from "../model/snapshot.ts";
import { isOpen, type Wire } from "../runtime/wire.ts";

/** From this many connections on those that are closed are forgotten, each time the number has doubled. */
const CLEARED_FROM = 64;

/** A certificate that a peer has proved to own. */
type Proven = Omit<Extract<PeerIdentity, { readonly ok: true }>, "ok">;

interface Opened {
  readonly spiffeId: string;
  readonly signer: string | undefined;
  readonly notAfterMs: number;
  readonly wires: Set<Wire>;
}

export class PeerCertificates {
  /** Other names of the trust domain. */
  trustDomainAliases: readonly string[] = [];
  #revoked: ReadonlySet<string> = new Set();
  /** The one whose certificates hold; null: of any that TLS believes. */
  #onlySigner: string | null = null;
  readonly #opened = new Map<string, Opened>();
  #count = 0;
  #clearedAt = CLEARED_FROM;

  /** Both in lower-case hex. */
  isRevoked(serial: string, signer: string | undefined): boolean {
    return this.#revoked.has(serial) || (this.#onlySigner !== null && signer !== this.#onlySigner);
  }

  /** A connection stands whose peer has proved to own this certificate. */
  add({ serial, spiffeId, signer, notAfterMs }: Proven, wire: Wire): void {
    const opened = this.#opened.get(serial);
    if (opened === undefined) {
      this.#opened.set(serial, { spiffeId, signer, notAfterMs, wires: new Set([wire]) });
    } else opened.wires.add(wire);
    if (++this.#count > this.#clearedAt) this.#clear();
  }

  /**
   * These and no others are revoked from now on. Their connections are broken off, and those that identities opened with
   * a certificate that had ended when they were revoked: no list names it, and it may be of those who were shut out.
   * Whoever has come back with a new token since has one that ends later, and is left alone.
   */
  revoke(serials: readonly string[], identities: readonly RevokedIdentity[]): void {
    this.#revoked = new Set(serials);
    for (const serial of serials) this.#breakOff(serial);
    if (identities.length === 0) return;
    const endedBy = new Map(identities.map(({ spiffeId, endedByMs }) => [spiffeId, endedByMs]));
    for (const [serial, { spiffeId, notAfterMs }] of [...this.#opened]) {
      if (notAfterMs <= (endedBy.get(spiffeId) ?? -Infinity)) this.#breakOff(serial);
    }
  }

  /** Of a root whose key is in other hands anybody may have a certificate: what stands by it is broken off, too. */
  trustOnly(signer: string | null): void {
    this.#onlySigner = signer;
    if (signer === null) return;
    for (const [serial, opened] of [...this.#opened]) if (opened.signer !== signer) this.#breakOff(serial);
  }

  #breakOff(serial: string): void {
    const wires = this.#opened.get(serial)?.wires ?? [];
    this.#opened.delete(serial);
    for (const wire of wires) wire.terminate();
  }

  #clear(): void {
    this.#count = 0;
    for (const [serial, { wires }] of this.#opened) {
      for (const wire of wires) if (!isOpen(wire)) wires.delete(wire);
      if (wires.size === 0) this.#opened.delete(serial);
      this.#count += wires.size;
    }
    this.#clearedAt = Math.max(CLEARED_FROM, this.#count * 2);
  }
}
