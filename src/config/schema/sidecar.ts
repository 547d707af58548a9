/** Sidecar (networking.istio.io): what the sidecars that it selects see of the mesh, and how they deliver to their workload. */
import { isPort } from "../../model/ports.ts";
import * as v from "valibot";
import { across, type Fault } from "./across.ts";
import { connectionPool } from "./connection_pool.ts";
import { fields, list, listOfSome, optional, type Schema } from "./fields.ts";
import type { Immutable } from "./immutable.ts";
import { egressPort, ingressBind, listenerBind, numberFaults, sidecarPort } from "./l4_port.ts";
import { outboundTrafficPolicy } from "./outbound_traffic_policy.ts";
import { wrong } from "./problem.ts";
import { isUnixAddress, labels, oneOf } from "./scalars.ts";
import { egressHost } from "./scoped_host.ts";
import { serverTls } from "./server_tls.ts";

/** Where a listener of the sidecar delivers. */
export type DefaultEndpoint =
  | {
    readonly type: "port";
    /** `workload` is the address of the workload itself, written `0.0.0.0` or `[::]`. */
    readonly host: "127.0.0.1" | "::1" | "workload";
    readonly port: number;
  }
  | { readonly type: "unix"; readonly path: string };

const ENDPOINT = /^(127\.0\.0\.1|0\.0\.0\.0|\[::1\]|\[::\]):(\d{1,5})$/;

const defaultEndpoint: Schema<DefaultEndpoint> = v.pipe(
  v.string(),
  v.check(
    (text) => isUnixAddress(text) || endpointPort(text) !== undefined,
    wrong("{} is no endpoint of the workload", 'write "127.0.0.1:PORT", "0.0.0.0:PORT" or "unix:///PATH"'),
  ),
  v.transform((text): DefaultEndpoint => {
    const [, host] = ENDPOINT.exec(text) ?? [];
    if (host === undefined) return { type: "unix", path: text.slice("unix://".length) };
    const known = host === "127.0.0.1" ? host : host === "[::1]" ? "::1" : "workload";
    return { type: "port", host: known, port: endpointPort(text) as number };
  }),
);

const captureMode = v.nullish(oneOf(["DEFAULT", "IPTABLES", "NONE"], "a capture mode"), "DEFAULT");
const pool = optional(connectionPool as Schema<v.InferOutput<typeof connectionPool>>);

const ingress = fields({
  port: sidecarPort,
  bind: optional(ingressBind),
  captureMode,
  /** Null: the same port of the workload. */
  defaultEndpoint: optional(defaultEndpoint),
  connectionPool: pool,
  /** For those who call from outside the mesh, where PeerAuthentication has the port's mutual TLS off. */
  tls: optional(serverTls as Schema<v.InferOutput<typeof serverTls>>),
});

const egress = fields({
  /** Null: every port that the hosts have. */
  port: optional(egressPort),
  /** At a socket the port's number is 0. */
  bind: optional(listenerBind),
  captureMode,
  hosts: listOfSome(egressHost, "one host"),
});

const written = fields({
  /** Null: all sidecars of the namespace. */
  workloadSelector: optional(fields({ labels })),
  ingress: list(ingress),
  /** Empty: as if there were no Sidecar, everything that is exported to the namespace. */
  egress: list(egress),
  /** Of connections from outside to the workload; a listener's own goes before it. */
  inboundConnectionPool: pool,
  /** Null: as the mesh says. */
  outboundTrafficPolicy: optional(outboundTrafficPolicy("REGISTRY_ONLY")),
});

type Written = v.InferOutput<typeof written>;

export const sidecarSpec = v.pipe(written, across(faults));

export type SidecarSpec = Immutable<Written>;

