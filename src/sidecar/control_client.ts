/**
 * The sidecar's line to the control plane: requests with JSON bodies and one long stream, over TLS on the data plane's
 * own client, which checks that the other end is the control plane of the trust domain.
 */
import type { Clock } from "../lib/clock.ts";
import { LineReader } from "../lib/line_reader.ts";
import { messageOf } from "../lib/message_of.ts";
import type { TimerWheel } from "../lib/timer_wheel.ts";
import { DISCOVERY_LINE_BYTES_MAX } from "../model/discovery.ts";
import { controlPlaneId } from "../model/spiffe_id.ts";
import { Host, type PendingRequest } from "../proxy/cluster/host.ts";
import {
  BODY_LENGTH_UNKNOWN,
  type ClientStream,
  type HeaderList,
  type RequestHead,
  type ResetReason,
  type ResponseHead,
} from "../proxy/exchange.ts";
import type { Connect } from "../runtime/socket.ts";
import type { TlsMaterial } from "../runtime/tls_options.ts";
import { notConnected } from "./not_connected.ts";
import { refusalOf } from "./refusal_of.ts";

const CONNECT_TIMEOUT_MS = 5_000;
/** A request must be answered within this. */
const REQUEST_TIMEOUT_MS = 15_000;
/** Nobody is sent away for longer. */
const RETRY_AFTER_MAX_MS = 60_000;
/** Bytes of what it says when it opens no stream. */
const REFUSAL_BYTES_MAX = 4 * 1024;
/** Bytes of an answer to a request. */
const ANSWER_BYTES_MAX = 1024 * 1024;

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

/** The control plane could not be reached, or the line broke: trying again later is right. */
export class ControlPlaneUnreachable extends Error {
  override readonly name = "ControlPlaneUnreachable";
  readonly code = "control_plane_unreachable";
  /** When the control plane said how long to wait: milliseconds. */
  readonly retryAfterMs: number;

  constructor(message: string, options?: ErrorOptions & { readonly retryAfterMs?: number }) {
    super(message, options);
    this.retryAfterMs = options?.retryAfterMs ?? 0;
  }
}

export interface Answer {
  readonly status: number;
  /** Parsed JSON, or null for an empty body. */
  readonly body: unknown;
  /** Milliseconds of its `retry-after`, up to RETRY_AFTER_MAX_MS; 0 without one. */
  readonly retryAfterMs: number;
}

/** What a stream tells whoever opened it. */
export interface StreamEvents {
  onOpen(): void;
  onLine(line: string): void;
  /** Called once, and last. `code` is the control plane's, when it opened no stream and said why. */
  onEnd(reason: string, code?: string): void;
}

/** The sending half of a stream of JSON lines. */
export interface LineStream {
  send(message: unknown): void;
  close(): void;
}

export class ControlClient {
  readonly #options: ControlClientOptions;
  #host: Host;
  readonly #authority: string;

  constructor(options: ControlClientOptions) {
    this.#options = options;
    this.#authority = options.address;
    this.#host = this.#createHost();
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

  #head(path: string, bodyLength: number): RequestHead {
    const headers = ["content-type", "application/json"];
    return { method: "POST", scheme: "https", authority: this.#authority, path, headers, bodyLength };
  }
}

/** One request and its answer. */
class JsonCall implements PendingRequest {
  readonly #host: Host;
  readonly #head: RequestHead;
  readonly #body: Uint8Array;
  readonly #resolve: (answer: Answer) => void;
  readonly #reject: (error: Error) => void;
  readonly #cancelTimeout: () => void;
  readonly #pieces: Uint8Array[] = [];
  #bytes = 0;
  #status = 0;
  #retryAfterMs = 0;
  #stream: ClientStream | null = null;
  #over = false;

  constructor(
    host: Host,
    clock: Clock,
    head: RequestHead,
    body: Uint8Array,
    resolve: (answer: Answer) => void,
    reject: (error: Error) => void,
  ) {
    this.#host = host;
    this.#head = head;
    this.#body = body;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#cancelTimeout = clock.after(REQUEST_TIMEOUT_MS, () => this.#giveUp("it did not answer in time"));
  }

  start(): void {
    const stream = this.#host.request(this, this.#head, false, CONNECT_TIMEOUT_MS);
    if (stream === "overflow") this.#giveUp("too many requests wait for it");
    else if (stream !== null) this.#send(stream);
  }

  onConnection(open: (head: RequestHead, ended: boolean) => ClientStream): void {
    this.#send(open(this.#head, false));
  }

  onInform(): void {}

  onResponse(head: ResponseHead): void {
    this.#status = head.status;
    const at = head.headers.indexOf("retry-after");
    const seconds = at < 0 ? 0 : Number(head.headers[at + 1]) || 0;
    this.#retryAfterMs = Math.min(Math.max(0, seconds * 1000), RETRY_AFTER_MAX_MS);
  }

