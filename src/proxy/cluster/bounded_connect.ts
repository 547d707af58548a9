/** Connections to upstreams within the process's descriptors, so that some are left for whoever calls and for files. */
import type { Connect } from "../../runtime/socket.ts";
import { descriptorOf, NOBODY, type Wire } from "../../runtime/wire.ts";
import type { ProxyCaps } from "../proxy_caps.ts";

/** Connections that were not made since the start, by the cap that they hit. */
export interface ConnectRefusals {
  connecting: number;
  descriptors: number;
}

export class BoundedConnect {
  readonly refusals: ConnectRefusals = { connecting: 0, descriptors: 0 };
  readonly #connect: Connect;
  readonly #caps: ProxyCaps;
  readonly #descriptorOf: (wire: Wire) => number;
  #connecting = 0;
  /** By address; a connection that nobody waits for any more counts until the kernel gives it up. */
  readonly #connectingTo = new Map<string, number>();

  constructor(connect: Connect, caps: ProxyCaps, descriptor: (wire: Wire) => number = descriptorOf) {
    this.#connect = connect;
    this.#caps = caps;
    this.#descriptorOf = descriptor;
  }

  /** As the one that it was made from; fails at once when too many are on their way, in all or to the address. */
  readonly connect: Connect = (address, tls, on) => {
    const key = `${address.hostname}|${address.port}`;
    const toOne = this.#connectingTo.get(key) ?? 0;
    if (this.#connecting >= this.#caps.connecting || toOne >= this.#caps.connectingToOne) {
      this.refusals.connecting++;
      on.failed(new Error("Too many connections are being made"));
      return;
    }
    this.#connecting++;
    this.#connectingTo.set(key, toOne + 1);
    this.#connect(address, tls, {
      opened: (wire) => {
        this.#arrived(key);
        if (this.#descriptorOf(wire) < this.#caps.descriptors) return on.opened(wire);
        this.refusals.descriptors++;
        wire.terminate();
        on.failed(new Error("The process has no more descriptors for connections"));
        return NOBODY;
      },
      failed: (error) => {
        this.#arrived(key);
        on.failed(error);
      },
    });
  };

  #arrived(key: string): void {
    this.#connecting--;
    const toOne = (this.#connectingTo.get(key) as number) - 1;
    if (toOne === 0) this.#connectingTo.delete(key);
    else this.#connectingTo.set(key, toOne);
  }
}
