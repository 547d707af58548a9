/**
 * The sidecar's line to the control plane: requests with JSON bodies and one long stream, over TLS on the data plane's
 * own client, which checks that the other end is the control plane of the trust domain.
 */
import type { Clock } from "../lib/clock.ts";
import type { TimerWheel } from "../lib/timer_wheel.ts";
import { controlPlaneId } from "../model/spiffe_id.ts";
import { Host } from "../proxy/cluster/host.ts";
import { BODY_LENGTH_UNKNOWN, type RequestHead } from "../proxy/exchange.ts";
import type { Connect } from "../runtime/socket.ts";
import type { TlsMaterial } from "../runtime/tls_options.ts";
import { type Answer, JsonCall } from "./json_call.ts";
import { type LineStream, StreamCall, type StreamEvents } from "./line_stream.ts";

export interface ControlClientOptions {
  /** `HOST:PORT`. */
  readonly address: string;
  readonly trustDomain: string;
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly connect: Connect;
  /** Own certificate and trusted roots; chain and key are empty before the first join. */
  tlsMaterial(): TlsMaterial;
  warn(message: string): void;
}

export class ControlClient {
  readonly #options: ControlClientOptions;
  #host: Host;

  constructor(options: ControlClientOptions) {
    this.#options = options;
    this.#host = this.#createHost();
  }

  /** Throws ControlPlaneUnreachable. */
  post(path: string, body: unknown): Promise<Answer> {
    const bytes = new TextEncoder().encode(JSON.stringify(body));
    return new Promise((resolve, reject) => {
      const head = this.#head(path, bytes.length);
      new JsonCall(this.#host, this.#options.clock, head, bytes, resolve, reject).start();
    });
  }

  /** Opens the stream; whatever becomes of it is told to `events`. */
  stream(path: string, events: StreamEvents): LineStream {
    const call = new StreamCall(this.#host, events);
    call.start(this.#head(path, BODY_LENGTH_UNKNOWN));
    return call;
  }

  /** What is asked from now on is asked over new connections, which show the certificate of now. */
  reconnect(): void {
    this.#host.retire();
    this.#host = this.#createHost();
  }

  /** Connections close as they fall idle. */
  close(): void {
    this.#host.retire();
  }

  #createHost(): Host {
    const { address, trustDomain, clock, wheel, connect, tlsMaterial, warn } = this.#options;
    const colon = address.lastIndexOf(":");
    const hostname = address.slice(0, colon).replace(/^\[|\]$/g, "");
    return new Host(
      {
        hostname,
        port: Number(address.slice(colon + 1)),
        spiffeId: controlPlaneId(trustDomain),
        protocol: "http1",
      },
      { clock, wheel, trustDomain, connect, tlsMaterial, warn },
    );
  }

  #head(path: string, bodyLength: number): RequestHead {
    const headers = ["content-type", "application/json"];
    const { address: authority } = this.#options;
    return { method: "POST", scheme: "https", authority, path, headers, bodyLength };
  }
}
