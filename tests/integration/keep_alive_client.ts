/** A decent HTTP/1.1 client: one connection that it keeps, one request at a time, and an exact account of what came of each. */

/**
 * What became of a request: its status; `refused`: nobody accepted the connection; `lost`: the connection ended before
 * a byte of the answer; `broken`: in the middle of it.
 */
export type Outcome = number | "refused" | "lost" | "broken";

export interface HttpTarget {
  readonly address: string;
  readonly port: number;
  /** Authority of the requests. */
  readonly host: string;
}

export class KeepAliveClient {
  readonly #target: HttpTarget;
  #socket: Bun.Socket | null = null;
  #received = "";
  #resolve: ((outcome: Outcome) => void) | null = null;
  #body = "";
  #reply = "";
  /** Answers that said `connection: close`. */
  closesHeard = 0;

  constructor(target: HttpTarget) {
    this.#target = target;
  }

  /** Body of the last answer, Latin-1. */
  get body(): string {
    return this.#body;
  }

  /** What a proxy says of the last answer, if it made it itself: flags, details, and whose it is. */
  get reply(): string {
    return this.#reply;
  }

  get isBusy(): boolean {
    return this.#resolve !== null;
  }

  /** Connects first if it has to. One at a time. */
  async get(path: string): Promise<Outcome> {
    this.#received = "";
    this.#body = "";
    this.#reply = "";
    const outcome = new Promise<Outcome>((resolve) => this.#resolve = resolve);
    if (this.#socket === null && !await this.#connect()) return this.#finish("refused");
    this.#socket?.write(`GET ${path} HTTP/1.1\r\nHost: ${this.#target.host}\r\n\r\n`);
    if (this.#socket === null) this.#finish("lost");
    return await outcome;
  }

  close(): void {
    const socket = this.#socket;
    // Its end may be told at once, and is no surprise.
    this.#socket = null;
    socket?.end();
  }

  async #connect(): Promise<boolean> {
    const { address: hostname, port } = this.#target;
    try {
      this.#socket = await Bun.connect({
        hostname,
        port,
        socket: {
          open: (socket) => void socket.setNoDelay(true),
          data: (socket, chunk) => {
            if (socket === this.#socket) this.#onData(chunk);
          },
          end: (socket) => this.#onOver(socket),
          close: (socket) => this.#onOver(socket),
          error: (socket) => this.#onOver(socket),
        },
      });
      return true;
    } catch {
      return false;
    }
  }

  #onData(chunk: Buffer): void {
    this.#received += chunk.toString("latin1");
    const headEnd = this.#received.indexOf("\r\n\r\n");
    if (headEnd < 0) return;
    const head = this.#received.slice(0, headEnd).toLowerCase();
    const length = Number(/\r\ncontent-length: *([0-9]+)/.exec(head)?.[1]);
    if (Number.isNaN(length)) return this.#broken();
    if (this.#received.length < headEnd + 4 + length) return;
    // More than was asked for.
    if (this.#received.length > headEnd + 4 + length || this.#resolve === null) return this.#broken();
    this.#body = this.#received.slice(headEnd + 4);
    this.#reply = /\r\nx-bowline-reply: *([^\r]+)/.exec(head)?.[1] ?? "";
    if (/\r\nconnection: *close/.test(head)) {
      this.closesHeard++;
      this.close();
    }
    this.#finish(Number(head.slice(9, 12)));
  }

  #broken(): void {
    const socket = this.#socket;
    this.#socket = null;
    socket?.terminate();
    this.#finish("broken");
  }

  #onOver(socket: Bun.Socket): void {
    if (socket !== this.#socket) return;
    this.#socket = null;
    socket.end();
    this.#finish(this.#received === "" ? "lost" : "broken");
  }

  #finish(outcome: Outcome): Outcome {
    const resolve = this.#resolve;
    this.#resolve = null;
    resolve?.(outcome);
    return outcome;
  }
}

/** How often each outcome came. */
export class Tally {
  readonly counts = new Map<Outcome, number>();
  /** What proxies said of answers of their own. */
  readonly replies = new Set<string>();

  add(outcome: Outcome, reply = ""): void {
    if (reply !== "") this.replies.add(reply);
    this.counts.set(outcome, (this.counts.get(outcome) ?? 0) + 1);
  }

  get(outcome: Outcome): number {
    return this.counts.get(outcome) ?? 0;
  }

  get total(): number {
    return [...this.counts.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Everything that was not answered with 200; a connection that was refused carried nothing, and is asked again. */
  get failed(): number {
    return this.total - this.get(200) - this.get("refused");
  }

  /** `5000 × 200, 3 × lost`, and what proxies said. */
  toString(): string {
    const counts = [...this.counts].map(([outcome, count]) => `${count} × ${outcome}`).join(", ") ||
      "nothing";
    return this.replies.size === 0 ? counts : `${counts} (${[...this.replies].join(", ")})`;
  }
}

/** A while to wait before a refused connection is tried again. */
const REFUSED_PAUSE_MS = 20;

export interface LoadOptions {
  readonly clients: number;
  /** @default `/load-INDEX` */
  readonly path?: (index: number) => string;
  /** Before each request, milliseconds. @default 0 */
  readonly pauseMs?: () => number;
  /** What the body of an answer must be; other ones count as broken. @default anything */
  readonly expected?: (path: string) => string;
}

/** Clients that each send the next request when the last one is answered. */
export class Load {
  readonly tally = new Tally();
  readonly #target: HttpTarget;
  readonly #options: LoadOptions;
  #stopped = false;
  #running: Promise<unknown> = Promise.resolve();
  #sent = 0;
  #closesHeard = 0;

  constructor(target: HttpTarget, options: LoadOptions) {
    this.#target = target;
    this.#options = options;
  }

  /** Answers that said `connection: close`. */
  get closesHeard(): number {
    return this.#closesHeard;
  }

  /** Begins; ends by itself after so many requests. */
  start(requestsMax = Number.POSITIVE_INFINITY): this {
    const clients = Array.from({ length: this.#options.clients }, () => this.#client(requestsMax));
    this.#running = Promise.all(clients);
    return this;
  }

  /** Resolves when all requests are over. */
  async over(): Promise<Tally> {
    await this.#running;
    return this.tally;
  }

  /** No more requests; waits for those in flight. */
  async stop(): Promise<Tally> {
    this.#stopped = true;
    return await this.over();
  }

  async #client(requestsMax: number): Promise<void> {
    const client = new KeepAliveClient(this.#target);
    const { path: pathOf = (index: number) => `/load-${index}`, pauseMs, expected } = this.#options;
    while (!this.#stopped && this.#sent < requestsMax) {
      const path = pathOf(this.#sent++);
      const pause = pauseMs?.() ?? 0;
      if (pause > 0) await Bun.sleep(pause);
      const outcome = await client.get(path);
      const right = expected === undefined || outcome !== 200 || client.body === expected(path);
      this.tally.add(right ? outcome : "broken", client.reply);
      if (outcome !== "refused") continue;
      this.#sent--;
      await Bun.sleep(REFUSED_PAUSE_MS);
    }
    this.#closesHeard += client.closesHeard;
    client.close();
  }
}
