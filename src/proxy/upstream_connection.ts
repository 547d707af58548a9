/** What a pool knows of a connection to an upstream, whichever protocol it speaks. */
import type { ClientHandler, ClientStream, RequestHead } from "./exchange.ts";

export interface UpstreamConnection {
  /** Requests that it takes now: with HTTP/1 one when idle, with HTTP/2 as many streams as are free. */
  readonly capacity: number;
  /** Sends a request; there must be capacity. `ended`: it has no body. */
  request(handler: ClientHandler, head: RequestHead, ended: boolean): ClientStream;
  /** Takes no more requests, and closes when it has none. */
  retire(): void;
  /** The pool's own mark: it is among those that are free. */
  pooled: boolean;
}

/** Hears from a connection. */
export interface UpstreamOwner {
  /** The connection can take a request, or another one. */
  onCapacity(connection: UpstreamConnection): void;
  /** The connection takes no more requests. */
  onGone(connection: UpstreamConnection): void;
  /** The peer has left a question unanswered for longer than it should; false: it has said something after all. */
  onDoubt?(isDoubted: boolean): void;
  /** The connection ends, since the peer answers no more. */
  onSilent?(connection: UpstreamConnection): void;
  /** What the peer is taken to allow before it has said so. Absent: what peers allow in general. */
  readonly streamsAssumed?: number;
  /** The peer has said how many requests it takes at once on one connection. */
  onStreamsMax?(streams: number): void;
}
