/**
 * Serves a Fetch handler (a Hono app) on the data plane's own codec, since only there the peer's certificate is known.
 * For the control plane's endpoint: bodies stream both ways with backpressure, and promises are allowed.
 */
import type {
  Acceptor,
  RequestHead,
  ResetReason,
  ServerHandler,
  ServerStream,
} from "../../proxy/exchange.ts";
import { BODY_LENGTH_UNKNOWN } from "../../proxy/exchange.ts";

/** Who is at the other end of the connection. */
export interface Peer {
  /** SPIFFE ID that the handshake proved; null: the peer showed no certificate that holds. */
  readonly spiffeId: string | null;
  /** Serial number of the certificate that the peer showed, lower-case hex; null without one. */
  readonly serial: string | null;
  readonly address: string;
}

/** A peer that showed a certificate that holds. */
export interface ProvenPeer extends Peer {
  readonly spiffeId: string;
}

export type PeerHandler = (request: Request, peer: Peer) => Response | Promise<Response>;

/** Bytes of a request's body that wait for the handler; above, the sender is held back. */
const BODY_WAITING_BYTES_MAX = 64 * 1024;

export class FetchAcceptor implements Acceptor {
  readonly #handler: PeerHandler;
  readonly #peer: Peer;

  constructor(handler: PeerHandler, peer: Peer) {
    this.#handler = handler;
    this.#peer = peer;
  }

  accept(stream: ServerStream, head: RequestHead, ended: boolean): ServerHandler {
    const exchange = new FetchExchange(stream);
    void exchange.serve(this.#handler, this.#peer, head, ended);
    return exchange;
  }

  onMalformed(): void {}
}

class FetchExchange implements ServerHandler {
  readonly #stream: ServerStream;
  readonly #abort = new AbortController();
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  #over = false;
  #wakeWriter: (() => void) | null = null;

  constructor(stream: ServerStream) {
    this.#stream = stream;
  }

  async serve(handler: PeerHandler, peer: Peer, head: RequestHead, ended: boolean): Promise<void> {
    const request = this.#request(head, ended);
    let response: Response;
    try {
      response = request === null ? new Response(null, { status: 400 }) : await handler(request, peer);
    } catch {
      // Handlers answer for their own errors; what is left is a bug, and the peer learns nothing of it.
      response = new Response(null, { status: 500 });
    }
    if (this.#over) {
      await response.body?.cancel();
      return;
    }
    await this.#respond(response);
  }

  #request(head: RequestHead, ended: boolean): Request | null {
    const headers = new Headers();
    for (let i = 0; i < head.headers.length; i += 2) {
      headers.append(head.headers[i] as string, head.headers[i + 1] as string);
    }
    const body = ended ? null : new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
      },
      pull: () => this.#stream.resumeRequest(),
      cancel: () => {
        this.#controller = null;
        this.#stream.resumeRequest();
      },
    }, new ByteLengthQueuingStrategy({ highWaterMark: BODY_WAITING_BYTES_MAX }));
    const { method } = head;
    const { signal } = this.#abort;
    try {
      return new Request(`https://${head.authority}${head.path}`, { method, headers, body, signal });
    } catch {
      // A method or a body that Fetch has no form for: GET with a body, TRACE.
      return null;
    }
  }

  async #respond(response: Response): Promise<void> {
    const headers: string[] = [];
    let bodyLength = response.body === null ? 0 : BODY_LENGTH_UNKNOWN;
    response.headers.forEach((value, name) => {
      if (name === "content-length") bodyLength = Number(value);
      else if (name !== "transfer-encoding" && name !== "connection") headers.push(name, value);
    });
    this.#stream.respond({ status: response.status, headers, bodyLength });
    if (response.body !== null) {
      try {
        for await (const chunk of response.body) {
          if (this.#over) return;
          if (!this.#stream.body(chunk)) await new Promise<void>((resolve) => this.#wakeWriter = resolve);
        }
      } catch {
        if (!this.#over) this.#stream.reset();
        this.#over = true;
        return;
      }
    }
    if (this.#over) return;
    this.#over = true;
    this.#stream.end(null);
  }

  onRequestBody(chunk: Uint8Array): void {
    if (this.#controller === null) return;
    this.#controller.enqueue(chunk);
    if ((this.#controller.desiredSize ?? 0) <= 0) this.#stream.pauseRequest();
  }

  onRequestEnd(): void {
    this.#controller?.close();
    this.#controller = null;
  }

  onDownstreamReset(reason: ResetReason): void {
    this.#over = true;
    this.#controller?.error(new Error(`The peer broke off: ${reason}`));
    this.#controller = null;
    this.#abort.abort();
    this.onDownstreamWritable();
  }

  onDownstreamWritable(): void {
    this.#wakeWriter?.();
    this.#wakeWriter = null;
  }
}
