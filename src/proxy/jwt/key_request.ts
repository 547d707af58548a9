/** One GET to a server that has keys, and its answer in full: short, in time, and a 200. */
import { BoundedBytes } from "../../lib/bounded_bytes.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Host, PendingRequest } from "../cluster/host.ts";
import type { ClientStream, RequestHead, ResetReason, ResponseHead } from "../exchange.ts";

/** Longest answer; sets of keys have a few KiB. */
export const KEYS_BYTES_MAX = 256 * 1024;

/** The server has no keys for us. The message is a clause without anything that the server chose. */
export class KeyServerError extends Error {
  override readonly name = "KeyServerError";
}

/** Rejects with KeyServerError. */
export async function getText(host: Host, url: URL, clock: Clock, timeoutMs: number): Promise<string> {
  const head: RequestHead = {
    method: "GET",
    scheme: url.protocol.slice(0, -1),
    authority: url.host,
    path: url.pathname + url.search,
    headers: ["accept", "application/json", "accept-encoding", "identity", "user-agent", "bowline"],
    bodyLength: 0,
  };
  return await new Promise((resolve, reject) =>
    new KeyRequest(host, head, resolve, reject).start(clock, timeoutMs)
  );
}

class KeyRequest implements PendingRequest {
  readonly #host: Host;
  readonly #head: RequestHead;
  readonly #resolve: (text: string) => void;
  readonly #reject: (error: KeyServerError) => void;
  readonly #body = new BoundedBytes(KEYS_BYTES_MAX);
  #stream: ClientStream | null = null;
  #timeoutMs = 0;
  /** A kept connection closed under it, and it was sent again. */
  #again = false;
  #done = false;
  #cancelTimer: () => void = () => {};

  constructor(
    host: Host,
    head: RequestHead,
    resolve: (text: string) => void,
    reject: (error: KeyServerError) => void,
  ) {
    this.#host = host;
    this.#head = head;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  start(clock: Clock, timeoutMs: number): void {
    this.#timeoutMs = timeoutMs;
    this.#cancelTimer = clock.after(timeoutMs, () => this.#fail(`no answer within ${timeoutMs} ms`));
    this.#host.active++;
    this.#send();
  }

  #send(): void {
    const stream = this.#host.request(this, this.#head, true, this.#timeoutMs, this.#again);
    if (stream === "overflow") this.#fail("too many wait for a connection");
    else if (stream !== null) this.#stream = stream;
  }

  onConnection(open: (head: RequestHead, ended: boolean) => ClientStream): void {
    this.#stream = open(this.#head, true);
  }

  onInform(): void {}

  onResponse({ status }: ResponseHead): void {
    if (status >= 300 && status < 400) {
      this.#fail(`the answer is a redirect (${status}), which is not followed`);
    } else if (status !== 200) this.#fail(`the answer is ${status}`);
  }

  onResponseBody(chunk: Uint8Array): void {
    if (this.#done) return;
    if (!this.#body.add(chunk)) this.#fail(`the answer is longer than ${KEYS_BYTES_MAX} bytes`);
  }

  onResponseEnd(): void {
    if (this.#done) return;
    this.#stream = null;
    this.#finish();
    this.#resolve(this.#body.text());
  }

  onUpstreamReset(reason: ResetReason, processed: boolean): void {
    if (this.#done) return;
    this.#stream = null;
    if (reason !== "closed" || processed || this.#again) return this.#fail(`no answer (${reason})`);
    this.#again = true;
    this.#send();
  }

  onUpstreamWritable(): void {}

  #fail(reason: string): void {
    if (this.#done) return;
    const stream = this.#stream;
    this.#finish();
    if (stream === null) this.#host.withdraw(this);
    else stream.reset();
    this.#reject(new KeyServerError(reason));
  }

  #finish(): void {
    this.#done = true;
    this.#stream = null;
    this.#cancelTimer();
    this.#host.active--;
  }
}
