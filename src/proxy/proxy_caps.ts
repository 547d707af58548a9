/**
 * How much a proxy takes on at once. What is above is refused at once, so that what is in its hands goes on. Each worker
 * of a sidecar has these caps for itself: descriptors and memory are those of a process.
 */
import { DEFAULT_LIMITS, type Limits } from "../model/limits.ts";

export interface ProxyCaps {
  /**
   * Connections from clients. Above: one that has said nothing for a while gives way; when there is none, the new one
   * hears 503 in plain text, and is closed in TLS.
   */
  readonly connections: number;
  /** Those of them whose TLS handshake is not done. Above: the oldest is closed; an honest one takes milliseconds. */
  readonly handshakes: number;
  /** Connections that are being told of the 503. Above: the oldest is closed. */
  readonly refused: number;
  /**
   * A socket whose descriptor has this number or a greater one is closed. The kernel gives the smallest free number, so
   * all below are in use; those above are for files, child processes, the admin ports and the control plane.
   */
  readonly descriptors: number;
  /** Connections to upstreams that are on their way: they have a descriptor, of which nobody tells the number. */
  readonly connecting: number;
  /** Those of them to one address: one that never answers must not keep the others from being called. */
  readonly connectingToOne: number;
  /** Requests in flight. Above: 503. */
  readonly requests: number;
}

// Shares of the descriptors of a process. Upstream connections are as many as those from clients, at worst.
const CONNECTIONS_SHARE = 0.4;
const HANDSHAKES_SHARE = 0.2;
const REFUSED_SHARE = 0.1;
const DESCRIPTORS_SHARE = 0.75;
const CONNECTING_SHARE = 0.2;
const CONNECTING_TO_ONE_SHARE = 0.15;

/** A half-done TLS handshake costs tens of kilobytes, however many descriptors there are. */
export const HANDSHAKES_MAX = 4_096;

/** `openFilesMax` is RLIMIT_NOFILE. */
export function proxyCaps(openFilesMax: number, limits: Limits = DEFAULT_LIMITS): ProxyCaps {
  const share = (part: number) => Math.max(1, Math.floor(openFilesMax * part));
  return {
    connections: limits.connections || share(CONNECTIONS_SHARE),
    handshakes: Math.min(share(HANDSHAKES_SHARE), HANDSHAKES_MAX),
    refused: share(REFUSED_SHARE),
    descriptors: share(DESCRIPTORS_SHARE),
    connecting: share(CONNECTING_SHARE),
    connectingToOne: share(CONNECTING_TO_ONE_SHARE),
    requests: limits.requestsInFlight,
  };
}
