/**
 * The discovery stream between a proxy and the control plane: JSON, one message a line, both ways, on one long-lived
 * request (`POST /v1/discovery`, chunked both ways).
 */
import type { WorkloadHealth } from "./health_probe.ts";
import type { ShutPort } from "./shut_port.ts";
import type { ResourceKey, VersionedResource } from "./snapshot.ts";
import type { WorkloadKey } from "./workload.ts";

/** Peers one version apart understand each other: fields are only added, and unknown ones ignored. */
export const DISCOVERY_PROTOCOL = 1;

/** The longest line either side reads; a longer one ends the stream. */
export const DISCOVERY_LINE_BYTES_MAX = 64 * 1024 * 1024;

/** Each side sends something at least this often, and gives the other up after three times as long. */
export const DISCOVERY_HEARTBEAT_MS = 10_000;

export type ProxyMessage = Hello | Ack | Nack | Heartbeat | Health | Ports | Certificate | Goodbye;
export type ControlMessage = Push | Heartbeat | Refusal | Farewell | OpenTap;

/** First message of the proxy. */
export interface Hello {
  readonly type: "hello";
  readonly protocol: number;
  /** The program's version, for `proxy-status`. */
  readonly version: string;
  readonly role: "sidecar" | "gateway";
  readonly workload: WorkloadKey;
  /** Where the others reach the workload. */
  readonly address: string;
  /** Port of its mesh listener. */
  readonly meshPort: number;
  /** What it still has from before; nothing of it is sent again unless its version changed. */
  readonly known: Readonly<Record<ResourceKey, string>>;
  /** What its probe says now. Absent from a proxy that knows no probes: it counts as healthy. */
  readonly health?: WorkloadHealth;
  /** Ports that it cannot open. @default none */
  readonly shutPorts?: readonly ShutPort[];
  /**
   * snapshotVersion() of all that it still has, in place of naming it in `known`. Until it has ACKed a push of this
   * stream, a push that does not name it as `base` is everything: a control plane that does not read this field says so
   * too, since `known` is empty.
   */
  readonly snapshot?: string;
  /** As in Certificate. Absent from a proxy that does not tell. */
  readonly certificate?: string;
  /** The proxy takes the roots that it trusts from its settings, before it says ACK. @default false */
  readonly followsTrust?: boolean;
  /** The proxy reads `packed` in a push. @default false */
  readonly unpacks?: boolean;
}

/** The push with this nonce was compiled and serves. */
export interface Ack {
  readonly type: "ack";
  readonly nonce: number;
}

/** The push with this nonce was refused as a whole; what was there before still serves. */
export interface Nack {
  readonly type: "nack";
  readonly nonce: number;
  readonly reason: string;
}

export interface Heartbeat {
  readonly type: "heartbeat";
}

/** What the workload's probe says has changed. */
export interface Health {
  readonly type: "health";
  readonly health: WorkloadHealth;
}

/** Which ports a proxy cannot open has changed: all of them. */
export interface Ports {
  readonly type: "ports";
  readonly shut: readonly ShutPort[];
}

/** The proxy has another certificate, and would have it after a restart, too. */
export interface Certificate {
  readonly type: "certificate";
  /** Its serial number, lower-case hex. */
  readonly serial: string;
}

/** The proxy is about to stop: others are to be sent elsewhere, where there is an elsewhere. */
export interface Goodbye {
  readonly type: "goodbye";
}

/** The answer to a good-bye: whoever sent requests there has been told, and has confirmed it. */
export interface Farewell {
  readonly type: "farewell";
}

/** Somebody watches the proxy's calls: it tells of each that ends (`POST /v1/tap`), for so long. */
export interface OpenTap {
  readonly type: "tap";
  readonly leaseMs: number;
}

/** All or nothing: the proxy applies `set` and `remove` in one swap. An empty push says: what you know is current. */
export interface Push {
  readonly type: "push";
  readonly nonce: number;
  readonly set: readonly VersionedResource[];
  readonly remove: readonly ResourceKey[];
  /** The `snapshot` of the hello, where `set` and `remove` are relative to that. */
  readonly base?: string;
  /** More to set: packText() of a JSON list of resources. Only for those who say that they read it. */
  readonly packed?: string;
}

/** The last message before the control plane ends the stream: trying again without a change is of no use. */
export interface Refusal {
  readonly type: "refusal";
  readonly reason: string;
}
