/** Ports that come and go with the configuration: each on its own, so that one that is taken keeps none shut. */
import { messageOf } from "../../lib/message_of.ts";
import { type Bind, isSocket } from "../../model/bind.ts";
import type { Clock } from "../../lib/clock.ts";
import type { ShutPort } from "../../model/shut_port.ts";
import type { ListenAddress, Listener } from "../../runtime/socket.ts";
import type { Wire, WireOwner } from "../../runtime/wire.ts";

/** A port that could not be opened is tried again after this. */
export const DOOR_RETRY_MS = 5_000;

/** Where a door is wanted. */
export interface WantedDoor {
  readonly bind: Bind;
  readonly port: number;
}

export interface DoorsOptions {
  readonly clock: Clock;
  /** Whose they are, for the log. */
  readonly owner: "gateway" | "sidecar";
  /** Address of doors that name none; other processes of the same user may share it. */
  readonly hostname: string;
  readonly shared: boolean;
  /** Throws ListenError. */
  listen(address: ListenAddress, accept: (wire: Wire) => WireOwner | null): Listener;
  /** What takes the connections of a door from now on. */
  door(name: string, wanted: WantedDoor): Door;
  warn(message: string): void;
  /** Other ports than before cannot be opened, or for another reason. */
  onShut(): void;
}

interface Door {
  accept(wire: Wire): WireOwner | null;
  /** Is wanted no more: its connections drain. */
  close(): void;
}

interface OpenDoor {
  readonly door: Door;
  readonly listener: Listener;
}

export class Doors {
  readonly #options: DoorsOptions;
  readonly #open = new Map<string, OpenDoor>();
  /** Ports that should be open and are not, by the door's name, with the reason that was told. */
  readonly #shut = new Map<string, ShutPort>();
  #wanted: ReadonlyMap<string, WantedDoor> = new Map();
  #cancelRetry: () => void = () => {};

  constructor(options: DoorsOptions) {
    this.#options = options;
  }

  /** Opens what is new, closes what is gone, and lets the connections of that drain. */
  update(wanted: ReadonlyMap<string, WantedDoor>): void {
    this.#wanted = wanted;
    for (const [name, { door, listener }] of this.#open) {
      if (wanted.has(name)) continue;
      listener.stop();
      door.close();
      this.#open.delete(name);
    }
    for (const name of this.#shut.keys()) if (!wanted.has(name)) this.#reopen(name);
    this.#openAll();
  }

  /** Ports that should be open and are not. */
  get shut(): readonly ShutPort[] {
    return [...this.#shut.values()];
  }

  /** Closes the ports; connections go on. */
  close(): void {
    this.#cancelRetry();
    for (const { listener } of this.#open.values()) listener.stop();
    this.#open.clear();
    this.#shut.clear();
  }

  #openAll(): void {
    this.#cancelRetry();
    for (const [name, wanted] of this.#wanted) if (!this.#open.has(name)) this.#tryOpen(name, wanted);
    if (this.#shut.size > 0) {
      this.#cancelRetry = this.#options.clock.after(DOOR_RETRY_MS, () => this.#openAll());
    }
  }

  #tryOpen(name: string, wanted: WantedDoor): void {
    const { bind, port } = wanted;
    const { listen, hostname, shared, warn, owner } = this.#options;
    try {
      const address = { hostname: bind ?? hostname, port, shared };
      // Nobody is accepted before this is over, and there is no door where nobody listens.
      const listener = listen(address, (wire) => door.accept(wire));
      const door = this.#options.door(name, wanted);
      this.#open.set(name, { door, listener });
      if (this.#reopen(name)) warn(`The ${owner}'s ${placeOf(wanted)} could be opened at last`);
    } catch (error) {
      const reason = messageOf(error);
      if (this.#shut.get(name)?.reason === reason) return;
      this.#shut.set(name, { port, reason });
      this.#options.onShut();
      warn(`The ${owner}'s ${placeOf(wanted)} is shut, its others serve; it is tried again: ${reason}`);
    }
  }

  /** The port is shut no more. Returns whether it was. */
  #reopen(name: string): boolean {
    const was = this.#shut.delete(name);
    if (was) this.#options.onShut();
    return was;
  }
}

function placeOf({ bind, port }: WantedDoor): string {
  return isSocket({ bind }) ? `socket ${bind}` : `port ${port}`;
}
