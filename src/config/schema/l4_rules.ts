/** TCPRoute and TLSRoute: where connections go that are not read as HTTP. */
import type * as v from "valibot";
import { l4Route } from "./destination.ts";
import { fields, list, listOfSome, optional, type Schema } from "./fields.ts";
import { gatewayName } from "./gateway_name.ts";
import type { Immutable } from "./immutable.ts";
import { addressOrNetwork, dnsLabel, hostOrWildcard, labels, portNumber } from "./scalars.ts";

const l4Conditions = {
  /** Addresses and networks of the destination, as the caller dialled it. */
  destinationSubnets: list(addressOrNetwork),
  /** The service's port. */
  port: optional(portNumber),
  sourceLabels: labels,
  sourceNamespace: optional(dnsLabel),
  /** Not empty: replaces the list of the VirtualService. */
  gateways: list(gatewayName),
};

const route = l4Route as Schema<v.InferOutput<typeof l4Route>>;

/** Alternatives in `match`; empty matches everything. */
export const tcpRule = fields({
  match: list(fields(l4Conditions, ["sourceSubnet"])),
  route,
});

export const tlsRule = fields({
  match: listOfSome(
    fields(
      { sniHosts: listOfSome(hostOrWildcard, "one SNI host"), ...l4Conditions },
      ["sourceSubnet"],
    ),
    "one match, with sniHosts",
  ),
  route,
});

export type TcpRule = Immutable<v.InferOutput<typeof tcpRule>>;
export type TlsRule = Immutable<v.InferOutput<typeof tlsRule>>;
