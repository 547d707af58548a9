/** The long stream of JSON lines to and from the control plane. */
import { BoundedBytes } from "../lib/bounded_bytes.ts";
import { LineReader } from "../lib/line_reader.ts";
import { messageOf } from "../lib/message_of.ts";
import { DISCOVERY_LINE_BYTES_MAX } from "../model/discovery.ts";
import type { Host, PendingRequest } from "../proxy/cluster/host.ts";
import type { ClientStream, HeaderList, RequestHead, ResetReason, ResponseHead } from "../proxy/exchange.ts";
import { CONNECT_TIMEOUT_MS, whyReset } from "./control_plane_unreachable.ts";
import { refusalOf } from "./refusal_of.ts";

/** Bytes of what it says when it opens no stream. */
export const REFUSAL_BYTES_MAX = 4 * 1024;

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

export class StreamCall implements PendingRequest, LineStream {
  readonly #host: Host;
  readonly #events: StreamEvents;
  readonly #lines = new LineReader(DISCOVERY_LINE_BYTES_MAX);
  readonly #encoder = new TextEncoder();
  #stream: ClientStream | null = null;
  #head: RequestHead | null = null;
  #status = 0;
  /** Of an answer that opens no stream. */
  readonly #refusal = new BoundedBytes(REFUSAL_BYTES_MAX);
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
      if (!this.#refusal.add(chunk)) this.#end(`it answered ${this.#status}`);
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
    this.#end(whyReset(reason, this.#host.address.hostname));
  }

  onUpstreamWritable(): void {}

  #opened(stream: ClientStream): void {
    this.#stream = stream;
    this.#events.onOpen();
  }

  #endRefused(): void {
    let body: unknown = null;
    try {
      body = JSON.parse(this.#refusal.text());
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
