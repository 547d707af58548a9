/** Where VirtualServices send requests and connections: a host, and what of it. */
import * as v from "valibot";
import { across } from "./across.ts";
import { fields, list, optional, type Schema } from "./fields.ts";
import type { Immutable } from "./immutable.ts";
import { INT32_MAX, wholeNumber } from "./numbers.ts";
import { wrong } from "./problem.ts";
import { dnsLabel, hostOrWildcard, portSelector } from "./scalars.ts";

/** int32, the type of Istio's weight. */
export const WEIGHT_MAX = INT32_MAX;

/** In what comes out, `port` is the number itself. */
export const destination = fields({
  /** Lower case, as written: a short name is not resolved yet. A wildcard is a ServiceEntry's whole host. */
  host: v.pipe(
    hostOrWildcard,
    v.check((name) => name !== "*", wrong('the host "*" is no destination', "write the host of one service")),
  ),
  subset: optional(emptyIsNone(dnsLabel)),
  /** Null asks for the service's only port. */
  port: optional(portSelector),
});

export type Destination = Immutable<v.InferOutput<typeof destination>>;

const weight: Schema<number> = wholeNumber("a weight", 0, WEIGHT_MAX);

/** The weight of a single destination is ignored; among several, 0 takes a destination out. */
export const weighted = { destination, weight: v.nullish(weight, 0) };

const l4Destinations = list(fields(weighted));

/** The destinations of a route of TCP or TLS; there is at least one. */
export const l4Route = v.pipe(
  l4Destinations,
  across(function* (routes: v.InferOutput<typeof l4Destinations>) {
    if (routes.length === 0) {
      yield {
        message: wrong("the rule has no route, so it says nothing about where connections go"),
        at: [],
      };
    }
    if (allWeightsZero(routes)) yield { message: ALL_ZERO, at: [] };
  }),
);

export const ALL_ZERO = wrong("every weight of the route is 0, so no destination would get a request");

/** Whether a list of several destinations has none that is left. */
export function allWeightsZero(routes: readonly { readonly weight: number }[]): boolean {
  return routes.length > 1 && routes.every((to) => to.weight === 0);
}

function emptyIsNone(schema: Schema<string>): Schema<string | null> {
  return v.lazy((value): Schema<string | null> => value === "" ? NONE : schema);
}

const NONE: Schema<null> = v.pipe(v.unknown(), v.transform(() => null));
