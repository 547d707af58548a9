/**
 * Fetches the trust bundle over TLS that believes nobody: the joiner has nothing yet to believe by. The content proves
 * itself, by the hash in the token; until then nothing else is said to whoever answers.
 */
import type { Clock } from "../lib/clock.ts";
import type { TimerWheel } from "../lib/timer_wheel.ts";
import type { ClientHandler, ClientStream, ResetReason, ResponseHead } from "../proxy/exchange.ts";
import { Http1ClientConnection } from "../proxy/http1/client_connection.ts";
import type { UpstreamOwner } from "../proxy/upstream_connection.ts";
import { connect, setOwner, type TlsWire, type TlsWireOwner, type Wire } from "../runtime/socket.ts";

const TIMEOUT_MS = 10_000;
const NO_IDENTITY = { chain: "", key: "", roots: "", alpn: ["http/1.1"] } as const;

export interface TrustBundleFetchOptions {
  /** `HOST:PORT` of the control plane. */
  readonly controlPlane: string;
  readonly bytesMax: number;
  readonly clock: Clock;
  readonly wheel: TimerWheel;
}

/** The body of `GET /v1/trust-bundle`. Rejects with an Error that says why in a clause. */
export function fetchTrustBundle(options: TrustBundleFetchOptions): Promise<string> {
  return new Promise((resolve, reject) => new Fetch(options, resolve, reject).start());
}

class Fetch implements TlsWireOwner, ClientHandler, UpstreamOwner {
  readonly #options: TrustBundleFetchOptions;
  readonly #resolve: (body: string) => void;
  readonly #reject: (error: Error) => void;
  readonly #decoder = new TextDecoder();
  #cancelTimeout: () => void = () => {};
  #wire: Wire | null = null;
  #stream: ClientStream | null = null;
  #text = "";
  #bytes = 0;
  #over = false;

  constructor(
    options: TrustBundleFetchOptions,
    resolve: (body: string) => void,
    reject: (error: Error) => void,
  ) {
    this.#options = options;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  start(): void {
    const { controlPlane, clock } = this.#options;
    const colon = controlPlane.lastIndexOf(":");
    const hostname = controlPlane.slice(0, colon).replace(/^\[|\]$/g, "");
    this.#cancelTimeout = clock.after(TIMEOUT_MS, () => this.#fail("it did not answer in time"));
    connect({ hostname, port: Number(controlPlane.slice(colon + 1)) }, NO_IDENTITY, {
      opened: (wire) => {
        this.#wire = wire;
        return this;
      },
      failed: () => this.#fail("nobody accepts connections there"),
    });
  }

  /** Whatever the other end showed: see above. */
  onHandshake(wire: TlsWire): void {
    if (this.#over) return;
    const connection = new Http1ClientConnection(wire, this, this.#options.wheel);
    setOwner(wire, connection);
    const { controlPlane: authority } = this.#options;
    const head = {
      method: "GET",
      scheme: "https",
      authority,
      path: "/v1/trust-bundle",
      headers: [],
      bodyLength: 0,
    };
    this.#stream = connection.request(this, head, true);
  }

  onResponse({ status }: ResponseHead): void {
    if (status !== 200) this.#fail(`it answered ${status}`);
  }

  onResponseBody(chunk: Uint8Array): void {
    if (this.#over) return;
    this.#bytes += chunk.length;
    if (this.#bytes > this.#options.bytesMax) {
      this.#fail(`its answer is longer than ${this.#options.bytesMax} bytes`);
    } else this.#text += this.#decoder.decode(chunk, { stream: true });
  }

  onResponseEnd(): void {
    if (this.#over) return;
    this.#over = true;
    this.#cancelTimeout();
    this.#resolve(this.#text + this.#decoder.decode());
  }

  onUpstreamReset(_reason: ResetReason): void {
    this.#stream = null;
    this.#fail("it broke off the answer");
  }

  /** One question is all. */
  onCapacity(connection: Parameters<UpstreamOwner["onCapacity"]>[0]): void {
    connection.retire();
  }

  onGone(): void {}
  onInform(): void {}
  onUpstreamWritable(): void {}
  onDrain(): void {}

  // Before the handshake is done:

  onData(): void {
    this.#fail("it does not speak TLS");
  }

  onEnd(): void {
    this.#fail("it does not speak TLS 1.3");
  }

  onClose(): void {
    this.#fail("it does not speak TLS 1.3");
  }

  #fail(why: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#cancelTimeout();
    if (this.#stream !== null) this.#stream.reset();
    else this.#wire?.terminate();
    this.#reject(new Error(why));
  }
}
