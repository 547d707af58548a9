/** Port: where a Gateway's server or a Sidecar's listener listens, and what is spoken there. */
import { PORT_MAX } from "../../model/ports.ts";
import * as v from "valibot";
import type { Fault } from "./across.ts";
import { fields, optional, type Schema } from "./fields.ts";
import { wrong } from "./problem.ts";
import { wholeNumber } from "./numbers.ts";
import { dnsLabel, isIp, isUnixAddress, portNumber } from "./scalars.ts";

const PORT_PROTOCOLS = [
  "HTTP",
  "HTTPS",
  "GRPC",
  "GRPC-WEB",
  "HTTP2",
  "MONGO",
  "MYSQL",
  "REDIS",
  "TCP",
  "TLS",
] as const;

export type PortProtocol = (typeof PORT_PROTOCOLS)[number];

/** In upper case, whatever was written. */
const portProtocol: Schema<PortProtocol> = v.pipe(
  v.string(),
  v.transform((name) => name.toUpperCase()),
  v.picklist(PORT_PROTOCOLS, wrong(`{} is not a protocol; one of ${PORT_PROTOCOLS.join(", ")}`)),
);

/** Where an ingress listens, which has a port. */
export const ingressBind: Schema<string> = v.pipe(
  v.string(),
  v.check((text) => isIp(text), wrong("{} is not an IPv4 or IPv6 address")),
);

/** What Linux has room for, but for the zero at the end. */
const SOCKET_PATH_BYTES_MAX = 107;

/** Where a Gateway's server or an egress listens: IPv4, IPv6, or a socket of the file system, which has no port. */
export const listenerBind: Schema<string> = v.pipe(
  v.string(),
  v.check(
    (text) => isIp(text) || isUnixAddress(text),
    wrong("{} is neither an IP address nor a socket", 'write an IP address or "unix:///PATH"'),
  ),
  v.check(
    (text) =>
      !isUnixAddress(text) || new TextEncoder().encode(socketPath(text)).length <= SOCKET_PATH_BYTES_MAX,
    wrong(`the path of a socket has ${SOCKET_PATH_BYTES_MAX} bytes at most`),
  ),
);

function socketPath(address: string): string {
  return address.slice("unix://".length);
}

/** Of a port at `at`, whose listener may be at a socket. */
export function* numberFaults(
  number: number,
  bind: string | null,
  at: readonly (string | number)[],
): Generator<Fault> {
  const atSocket = bind?.startsWith("unix:") === true;
  if (atSocket && number !== 0) {
    yield { message: wrong("a socket has no port", "leave out number"), at: [...at, "number"] };
  } else if (!atSocket && number === 0) {
    yield { message: wrong("the port has no number", 'write one, or bind: "unix:///PATH" for a socket'), at };
  }
}

/** Of an egress: 0 at a socket. */
export const egressPort = fields({
  number: v.nullish(wholeNumber("a port", 0, PORT_MAX), 0),
  /** As in sidecarPort. */
  protocol: optional(portProtocol),
  name: optional(dnsLabel),
}, ["targetPort"]);

/** Without a name, and without a protocol, where Istio can do without. */
export const sidecarPort = fields({
  number: portNumber,
  /** Null: found out by looking at the bytes. */
  protocol: optional(portProtocol),
  name: optional(dnsLabel),
}, ["targetPort"]);

export const gatewayPort = fields({
  /** 0 at a socket. */
  number: v.nullish(wholeNumber("a port", 0, PORT_MAX), 0),
  protocol: portProtocol,
  name: v.pipe(v.string(), v.nonEmpty(wrong("a port needs a name"))),
}, ["targetPort"]);
