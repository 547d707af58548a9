/**
 * A connected byte stream. It is the Bun socket itself (no wrapper: this is the hot path); its owner hears every event by
 * a method call.
 */

export interface Address {
  /** For connections, and where TCP is listened for, also `unix:///PATH`, which has no port. */
  readonly hostname: string;
  readonly port: number;
}

/** Plain or TLS. */
export interface Wire {
  /** Returns how many of the bytes were taken; keep the rest and go on at `onDrain`. -1 when closed. */
  write(data: Uint8Array, offset?: number, length?: number): number;
  /** Sends what was taken, then FIN; with `onEnd` seen, closes. */
  end(): void;
  /** Half-close: no more bytes from here, the peer may go on sending. */
  shutdown(): void;
  /** Closes at once, with a reset. */
  terminate(): void;
  pause(): void;
  resume(): void;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
}

/** The IP addresses of both ends; "" at a socket of the file system, which has none. */
export function endsOf(wire: Wire): { readonly remote: Address; readonly local: Address } {
  const { remoteAddress = "", remotePort = 0, localAddress = "", localPort = 0 } = wire as Partial<Wire>;
  return {
    remote: { hostname: remoteAddress, port: remotePort },
    local: { hostname: localAddress, port: localPort },
  };
}

/** What a TLS peer showed in the handshake. `raw` is the leaf certificate in DER, absent when there was none. */
export interface TlsWire extends Wire {
  /** The protocol that both ends agreed on by ALPN; false: none. */
  readonly alpnProtocol: string | false | null;
  getPeerCertificate(): { readonly raw?: Uint8Array } | null | undefined;
}

/** Hears what happens on a Wire. After `onClose` nothing comes. */
export interface WireOwner {
  onData(chunk: Buffer): void;
  /** The wire takes more. Bun says so behind the peer's FIN as well, where it had taken everything. */
  onDrain(): void;
  /** The peer sent FIN; our side is still open. */
  onEnd(): void;
  /**
   * The wire is gone; with an error, the peer reset it. When our side had shut down before, the peer's FIN is told by
   * this alone, without an error and without `onEnd`.
   */
  onClose(error?: Error): void;
}

/** Hears a TLS handshake before any byte. The error is null only when the chain and the names were all accepted. */
export interface TlsWireOwner extends WireOwner {
  onHandshake(wire: TlsWire, error: Error | null): void;
}

/** Hears nothing: the owner of a wire that is closed as it opens. */
export const NOBODY: WireOwner = { onData() {}, onDrain() {}, onEnd() {}, onClose() {} };

/** The number of the wire's descriptor. The kernel gives the smallest that is free: all below are in use as it opens. */
export function descriptorOf(wire: Wire): number {
  return (wire as unknown as { readonly fd: number }).fd;
}

/** Bun's `readyState` of a socket that is established. */
const ESTABLISHED = 1;

/** Whether the wire still stands: for whoever is not its owner, and hears nothing. */
export function isOpen(wire: Wire): boolean {
  return (wire as { readonly readyState?: number }).readyState === ESTABLISHED;
}

/** Hands a wire to another owner, which hears everything from the next event on. */
export function setOwner(wire: Wire, owner: WireOwner): void {
  (wire as unknown as { data: WireOwner }).data = owner;
}
