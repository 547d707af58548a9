/** The hosts that Services and ServiceEntries define, for analyzers that follow references to them. */
import { nearest } from "../../lib/edit_distance.ts";
import { hostMatches, resolveHost, serviceHost } from "../host.ts";
import type { ResourceSet } from "../resource.ts";

export class HostRegistry {
  /** Full host name or wildcard -> its ports. */
  readonly #ports = new Map<string, readonly number[]>();
  readonly #wildcards: string[] = [];

  constructor(resources: ResourceSet) {
    for (const { name, namespace, spec } of resources.services) {
      this.#add(serviceHost(name, namespace), spec.ports.map(({ port }) => port));
    }
    for (const { spec } of resources.serviceEntries) {
      for (const host of spec.hosts) {
        this.#add(host, spec.ports.map(({ number }) => number));
        if (host.startsWith("*")) this.#wildcards.push(host);
      }
    }
  }

  /** What several define has the ports of all. */
  #add(host: string, ports: readonly number[]): void {
    this.#ports.set(host, [...new Set([...this.#ports.get(host) ?? [], ...ports])]);
  }

  /** Whether something defines the very host or wildcard, and not only a wildcard that covers it. */
  defines(host: string): boolean {
    return this.#ports.has(host);
  }

  /** The wildcard that covers a full host name. */
  wildcardFor(host: string): string | undefined {
    return this.#wildcards.find((pattern) => hostMatches(pattern, host));
  }

  /** The ports of a full host name or wildcard, or undefined when nothing defines it. */
  portsOf(host: string): readonly number[] | undefined {
    const exact = this.#ports.get(host);
    if (exact !== undefined) return exact;
    const wildcard = this.wildcardFor(host);
    return wildcard === undefined ? undefined : this.#ports.get(wildcard);
  }

  /** Whether any host falls under a full name or wildcard. */
  hasAny(pattern: string): boolean {
    if (this.portsOf(pattern) !== undefined) return true;
    return pattern.startsWith("*") && [...this.#ports.keys()].some((host) => hostMatches(pattern, host));
  }

  /** What `written`, a host that nothing defines, most likely meant: it differs in the first label alone. */
  suggestion(written: string, namespace: string): string | null {
    const [first, rest] = splitFirstLabel(resolveHost(written, namespace));
    const siblings = [...this.#ports.keys()].map(splitFirstLabel).filter((host) => host[1] === rest);
    const meant = nearest(first, siblings.map(([label]) => label));
    if (meant === undefined) return null;
    return `did you mean "${written.includes(".") ? `${meant}.${rest}` : meant}"?`;
  }
}

function splitFirstLabel(host: string): [string, string] {
  const dot = host.indexOf(".");
  return dot === -1 ? [host, ""] : [host.slice(0, dot), host.slice(dot + 1)];
}
