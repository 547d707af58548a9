/** The ports of a gateway as they come and go with its configuration: each on its own, so that one that is taken keeps none shut. */
import type { Clock } from "../../lib/clock.ts";
import type { GatewayListener } from "../../model/gateway_listener.ts";
import type { ShutPort } from "../../model/shut_port.ts";
import type { ListenAddress, Listener, Wire, WireOwner } from "../../runtime/socket.ts";

/** A port that could not be opened is tried again after this. */
export const DOOR_RETRY_MS = 5_000;

export interface GatewayDoorsOptions {
  readonly clock: Clock;
  /** Address of listeners that name none; other processes of the same user may share it. */
  readonly hostname: string;
  readonly shared: boolean;
  /** Throws ListenError. */
  listen(address: ListenAddress, accept: (wire: Wire) => WireOwner | null): Listener;
  /** What takes the connections of a listener from now on. */
  door(name: string): Door;
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

export class GatewayDoors {
  readonly #options: GatewayDoorsOptions;
  readonly #open = new Map<string, OpenDoor>();
  /** Those that should be open and are not, by the listener's name, with the reason that was told. */
  readonly #shut = new Map<string, ShutPort>();
  #wanted: ReadonlyMap<string, GatewayListener> = new Map();
  #cancelRetry: () => void = () => {};

  constructor(options: GatewayDoorsOptions) {
    this.#options = options;
  }

  /** Opens what is new, closes what is gone, and lets the connections of that drain. */
  update(wanted: ReadonlyMap<string, GatewayListener>): void {
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
    for (const [name, listener] of this.#wanted) if (!this.#open.has(name)) this.#tryOpen(name, listener);
    if (this.#shut.size > 0) {
      this.#cancelRetry = this.#options.clock.after(DOOR_RETRY_MS, () => this.#openAll());
    }
  }

  #tryOpen(name: string, { bind, port }: GatewayListener): void {
    const { listen, hostname, shared, warn } = this.#options;
    try {
      const address = { hostname: bind ?? hostname, port, shared };
      const door = this.#options.door(name);
      this.#open.set(name, { door, listener: listen(address, (wire) => door.accept(wire)) });
      if (this.#reopen(name)) warn(`The gateway's port ${port} could be opened at last`);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (this.#shut.get(name)?.reason === reason) return;
      this.#shut.set(name, { port, reason });
      this.#options.onShut();
      warn(`A port of the gateway is shut, the others serve; it is tried again: ${reason}`);
    }
  }

  /** It is shut no more; whether it was. */
  #reopen(name: string): boolean {
    const was = this.#shut.delete(name);
    if (was) this.#options.onShut();
    return was;
  }
}
