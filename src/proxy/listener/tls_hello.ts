/** Owns a connection that begins with TLS until the bytes of its ClientHello are handed over, in one piece. */
import type { Wire, WireOwner } from "../../runtime/wire.ts";

export class TlsHello implements WireOwner {
  readonly #wire: Wire;
  readonly #begin: (hello: Buffer) => void;

  constructor(wire: Wire, begin: (hello: Buffer) => void) {
    this.#wire = wire;
    this.#begin = begin;
  }

  onData(chunk: Buffer): void {
    this.#begin(chunk);
  }

  onDrain(): void {}

  onEnd(): void {
    this.#wire.terminate();
  }

  onClose(): void {}
}
