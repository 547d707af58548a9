/** One request to the control plane with a JSON body, and its answer. */
import { formatAuthority } from "../lib/authority.ts";
import { BoundedBytes } from "../lib/bounded_bytes.ts";
import type { Clock } from "../lib/clock.ts";
import type { Host, PendingRequest } from "../proxy/cluster/host.ts";
import {
  type ClientStream,
  headerValue,
  type RequestHead,
  type ResetReason,
  type ResponseHead,
} from "../proxy/exchange.ts";
import { CONNECT_TIMEOUT_MS, ControlPlaneUnreachable, whyReset } from "./control_plane_unreachable.ts";

/** A request must be answered within this. */
const REQUEST_TIMEOUT_MS = 15_000;
/** Nobody is sent away for longer. */
const RETRY_AFTER_MAX_MS = 60_000;
/** Bytes of an answer to a request. */
const ANSWER_BYTES_MAX = 1024 * 1024;

export interface Answer {
  readonly status: number;
  /** Parsed JSON, or null for an empty body. */
  readonly body: unknown;
  /** Milliseconds of its `retry-after`, up to RETRY_AFTER_MAX_MS; 0 without one. */
  readonly retryAfterMs: number;
}

export class JsonCall implements PendingRequest {
  readonly #host: Host;
  readonly #head: RequestHead;
  readonly #body: Uint8Array;
  readonly #resolve: (answer: Answer) => void;
  readonly #reject: (error: Error) => void;
  readonly #cancelTimeout: () => void;
  readonly #answer = new BoundedBytes(ANSWER_BYTES_MAX);
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
    const seconds = Number(headerValue(head.headers, "retry-after")) || 0;
    this.#retryAfterMs = Math.min(Math.max(0, seconds * 1000), RETRY_AFTER_MAX_MS);
  }

  onResponseBody(chunk: Uint8Array): void {
    if (!this.#answer.add(chunk)) this.#giveUp(`its answer is longer than ${ANSWER_BYTES_MAX} bytes`);
  }

  onResponseEnd(): void {
    if (this.#over) return;
    const text = this.#answer.text();
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
    this.#giveUp(whyReset(reason, this.#host.address.hostname));
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
    const place = formatAuthority(this.#host.address);
    this.#reject(new ControlPlaneUnreachable(`The control plane at ${place} cannot be used: ${why}`));
  }
}
