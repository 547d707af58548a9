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
    return this.#in(this.#hosts, address, limits);
  }

  /** The host of an address that a client named and no snapshot knows. `limits` as in `get`. */
  passthrough(address: HostAddress, limits: PoolLimits | null = null): Host {
    return this.#in(this.#passthrough, address, limits);
  }

  /** Where a call goes that `endpoint` itself cannot carry; it is a load of the endpoint's all the same. */
  onBehalfOf(endpoint: Host, address: HostAddress, limits: PoolLimits | null): Host {
    return this.#in(this.#passthrough, address, limits, endpoint);
  }

  /** Keeps the hosts that the new snapshot uses; the others close their connections when they fall idle. */
  retain(used: ReadonlySet<Host>): void {
    for (const [key, host] of this.#hosts) {
      if (used.has(host)) continue;
      host.retire();
      this.#hosts.delete(key);
    }
  }

  #in(
    hosts: Map<string, Host>,
    address: HostAddress,
    limits: PoolLimits | null,
    endpoint: Host | null = null,
  ): Host {
    const key = hostKey(address);
    const known = hosts.get(key);
    if (known?.countsFor(limits, endpoint) === true) return known;
    // It counts for others, of a snapshot that did not compile, or of a cluster that went.
    known?.retire();
    if (hosts === this.#passthrough && hosts.size >= PASSTHROUGH_HOSTS_MAX) this.#dropPassthrough();
    const host = new Host(address, this.#context, limits, endpoint);
    hosts.set(key, host);
    return host;
  }

  #dropPassthrough(): void {
    const entries = [...this.#passthrough];
    const [key, host] = entries.find(([, one]) => one.isIdle) ?? entries[0] as [string, Host];
    host.retire();
    this.#passthrough.delete(key);
  }
}
