/** Connections that a proxy opens, in the hands of a test: it accepts them, refuses them, answers on them. */
import type { Connect, ConnectHandlers } from "../../../src/runtime/socket.ts";
import type { TlsClient } from "../../../src/runtime/tls_options.ts";
import type { Address, TlsWire, TlsWireOwner, WireOwner } from "../../../src/runtime/wire.ts";
import { FakeWire, latin1, settle } from "./fake_wire.ts";

export class FakeNetwork {
  readonly attempts: FakeConnection[] = [];

  readonly connect: Connect = (address, tls, on) => {
    this.attempts.push(new FakeConnection(address, tls, on));
  };

  get last(): FakeConnection {
    const attempt = this.attempts.at(-1);
    if (attempt === undefined) throw new Error("Nothing was connected");
    return attempt;
  }
}

/** One connection from the moment it is wanted. */
export class FakeConnection {
  readonly wire = new FakeWire();
  #closed = false;

  constructor(readonly address: Address, readonly tls: TlsClient | null, readonly on: ConnectHandlers) {}

  accept(): this {
    this.#owner = this.on.opened(this.wire);
    return this;
  }

  refuse(): void {
    this.on.failed(new Error("Connection refused"));
  }

  /** The end of the TLS handshake: the peer showed this certificate. */
  handshake(
    certificate: Uint8Array | null,
    error: Error | null = null,
    alpnProtocol: string | false = this.tls?.alpn?.[0] ?? false,
  ): this {
    const wire = Object.assign(this.wire, {
      getPeerCertificate: () => certificate === null ? null : { raw: certificate },
      alpnProtocol,
    });
    (this.#owner as TlsWireOwner).onHandshake(wire as unknown as TlsWire, error);
    return this;
  }

  /** The upstream says this. */
  say(...pieces: (string | Buffer)[]): void {
    for (const piece of pieces) this.#owner.onData(typeof piece === "string" ? latin1(piece) : piece);
  }

  /** The upstream sends no more. */
  end(): void {
    this.#owner.onEnd();
  }

  /** The upstream closes, in order or by a reset. */
  close(how: "end" | "reset" = "end"): void {
    if (this.#closed) return;
    if (how === "end") this.#owner.onEnd();
    this.#closed = true;
    this.#owner.onClose();
  }

  drain(room = Number.POSITIVE_INFINITY): void {
    this.wire.room = room;
    this.#owner.onDrain();
  }

  /** What the upstream has read since the last call. */
  async read(): Promise<string> {
    await settle();
    return this.wire.take();
  }

  /** `setOwner` puts the owner where a Bun socket has it. */
  get #owner(): WireOwner {
    return (this.wire as unknown as { data: WireOwner }).data;
  }

  set #owner(owner: WireOwner) {
    (this.wire as unknown as { data: WireOwner }).data = owner;
  }
}

/** A certificate whose name is not the host's: what Bun says of every SPIFFE certificate. */
export const OTHER_NAME: Error = Object.assign(new Error("Hostname mismatch"), {
  code: "ERR_TLS_CERT_ALTNAME_INVALID",
});
