/** Every connection that a client has open, and the decision whether another one is let in. */
import type { Clock } from "../../lib/clock.ts";
import type { ProxyCaps } from "../proxy_caps.ts";

/** A connection that carries no request yet, or never will; its end is no loss. */
export interface Unproven {
  /** Closes at once. */
  close(): void;
  /** Ends in a moment, unless it speaks before. */
  drain(): void;
}

/** A connection that carries requests. */
export interface Proven {
  /** Takes nothing new, and ends with what is in flight. */
  drain(): void;
  /** Breaks off what is in flight. */
  cut(): void;
}

/** Whose requests come over a connection: the mesh's to the own workload, or the own workload's. */
export type Side = "inbound" | "outbound";

/** Where connections came in: all that have one door can be drained together, as can those of a side. */
export interface Door {
  readonly side: Side;
  /** What still comes to carry requests drains at once. */
  closed: boolean;
}

interface Held {
  readonly door: Door;
  /** Monotonic milliseconds. */
  readonly openedAtMs: number;
}

/** The connections that were open at some moment. */
export interface OlderConnections {
  areOver(): boolean;
  /** Breaks off what is in flight on those that are left. */
  cut(): void;
}

/** Connections that were refused or closed since the start, by the cap that they hit. */
export interface ConnectionRefusals {
  /** Refused with 503, or closed in TLS. */
  connections: number;
  /** Closed for a new one, since they had said nothing for a while. */
  silent: number;
  /** Closed in the handshake. */
  handshakes: number;
  /** Closed because no more descriptors were free. */
  descriptors: number;
}

/** A connection that says nothing has this long until it may have to give way. */
export const SILENCE_MS = 1_000;

export class ConnectionGate {
  readonly refusals: ConnectionRefusals = { connections: 0, silent: 0, handshakes: 0, descriptors: 0 };
  readonly #caps: ProxyCaps;
  readonly #clock: Clock;
  // Maps remember the order: the oldest is the first.
  readonly #silent = new Map<Unproven, Held>();
  readonly #handshaking = new Map<Unproven, Held>();
  readonly #refused = new Set<Unproven>();
  readonly #proven = new Map<Proven, Door>();
  readonly #draining = new Set<Side>();

  constructor(caps: ProxyCaps, clock: Clock) {
    this.#caps = caps;
    this.#clock = clock;
  }

  /** What becomes of a connection that was just accepted, by its descriptor: nothing is known of it but that. */
  admit(descriptor: number): "serve" | "refuse" | "close" {
    if (descriptor >= this.#caps.descriptors) {
      this.refusals.descriptors++;
      return "close";
    }
    const served = this.#silent.size + this.#handshaking.size + this.#proven.size;
    if (served < this.#caps.connections || this.#closeSilent()) return "serve";
    this.refusals.connections++;
    return "refuse";
  }

  /** Holds one that has yet to say what it speaks. */
  holdSilent<Connection extends Unproven>(connection: Connection, door: Door): Connection {
    this.#silent.set(connection, { door, openedAtMs: this.#clock.monotonic() });
    return connection;
  }

  /** Holds one that has yet to end its handshake; above the cap the oldest gives way. */
  holdHandshaking<Connection extends Unproven>(connection: Connection, door: Door): Connection {
    if (this.#handshaking.size >= this.#caps.handshakes) {
      this.refusals.handshakes++;
      closeOldest(this.#handshaking);
    }
    this.#handshaking.set(connection, { door, openedAtMs: this.#clock.monotonic() });
    return connection;
  }

  /** Holds one that is there to hear that it is one too many; above the cap the oldest gives way. */
  holdRefused<Connection extends Unproven>(connection: Connection): Connection {
    if (this.#refused.size >= this.#caps.refused) closeOldest(this.#refused);
    this.#refused.add(connection);
    return connection;
  }

  /** Holds one that carries requests; one that was about to when its door or side began to drain, drains as well. */
  holdProven<Connection extends Proven>(connection: Connection, door: Door): Connection {
    this.#proven.set(connection, door);
    if (door.closed || this.#draining.has(door.side)) connection.drain();
    return connection;
  }

  /** The connection is closed, or has become another one. */
  readonly releaseUnproven = (connection: Unproven): void => {
    if (this.#silent.delete(connection) || this.#handshaking.delete(connection)) return;
    this.#refused.delete(connection);
  };

  readonly releaseProven = (connection: Proven): void => {
    this.#proven.delete(connection);
  };

  /** Connections that carry requests. */
  get proven(): number {
    return this.#proven.size;
  }

  /** Connections that do not. */
  get unproven(): number {
    return this.#silent.size + this.#handshaking.size + this.#refused.size;
  }

  /** Lets end what is in flight on that side, and takes nothing new. */
  drain(side: Side): void {
    this.#draining.add(side);
    this.#drainThose((door) => door.side === side);
  }

  /** Lets end what is in flight on that side now; what comes later is as ever. */
  drainOlder(side: Side): OlderConnections {
    const older = [...this.#proven].filter(([, door]) => door.side === side).map(([connection]) =>
      connection
    );
    for (const connection of older) connection.drain();
    const left = () => older.filter((connection) => this.#proven.has(connection));
    return {
      areOver: () => left().length === 0,
      cut: () => left().forEach((connection) => connection.cut()),
    };
  }

  /** Lets end what came in by one door, for so long; what is left by then is broken off. */
  drainDoor(door: Door, timeoutMs: number): void {
    door.closed = true;
    this.#drainThose((other) => other === door);
    this.#clock.after(timeoutMs, () => {
      for (const [connection, own] of [...this.#proven]) if (own === door) connection.cut();
    });
  }

  /** Connections of a side that carry requests, or may yet. */
  open(side: Side): number {
    let count = 0;
    for (const held of [...this.#silent.values(), ...this.#handshaking.values()]) {
      if (held.door.side === side) count++;
    }
    for (const door of this.#proven.values()) if (door.side === side) count++;
    return count;
  }

  /** Breaks off everything. */
  cut(): void {
    const unproven = [...this.#silent.keys(), ...this.#handshaking.keys(), ...this.#refused];
    for (const connection of unproven) connection.close();
    for (const connection of [...this.#proven.keys()]) connection.cut();
  }

  #drainThose(concerns: (door: Door) => boolean): void {
    for (const [connection, { door }] of [...this.#silent, ...this.#handshaking]) {
      if (concerns(door)) connection.drain();
    }
    for (const [connection, door] of [...this.#proven]) if (concerns(door)) connection.drain();
  }

  /** Whether one could be closed. A young one is about to speak: there would be no end of closing in a burst. */
  #closeSilent(): boolean {
    for (const { openedAtMs } of this.#silent.values()) {
      if (this.#clock.monotonic() - openedAtMs < SILENCE_MS) return false;
      this.refusals.silent++;
      closeOldest(this.#silent);
      return true;
    }
    return false;
  }
}

function closeOldest(connections: Map<Unproven, Held> | Set<Unproven>): void {
  for (const oldest of connections.keys()) {
    connections.delete(oldest);
    oldest.close();
    return;
  }
}
