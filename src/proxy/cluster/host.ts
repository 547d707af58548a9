/**
 * One address that requests are sent to, and its pool of connections: plain to the address, or mTLS to the mesh
 * listener in front of it. Hosts outlive snapshots, so that a change of routes costs no connection.
 */
import type { Clock } from "../../lib/clock.ts";
import type { TimerWheel } from "../../lib/timer_wheel.ts";
import { peerIdentity } from "../../identity/peer_identity.ts";
import {
  connect,
  setOwner,
  type TlsMaterial,
  type TlsWire,
  type TlsWireOwner,
  type Wire,
  type WireOwner,
} from "../../runtime/socket.ts";
import type { ClientHandler, ClientStream, RequestHead, ResetReason } from "../exchange.ts";
import { Http1ClientConnection, type Http1ClientOwner } from "../http1/client_connection.ts";

/** Requests that may wait for a connection of one host; above: 503 UO. */
export const PENDING_REQUESTS_MAX = 10_000;
/** Idle connections kept to one host; further ones are closed when they fall idle. */
export const IDLE_CONNECTIONS_MAX = 1_024;

/** Where a host is and who must answer there. */
export interface HostAddress {
  readonly hostname: string;
  readonly port: number;
  /** The SPIFFE ID that must answer, over mTLS; null: plain text. */
  readonly spiffeId: string | null;
}

export function hostKey(address: HostAddress): string {
  return `${address.hostname}|${address.port}|${address.spiffeId ?? "plain"}`;
}

/** What hosts need from the process around them. */
export interface HostContext {
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly trustDomain: string;
  /** The own certificate and the trusted roots, fresh at every connection. */
  tlsMaterial(): TlsMaterial;
  /** One line for the log: a peer that was refused, and why. */
  warn(message: string): void;
}

/** A request that waits for its connection. */
export interface PendingRequest extends ClientHandler {
  /** The connection is there: send the head. */
  onConnection(open: (head: RequestHead, ended: boolean) => ClientStream): void;
}

export class Host implements Http1ClientOwner {
  readonly address: HostAddress;
  /** Requests in flight, from being sent here to their end: what least-request balancing compares. */
  active = 0;
  readonly #context: HostContext;
  readonly #idle: Http1ClientConnection[] = [];
  readonly #pending: PendingRequest[] = [];
  #connecting = 0;
  #retired = false;

  constructor(address: HostAddress, context: HostContext) {
    this.address = address;
    this.#context = context;
  }

  /**
   * A connection for the request: the stream at once if one is idle, else null, and `onConnection` or
   * `onUpstreamReset` follows. `"overflow"`: too many wait already.
   */
  request(
    pending: PendingRequest,
    head: RequestHead,
    ended: boolean,
    connectTimeoutMs: number,
  ): ClientStream | null | "overflow" {
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle.request(pending, head, ended);
    if (this.#pending.length >= PENDING_REQUESTS_MAX) return "overflow";
    this.#pending.push(pending);
    if (this.#connecting < this.#pending.length) this.#connect(connectTimeoutMs);
    return null;
  }

  /** The request is not wanted any more. */
  withdraw(pending: PendingRequest): void {
    const index = this.#pending.indexOf(pending);
    if (index >= 0) this.#pending.splice(index, 1);
  }

  /** No snapshot names this host any more: connections close as they fall idle. */
  retire(): void {
    this.#retired = true;
    for (const connection of this.#idle.splice(0)) connection.close();
  }

  /** A snapshot names it again. */
  revive(): void {
    this.#retired = false;
  }

  get isIdle(): boolean {
    return this.active === 0 && this.#pending.length === 0 && this.#connecting === 0;
  }

  onIdle(connection: Http1ClientConnection): void {
    const next = this.#pending.shift();
    if (next !== undefined) {
      next.onConnection((head, ended) => connection.request(next, head, ended));
    } else if (this.#retired || this.#idle.length >= IDLE_CONNECTIONS_MAX) {
      connection.close();
    } else {
      this.#idle.push(connection);
    }
  }

  onGone(connection: Http1ClientConnection): void {
    const index = this.#idle.indexOf(connection);
    if (index >= 0) this.#idle.splice(index, 1);
  }

  #connect(timeoutMs: number): void {
    this.#connecting++;
    const { spiffeId } = this.address;
    const attempt = new ConnectAttempt(this.#context, this.address, {
      ready: (wire) => {
        this.#connecting--;
        const connection = new Http1ClientConnection(wire, this, this.#context.wheel);
        this.onIdle(connection);
        return connection;
      },
      failed: (reason) => {
        this.#connecting--;
        this.#pending.shift()?.onUpstreamReset(reason, false);
      },
    });
    attempt.start(timeoutMs, spiffeId === null ? null : this.#context.tlsMaterial());
  }
}

interface AttemptOutcome {
  ready(wire: Wire): WireOwner;
  failed(reason: ResetReason): void;
}

/** One connection on its way: TCP, then for mTLS the handshake and the check of who answered. */
class ConnectAttempt implements TlsWireOwner {
  readonly #context: HostContext;
  readonly #address: HostAddress;
  readonly #outcome: AttemptOutcome;
  #wire: Wire | null = null;
  #over = false;
  #cancelTimer: () => void = () => {};

  constructor(context: HostContext, address: HostAddress, outcome: AttemptOutcome) {
    this.#context = context;
    this.#address = address;
    this.#outcome = outcome;
  }

  start(timeoutMs: number, tls: TlsMaterial | null): void {
    this.#cancelTimer = this.#context.clock.after(timeoutMs, () => this.#fail("connect-timeout"));
    connect(this.#address, tls, {
      opened: (wire) => {
        this.#wire = wire;
        if (this.#over) {
          wire.terminate();
          return this;
        }
        return tls === null ? this.#succeed(wire) : this;
      },
      failed: () => this.#fail("connect-failure"),
    });
  }

  onHandshake(wire: TlsWire, error: Error | null): void {
    if (this.#over) return;
    const verdict = peerIdentity({ error, certificate: wire.getPeerCertificate() }, {
      peer: "server",
      trustDomain: this.#context.trustDomain,
      spiffeId: this.#address.spiffeId,
      nowMs: this.#context.clock.now(),
    });
    if (!verdict.ok) {
      const { hostname, port } = this.#address;
      this.#context.warn(`Refused the peer at ${hostname}:${port} (${verdict.code}): ${verdict.detail}`);
      this.#fail("peer-refused");
      return;
    }
    setOwner(wire, this.#succeed(wire));
  }

  /** Bytes before the handshake is judged are nobody's. */
  onData(): void {
    this.#fail("protocol-error");
  }

  onDrain(): void {}

  onEnd(): void {
    this.#fail("connect-failure");
  }

  onClose(): void {
    this.#fail("connect-failure");
  }

  #succeed(wire: Wire): WireOwner {
    this.#over = true;
    this.#cancelTimer();
    return this.#outcome.ready(wire);
  }

  #fail(reason: ResetReason): void {
    if (this.#over) return;
    this.#over = true;
    this.#cancelTimer();
    this.#wire?.terminate();
    this.#outcome.failed(reason);
  }
}
