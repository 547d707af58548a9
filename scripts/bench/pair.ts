/** What is compared: a caller's proxy and a service's, with mutual TLS between them, in front of the same upstreams. */
import { readFileSync, writeFileSync } from "node:fs";
import type { Running } from "./processes.ts";

/** Where the upstreams are, and bowline's sidecar of the service. */
export const SERVICE = "127.0.46.2";

/** The upstreams' ports: small answers over HTTP/1.1, 1 MiB bodies, small answers over HTTP/2 without TLS. */
export const UPSTREAM_PORT = { small: 8080, large: 8082, grpc: 8083 } as const;
export type Upstream = keyof typeof UPSTREAM_PORT;

/** Where a client reaches something, and what it must call it. */
export interface Target {
  readonly address: string;
  readonly port: number;
  /** Authority that leads there. */
  readonly authority: string;
}

export interface Pair {
  readonly name: string;
  /** The caller's proxy and the service's, whose CPU time is what counts. */
  readonly proxies: readonly [caller: Running, service: Running];
  readonly others: readonly Running[];
  /** Null: this pair cannot do that. */
  target(upstream: Upstream): Target | null;
  /** Where the service's proxy takes mutual TLS with HTTP/2. */
  readonly mesh: { readonly address: string; readonly port: number };
}

/** CPU time of both proxies so far, seconds. */
export function cpuSeconds({ proxies }: Pair): number {
  return proxies.reduce((sum, proxy) => sum + proxy.cpuSeconds(), 0);
}

export interface IdentityFiles {
  /** PEM: certificate chain, then key. */
  readonly certificate: string;
  /** PEM. */
  readonly roots: string;
}

/** Certificate and key of a joined sidecar, and its roots, as files for a peer that is to be as secure. */
export function identityFiles(directory: string, workload: "caller" | "web"): IdentityFiles {
  const { chain, key, roots } = JSON.parse(readFileSync(`${directory}/${workload}/identity.json`, "utf8"));
  const files = { certificate: `${directory}/${workload}.pem`, roots: `${directory}/roots.pem` };
  writeFileSync(files.certificate, `${chain}\n${key}\n`, { mode: 0o600 });
  writeFileSync(files.roots, roots);
  return files;
}
