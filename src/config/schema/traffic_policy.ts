/** TrafficPolicy: what a caller does with a cluster once a route has chosen it. */
import { PORT_MAX } from "../../model/ports.ts";
import * as v from "valibot";
import { across } from "./across.ts";
import { clientTls } from "./client_tls.ts";
import { connectionPool } from "./connection_pool.ts";
import { fields, list, optional, type Schema } from "./fields.ts";
import type { Immutable } from "./immutable.ts";
import { loadBalancer } from "./load_balancer.ts";
import { percentage, UINT32_MAX, wholeNumber } from "./numbers.ts";
import { outlierDetection } from "./outlier_detection.ts";
import { wrong } from "./problem.ts";
import { host, ipAddress, oneOf, portSelector } from "./scalars.ts";

const NOTHING = wrong("has no setting, so it does nothing");

/** Each is whole: what it leaves out has Istio's default, not what the policy above it says. Null inherits. */
const settings = {
  loadBalancer: optional(loadBalancer as Schema<v.InferOutput<typeof loadBalancer>>),
  connectionPool: optional(connectionPool as Schema<v.InferOutput<typeof connectionPool>>),
  outlierDetection: optional(outlierDetection as Schema<v.InferOutput<typeof outlierDetection>>),
  tls: optional(clientTls as Schema<v.InferOutput<typeof clientTls>>),
};

type Settings = { readonly [Name in keyof typeof settings]: unknown };

/** In what comes out, `port` is the number. Unlike a subset, it inherits nothing: null is Istio's default. */
const portPolicy = v.pipe(
  fields({ port: portSelector, ...settings }),
  v.check((policy) => hasSome(policy), NOTHING),
);

const retryBudget = fields({
  /** Of the requests under way. */
  percent: v.nullish(percentage, 20),
  minRetryConcurrency: v.nullish(wholeNumber("a number of retries", 0, UINT32_MAX), 3),
});

/** Bytes are carried through the proxies that the host is. */
const tunnel = fields({
  protocol: v.nullish(oneOf(["CONNECT", "POST"], "a protocol for tunnels"), "CONNECT"),
  /** Where it leads to: a name that the proxy looks up, or an address. */
  targetHost: v.union([ipAddress, host], wrong("{} is neither a host nor an IP address")) as Schema<string>,
  targetPort: wholeNumber("a port", 1, PORT_MAX),
});

const proxyProtocol = fields({
  version: v.nullish(oneOf(["V1", "V2"], "a version of PROXY protocol"), "V1"),
});

const written = fields({
  ...settings,
  portLevelSettings: list(portPolicy),
  retryBudget: optional(retryBudget),
  tunnel: optional(tunnel),
  proxyProtocol: optional(proxyProtocol),
});

type Written = v.InferOutput<typeof written>;

export const trafficPolicy = v.pipe(
  written,
  v.check(
    (policy) =>
      hasSome(policy) || policy.portLevelSettings.length > 0 ||
      [policy.retryBudget, policy.tunnel, policy.proxyProtocol].some((setting) => setting !== null),
    NOTHING,
  ),
  across(function* ({ portLevelSettings }: Written) {
    for (const [index, { port }] of portLevelSettings.entries()) {
      if (!portLevelSettings.slice(0, index).some((earlier) => earlier.port === port)) continue;
      yield {
        message: wrong(`the port ${port} has settings twice`),
        at: ["portLevelSettings", index, "port"],
      };
    }
  }),
);

export type TrafficPolicy = Immutable<v.InferOutput<typeof trafficPolicy>>;
export type PortPolicy = TrafficPolicy["portLevelSettings"][number];
export type Tunnel = NonNullable<TrafficPolicy["tunnel"]>;
export type RetryBudget = NonNullable<TrafficPolicy["retryBudget"]>;

function hasSome({ loadBalancer, connectionPool, outlierDetection, tls }: Settings): boolean {
  return [loadBalancer, connectionPool, outlierDetection, tls].some((setting) => setting !== null);
}
