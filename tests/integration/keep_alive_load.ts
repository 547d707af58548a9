/** Clients that send one request after the other on a connection, and open another when the answer says that it closes. */
import { connect, type Socket } from "node:net";

export interface LoadTarget {
  readonly address: string;
  readonly port: number;
  /** Host header. */
  readonly host: string;
}

export class KeepAliveLoad {
  /** Requests that were answered 200. */
  answered = 0;
  /** What became of requests that were not. */
  readonly failures: string[] = [];
  /** Clients whose connection broke under a request. */
  broken = 0;
  /** Bodies of the latest answers, one for each client. */
  readonly latest: string[] = [];
  readonly #target: LoadTarget;
  #stopping = false;
  readonly #clients: Promise<void>[];

  constructor(target: LoadTarget, clients: number) {
    this.#target = target;
    this.#clients = Array.from({ length: clients }, (_, i) => this.#run(i));
  }

  /** Resolves when every client has the answer to its last request. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#clients);
  }

  async #run(client: number): Promise<void> {
    while (!this.#stopping) {
      const socket = await open(this.#target);
      // Nobody listens any more: there is nothing to send, so nothing fails.
      if (socket === null) return;
      await this.#converse(socket, client);
    }
  }

  /** Until the connection is over. */
  #converse(socket: Socket, client: number): Promise<void> {
    const { host } = this.#target;
    const request = `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
    return new Promise((resolve) => {
      let received = "";
      let waiting = true;
      socket.on("data", (chunk: Buffer) => {
        received += chunk.toString("latin1");
        const answer = parse(received);
        if (answer === null) return;
        received = "";
        this.latest[client] = answer.body;
        if (answer.status === 200) this.answered++;
        else this.failures.push(`status ${answer.status}: ${answer.body}`);
        waiting = !this.#stopping && !answer.closes;
        if (waiting) socket.write(request);
        else socket.end();
      });
      socket.on("error", () => {});
      socket.on("close", () => {
        if (waiting) {
          this.broken++;
          this.failures.push(`closed under a request, after ${JSON.stringify(received)}`);
        }
        resolve();
      });
      socket.write(request);
    });
  }
}

/** Null when nobody listens. */
function open({ address, port }: LoadTarget): Promise<Socket | null> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port, noDelay: true });
    socket.once("connect", () => resolve(socket));
    socket.once("error", () => resolve(null));
  });
}

/** Null as long as it is not whole. */
function parse(text: string): { status: number; body: string; closes: boolean } | null {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return null;
  const head = text.slice(0, end).toLowerCase();
  const length = /\r\ncontent-length: (\d+)/.exec(head)?.[1];
  const body = text.slice(end + 4);
  if (length === undefined || body.length < Number(length)) return null;
  return { status: Number(head.slice(9, 12)), body, closes: head.includes("\r\nconnection: close") };
}
