/** ConnectionPoolSettings: how many connections and requests a caller may have with a cluster, and how long. */
import * as v from "valibot";
import { fields, optional, type Schema } from "./fields.ts";
import type { Immutable } from "./immutable.ts";
import { duration, durationOrZero, INT32_MAX, UINT32_MAX, wholeNumber } from "./numbers.ts";
import { wrong } from "./problem.ts";
import { oneOf } from "./scalars.ts";

/** Istio's, of connections and of what they carry. */
const IDLE_TIMEOUT_DEFAULT = "1h";

/** 0, and nothing at all, are no limit, which in Envoy is the greatest number that there is. */
const limit: Schema<number> = v.pipe(
  v.nullish(wholeNumber("a limit", 0, INT32_MAX), 0),
  v.transform((value) => value === 0 ? UINT32_MAX : value),
);

export const tcpKeepalive = fields({
  /** Probes without an answer before a connection is dead; null is the system's. */
  probes: optional(wholeNumber("probes", 0, UINT32_MAX)),
  time: optional(duration),
  interval: optional(duration),
});

export type TcpKeepalive = Immutable<v.InferOutput<typeof tcpKeepalive>>;

const tcp = fields({
  /** Of HTTP/1.1 and TCP, to all endpoints of the cluster together. */
  maxConnections: limit,
  /** Null: as the mesh says. */
  connectTimeout: optional(duration),
  /** Null: as the mesh says. */
  tcpKeepalive: optional(tcpKeepalive),
  maxConnectionDuration: optional(duration),
  /** 0 is never. */
  idleTimeout: v.nullish(durationOrZero, IDLE_TIMEOUT_DEFAULT),
});

/** PINGs to see whether a peer still lives, on idle connections too. Null: as the proxy does anyway. */
const http2KeepAlive = fields({
  /** Silence after which it is asked. */
  interval: optional(duration),
  /** For its answer. */
  timeout: optional(duration),
});

export type Http2KeepAlive = Immutable<v.InferOutput<typeof http2KeepAlive>>;

const http = v.pipe(
  fields({
    /** Requests that wait for a connection, whatever the protocol. */
    http1MaxPendingRequests: limit,
    /** Requests under way, whatever the protocol. */
    http2MaxRequests: limit,
    /** 0 is no limit; 1 ends keep-alive. */
    maxRequestsPerConnection: v.nullish(wholeNumber("a limit", 0, INT32_MAX), 0),
    /** Retries under way at once. */
    maxRetries: limit,
    idleTimeout: v.nullish(duration, IDLE_TIMEOUT_DEFAULT),
    h2UpgradePolicy: v.nullish(
      oneOf(["DEFAULT", "DO_NOT_UPGRADE", "UPGRADE"], "an upgrade policy"),
      "DEFAULT",
    ),
    useClientProtocol: v.nullish(v.boolean(), false),
    /** On one HTTP/2 connection. */
    maxConcurrentStreams: limit,
    http2KeepAlive: optional(http2KeepAlive),
  }),
  v.check(
    ({ h2UpgradePolicy, useClientProtocol }) => h2UpgradePolicy !== "UPGRADE" || !useClientProtocol,
    wrong("useClientProtocol contradicts h2UpgradePolicy UPGRADE"),
  ),
);

/** In what comes out, both parts are always there, with Istio's defaults where they were left out. */
export const connectionPool = v.pipe(
  fields({ tcp: optional(tcp), http: optional(http) }),
  v.check(({ tcp, http }) => tcp !== null || http !== null, wrong("has neither tcp nor http")),
  v.transform(({ tcp, http }) => ({ tcp: tcp ?? TCP_DEFAULT, http: http ?? HTTP_DEFAULT })),
);

export type ConnectionPool = Immutable<v.InferOutput<typeof connectionPool>>;

const TCP_DEFAULT = v.parse(tcp, {});
const HTTP_DEFAULT = v.parse(http, {});
