/** The ports of a gateway as they come and go with its configuration: each on its own, so that one that is taken keeps none shut. */
import type { Clock } from "../../lib/clock.ts";
import type { GatewayListener } from "../../model/gateway_listener.ts";
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
  /** What takes the connections of a listener. */
  accept(name: string): (wire: Wire) => WireOwner | null;
  warn(message: string): void;
}

export class GatewayDoors {
  readonly #options: GatewayDoorsOptions;
  readonly #open = new Map<string, Listener>();
  /** Those that should be open and are not, with the reason that was told. */
  readonly #shut = new Map<string, string>();
  #wanted: ReadonlyMap<string, GatewayListener> = new Map();
  #cancelRetry: () => void = () => {};

  constructor(options: GatewayDoorsOptions) {
    this.#options = options;
  }

  /** Opens what is new and closes what is gone; connections that stand go on. */
  update(wanted: ReadonlyMap<string, GatewayListener>): void {
    this.#wanted = wanted;
    for (const [name, listener] of this.#open) {
      if (wanted.has(name)) continue;
      listener.stop();
      this.#open.delete(name);
    }
    for (const name of this.#shut.keys()) if (!wanted.has(name)) this.#shut.delete(name);
    this.#openAll();
  }

  /** Names of listeners that should be open and are not. */
  get shut(): readonly string[] {
    return [...this.#shut.keys()];
  }

  close(): void {
    this.#cancelRetry();
    this.update(new Map());
  }

  #openAll(): void {
    this.#cancelRetry();
    for (const [name, listener] of this.#wanted) if (!this.#open.has(name)) this.#tryOpen(name, listener);
    if (this.#shut.size > 0) {
      this.#cancelRetry = this.#options.clock.after(DOOR_RETRY_MS, () => this.#openAll());
    }
  }

  #tryOpen(name: string, { bind, port }: GatewayListener): void {
    const { listen, accept, hostname, shared, warn } = this.#options;
    try {
      const address = { hostname: bind ?? hostname, port, shared };
      this.#open.set(name, listen(address, accept(name)));
      if (this.#shut.delete(name)) warn(`The gateway's port ${port} could be opened at last`);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (this.#shut.get(name) === reason) return;
      this.#shut.set(name, reason);
      warn(`A port of the gateway is shut, the others serve; it is tried again: ${reason}`);
    }
  }
}
