/** VirtualService (networking.istio.io): hosts, and the rules by which their requests are routed. */
import * as v from "valibot";
import { fields, list, optional, type Schema } from "./fields.ts";
import { unimplementedValue, wrong } from "./problem.ts";
import { exportTo, host, hostOrWildcard, labels, portNumber } from "./scalars.ts";
import { headerMatches, queryMatches, stringMatch } from "./string_match.ts";

/** The gateway that stands for all sidecars. */
export const MESH_GATEWAY = "mesh";

/** int32, the type of Istio's weight. */
export const WEIGHT_MAX = 2_147_483_647;

const text: Schema<string> = v.string();

/** All given conditions must hold. `gateways`, when not empty, replaces the list of the VirtualService. */
const httpMatch = fields({
  name: optional(text),
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
  sourceNamespace: optional(text),
  gateways: list(text),
  ignoreUriCase: v.nullish(v.boolean(), false),
}, ["statPrefix"]);

/** In what comes out, `port` is the number itself; null asks for the service's only port. */
const destination = fields({
  host,
  subset: optional(text),
  port: optional(v.pipe(fields({ number: portNumber }), v.transform((port) => port.number))),
});

const weight: Schema<number> = v.pipe(
  v.number(),
  v.check(
    (value) => Number.isInteger(value) && value >= 0 && value <= WEIGHT_MAX,
    wrong(`a weight is a whole number from 0 to ${WEIGHT_MAX}`),
  ),
);

/** The weight of a single destination is ignored; among several, 0 takes a destination out. */
const routeDestination = fields({ destination, weight: v.nullish(weight, 0) }, ["headers"]);

const httpRule = v.pipe(
  fields({
    name: optional(text),
    /** Alternatives; empty matches everything. */
    match: list(httpMatch),
    route: list(routeDestination),
  }, [
    "redirect",
    "directResponse",
    "delegate",
    "rewrite",
    "timeout",
    "retries",
    "fault",
    "mirror",
    "mirrors",
    "mirrorPercent",
    "mirrorPercentage",
    "corsPolicy",
    "headers",
    "websocketUpgrade",
    "appendHeaders",
    "appendRequestHeaders",
    "appendResponseHeaders",
    "removeRequestHeaders",
    "removeResponseHeaders",
  ]),
  v.check(
    (rule) => rule.route.length > 0,
    wrong(
      "the rule has no route, so it says nothing about where requests go",
      "add route: with a destination",
    ),
  ),
  v.check(
    (rule) => rule.route.length < 2 || rule.route.some((to) => to.weight > 0),
    wrong("every weight of the route is 0, so no destination would get a request"),
  ),
);

export const virtualServiceSpec = v.pipe(
  fields({
    /** Lower case, as written: short names are not resolved yet. */
    hosts: v.pipe(
      v.array(hostOrWildcard),
      v.nonEmpty(unimplementedValue("a VirtualService without hosts (a delegate)")),
    ),
    /** Sidecars heed only a VirtualService whose list has `mesh`. */
    gateways: v.pipe(list(text), v.transform((names) => names.length === 0 ? [MESH_GATEWAY] : names)),
    exportTo,
    http: list(httpRule),
  }, ["tls", "tcp"]),
  v.check((spec) => spec.http.length > 0, wrong("has no rules", "add http: with a route")),
  v.check(
    (spec) => !(spec.hosts.includes("*") && spec.gateways.includes(MESH_GATEWAY)),
    wrong('the host "*" is allowed at gateways alone, and this VirtualService applies to the mesh'),
  ),
);

export type VirtualServiceSpec = v.InferOutput<typeof virtualServiceSpec>;
export type HttpRule = VirtualServiceSpec["http"][number];
export type HttpMatch = HttpRule["match"][number];