function* faults({ ingress, egress }: Written): Generator<Fault> {
  for (const [index, listener] of ingress.entries()) {
    const { port } = listener;
    yield* ingressFaults(listener, ["ingress", index]);
    if (!ingress.slice(0, index).some((earlier) => earlier.port.number === port.number)) continue;
    yield {
      message: wrong(`the port ${port.number} has two listeners`),
      at: ["ingress", index, "port", "number"],
    };
  }
  for (const [index, listener] of egress.entries()) {
    const { port, bind, captureMode } = listener;
    if (bind?.startsWith("unix:")) {
      yield* socketFaults(listener, egress.slice(0, index), ["egress", index]);
      continue;
    }
    yield* bindFaults(bind, captureMode, ["egress", index]);
    if (port?.number === 0) {
      yield* numberFaults(port.number, bind, ["egress", index, "port"]);
      continue;
    }
    if (captureMode === "NONE" && port === null) {
      const message = wrong("captureMode: NONE needs port: there has to be one that is dialled");
      yield { message, at: ["egress", index] };
    }
    if (port === null) {
      if (index === egress.length - 1) continue;
      const message = wrong("without a port it takes everything, so it has to be the last, and the only one");
      yield { message, at: ["egress", index] };
    } else if (egress.slice(0, index).some((earlier) => earlier.port?.number === port.number)) {
      yield {
        message: wrong(`the port ${port.number} has two listeners`),
        at: ["egress", index, "port", "number"],
      };
    }
  }
}

type EgressListener = Written["egress"][number];

/** `earlier` are the listeners before it. */
function* socketFaults(
  { port, bind, captureMode }: EgressListener,
  earlier: readonly EgressListener[],
  at: readonly (string | number)[],
): Generator<Fault> {
  if (captureMode === "IPTABLES") {
    yield {
      message: wrong("what is captured never comes to a socket", "use NONE"),
      at: [...at, "captureMode"],
    };
  }
  if (port === null) {
    yield { message: wrong("a socket needs port, with the protocol that is spoken at it"), at };
  } else {
    yield* numberFaults(port.number, bind, [...at, "port"]);
  }
  if (earlier.some((one) => one.bind === bind)) {
    yield { message: wrong("the socket has two listeners"), at: [...at, "bind"] };
  }
}

type IngressListener = Written["ingress"][number];

function* bindFaults(
  bind: string | null,
  captureMode: IngressListener["captureMode"],
  at: readonly (string | number)[],
): Generator<Fault> {
  if (bind === null || captureMode === "NONE") return;
  const message = wrong(
    "is of no use where connections are captured, whatever address they were dialled at",
    "add captureMode: NONE",
  );
  yield { message, at: [...at, "bind"] };
}

const WILDCARDS: readonly string[] = ["0.0.0.0", "::"];

function* ingressFaults(
  { bind, captureMode, defaultEndpoint, port, tls }: IngressListener,
  at: readonly (string | number)[],
): Generator<Fault> {
  yield* bindFaults(bind, captureMode, at);
  if (captureMode === "NONE" && defaultEndpoint?.type !== "unix") {
    // Without an endpoint it is the same port on loopback, where programs of sidecars listen.
    const { host, port: to } = defaultEndpoint ?? { host: "127.0.0.1", port: port.number };
    const isHere = bind === null ? host === "workload" : WILDCARDS.includes(bind) || bind === host;
    if (to === port.number && isHere) {
      yield { message: wrong("the listener would deliver to itself", "give it another defaultEndpoint"), at };
    }
  }
  if (tls === null) return;
  if (tls.mode !== "SIMPLE" && tls.mode !== "MUTUAL") {
    const message = wrong(`the mode ${tls.mode} is for gateways alone`, "use SIMPLE or MUTUAL");
    yield { message, at: [...at, "tls", "mode"] };
  }
  if (tls.httpsRedirect) {
    yield { message: wrong("is for gateways alone"), at: [...at, "tls", "httpsRedirect"] };
  }
  if (port.protocol === null) {
    const message = wrong("tls needs a protocol, which says what the workload gets", "write HTTPS or TLS");
    yield { message, at: [...at, "port"] };
  }
}

function endpointPort(text: string): number | undefined {
  const port = Number(ENDPOINT.exec(text)?.[2] ?? 0);
  return isPort(port) ? port : undefined;
}