  onResponseBody(chunk: Uint8Array): void {
    this.#bytes += chunk.length;
    if (this.#bytes > ANSWER_BYTES_MAX) this.#giveUp(`its answer is longer than ${ANSWER_BYTES_MAX} bytes`);
    else this.#pieces.push(chunk);
  }

  onResponseEnd(): void {
    if (this.#over) return;
    const text = new TextDecoder().decode(Buffer.concat(this.#pieces, this.#bytes));
    try {
      const body: unknown = text === "" ? null : JSON.parse(text);
      this.#finish();
      this.#resolve({ status: this.#status, body, retryAfterMs: this.#retryAfterMs });
    } catch {
      this.#giveUp("its answer is not JSON");
    }
  }

  onUpstreamReset(reason: ResetReason): void {
    this.#stream = null;
    this.#giveUp(describeReset(reason, this.#host.address.hostname));
  }

  onUpstreamWritable(): void {}

  #send(stream: ClientStream): void {
    this.#stream = stream;
    stream.body(this.#body);
    stream.end(null);
  }

  #finish(): void {
    this.#over = true;
    this.#cancelTimeout();
  }

  #giveUp(why: string): void {
    if (this.#over) return;
    this.#finish();
    if (this.#stream !== null) this.#stream.reset();
    else this.#host.withdraw(this);
    const { hostname, port } = this.#host.address;
    this.#reject(
      new ControlPlaneUnreachable(`The control plane at ${hostname}:${port} cannot be used: ${why}`),
    );
  }
}

class StreamCall implements PendingRequest, LineStream {
  readonly #host: Host;
  readonly #events: StreamEvents;
  readonly #lines = new LineReader(DISCOVERY_LINE_BYTES_MAX);
  readonly #encoder = new TextEncoder();
  #stream: ClientStream | null = null;
  #head: RequestHead | null = null;
  #status = 0;
  /** Of an answer that opens no stream. */
  readonly #refusal: Uint8Array[] = [];
  #over = false;

  constructor(host: Host, events: StreamEvents) {
    this.#host = host;
    this.#events = events;
  }

  start(head: RequestHead): void {
    this.#head = head;
    const stream = this.#host.request(this, head, false, CONNECT_TIMEOUT_MS);
    if (stream === "overflow") this.#end("too many requests wait");
    else if (stream !== null) this.#opened(stream);
  }

  send(message: unknown): void {
    this.#stream?.body(this.#encoder.encode(`${JSON.stringify(message)}\n`));
  }

  close(): void {
    if (this.#over) return;
    this.#over = true;
    if (this.#stream !== null) this.#stream.reset();
    else this.#host.withdraw(this);
  }

  onConnection(open: (head: RequestHead, ended: boolean) => ClientStream): void {
    this.#opened(open(this.#head as RequestHead, false));
  }

  onInform(): void {}

  onResponse(head: ResponseHead): void {
    this.#status = head.status;
  }

  onResponseBody(chunk: Uint8Array): void {
    if (this.#over) return;
    if (this.#status !== 200) {
      this.#refusal.push(chunk);
      const bytes = this.#refusal.reduce((sum, { length }) => sum + length, 0);
      if (bytes > REFUSAL_BYTES_MAX) this.#end(`it answered ${this.#status}`);
      return;
    }
    try {
      for (const line of this.#lines.push(chunk)) if (!this.#over) this.#events.onLine(line);
    } catch (error) {
      this.#end(messageOf(error));
    }
  }

  onResponseEnd(_trailers: HeaderList | null): void {
    this.#stream = null;
    if (this.#status === 200) this.#end("it ended the stream");
    else this.#endRefused();
  }

  onUpstreamReset(reason: ResetReason): void {
    this.#stream = null;
    this.#end(describeReset(reason, this.#host.address.hostname));
  }

  onUpstreamWritable(): void {}

  #opened(stream: ClientStream): void {
    this.#stream = stream;
    this.#events.onOpen();
  }

  #endRefused(): void {
    let body: unknown = null;
    try {
      body = JSON.parse(new TextDecoder().decode(Buffer.concat(this.#refusal)));
    } catch {
      // Whatever it says, it is no reason.
    }
    const { code, message } = refusalOf(body);
    this.#end(`it answered ${this.#status}: ${message}`, code);
  }

  #end(reason: string, code?: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#stream?.reset();
    this.#events.onEnd(reason, code);
  }
}

function describeReset(reason: ResetReason, hostname: string): string {
  switch (reason) {
    case "connect-failure":
      return notConnected(hostname);
    case "connect-timeout":
      return "the connection did not come about in time";
    case "peer-refused":
      return "whoever answers there is not the control plane of this trust domain";
    case "closed":
      return "it closed the connection";
    case "timeout":
      return "it has been silent for too long";
    default:
      return "it broke the protocol";
  }
}
