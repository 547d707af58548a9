/** All hosts of a proxy, one for each address and identity, shared by the clusters of every snapshot. */
import type { Limits } from "../../model/limits.ts";
import { TERMS_DEFAULT } from "../connection_terms.ts";
import type { HostAddress } from "./connect_attempt.ts";
import { Host, type HostContext, hostKey } from "./host.ts";
import type { PoolLimits } from "./pool_limits.ts";

/** Hosts of passed-through authorities; when there are more, one goes, an idle one if there is any. */
export const PASSTHROUGH_HOSTS_MAX = 1_024;

export class HostTable {
  readonly #context: HostContext;
  readonly #hosts = new Map<string, Host>();
  readonly #passthrough = new Map<string, Host>();

  constructor(context: HostContext) {
    this.#context = context;
  }

  /** Of the process around the hosts, for whoever has connections of its own. */
  get ownLimits(): Limits {
    return (this.#context.terms ?? TERMS_DEFAULT).limits;
  }

  /** The host of an address in a snapshot. `limits`: of the cluster that `address.pool` names. */
  get(address: HostAddress, limits: PoolLimits | null = null): Host {
    const key = hostKey(address);
    let host = this.#hosts.get(key);
    // One that counts for other limits was left by a snapshot that did not compile, or by a cluster that went.
    if (host === undefined || (host.usage?.limits ?? null) !== limits) {
      host?.retire();
      host = new Host(address, this.#context, limits);
      this.#hosts.set(key, host);
    }
    return host;
  }

  /** The host of an address that a client named and no snapshot knows. */
  passthrough(address: HostAddress): Host {
    const key = hostKey(address);
    let host = this.#passthrough.get(key);
    if (host !== undefined) return host;
    if (this.#passthrough.size >= PASSTHROUGH_HOSTS_MAX) this.#dropPassthrough();
    host = new Host(address, this.#context);
    this.#passthrough.set(key, host);
    return host;
  }

  /** Keeps the hosts that the new snapshot uses; the others close their connections when they fall idle. */
  retain(used: ReadonlySet<Host>): void {
    for (const [key, host] of this.#hosts) {
      if (used.has(host)) continue;
      host.retire();
      this.#hosts.delete(key);
    }
  }

  #dropPassthrough(): void {
    const entries = [...this.#passthrough];
    const [key, host] = entries.find(([, one]) => one.isIdle) ?? entries[0] as [string, Host];
    host.retire();
    this.#passthrough.delete(key);
  }
}
