/** HTTPMatchRequest: the conditions of one `match` block, all of which must hold. */
import * as v from "valibot";
import { fields, list, optional } from "./fields.ts";
import { gatewayName } from "./gateway_name.ts";
import type { Immutable } from "./immutable.ts";
import { dnsLabel, labels, portNumber, text } from "./scalars.ts";
import { headerMatches, queryMatches, stringMatch } from "./string_match.ts";

export const httpMatch = fields({
  name: text,
  /** The path without its query. */
  uri: optional(stringMatch),
  scheme: optional(stringMatch),
  method: optional(stringMatch),
  authority: optional(stringMatch),
  headers: v.nullish(headerMatches, {}),
  withoutHeaders: v.nullish(headerMatches, {}),
  queryParams: v.nullish(queryMatches, {}),
  /** The service's port. */
  port: optional(portNumber),
  sourceLabels: labels,
  sourceNamespace: optional(dnsLabel),
  /** Not empty: replaces the list of the VirtualService. */
  gateways: list(gatewayName),
  /** Concerns `exact` and `prefix` of the path alone. */
  ignoreUriCase: v.nullish(v.boolean(), false),
  statPrefix: text,
});

export type HttpMatch = Immutable<v.InferOutput<typeof httpMatch>>;
