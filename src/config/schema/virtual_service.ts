/**
 * VirtualService (networking.istio.io): hosts, and the rules by which their requests and connections are routed.
 * Fields have Istio's names; durations are in milliseconds, and null means that nothing was written.
 */
import * as v from "valibot";
import { hostMatches } from "../host.ts";
import { across, type Fault } from "./across.ts";
import { fields, list, type Schema } from "./fields.ts";
import { gatewayName, MESH_GATEWAY } from "./gateway_name.ts";
import { httpRule } from "./http_rule.ts";
import type { Immutable } from "./immutable.ts";
import { tcpRule, tlsRule } from "./l4_rules.ts";
import { wrong } from "./problem.ts";
import { exportTo, hostOrWildcard } from "./scalars.ts";

const written = fields({
  /** Lower case, as written: short names are not resolved yet. Empty: other VirtualServices delegate to this one. */
  hosts: list(hostOrWildcard),
  /** Sidecars heed only a VirtualService whose list has `mesh`. A delegate has none of its own. */
  gateways: list(gatewayName),
  exportTo,
  /** The first that matches is taken. */
  http: list(httpRule as Schema<v.InferOutput<typeof httpRule>>),
  tls: list(tlsRule),
  tcp: list(tcpRule),
});

type Written = v.InferOutput<typeof written>;

export const virtualServiceSpec = v.pipe(
  written,
  across((spec: Written) => spec.hosts.length === 0 ? delegateFaults(spec) : hostFaults(spec)),
  across(function* ({ http, tls, tcp }: Written) {
    if (http.length + tls.length + tcp.length > 0) return;
    yield { message: wrong("has no rules", "add http: with a route"), at: [] };
  }),
  v.transform((spec) => ({
    ...spec,
    gateways: spec.gateways.length > 0 || spec.hosts.length === 0 ? spec.gateways : [MESH_GATEWAY],
  })),
);

export type VirtualServiceSpec = Immutable<v.InferOutput<typeof virtualServiceSpec>>;

/** One level only: what is delegated to has no hosts, no gateways, no delegate, and HTTP rules alone. */
function* delegateFaults({ gateways, http, tls, tcp }: Written): Generator<Fault> {
  const of = "a VirtualService without hosts is what others delegate to, and";
  if (gateways.length > 0) yield { message: wrong(`${of} has no gateways of its own`), at: ["gateways"] };
  if (tls.length > 0) yield { message: wrong(`${of} has HTTP rules alone`, "add hosts:"), at: ["tls"] };
  if (tcp.length > 0) yield { message: wrong(`${of} has HTTP rules alone`, "add hosts:"), at: ["tcp"] };
  for (const [index, rule] of http.entries()) {
    if (rule.delegate === null) continue;
    yield { message: wrong(`${of} cannot delegate further`), at: ["http", index, "delegate"] };
  }
}

function* hostFaults({ hosts, gateways, tls }: Written): Generator<Fault> {
  if (hosts.includes("*") && (gateways.length === 0 || gateways.includes(MESH_GATEWAY))) {
    yield {
      message: wrong(
        'the host "*" is allowed at gateways alone, and this VirtualService applies to the mesh',
      ),
      at: [],
    };
  }
  for (const [index, host] of hosts.entries()) {
    const other = hosts.slice(0, index).find((earlier) =>
      hostMatches(earlier, host) || hostMatches(host, earlier)
    );
    if (other === undefined) continue;
    yield {
      message: wrong(`{} and "${other}" are the same host, or one covers the other`),
      at: ["hosts", index],
    };
  }
  for (const [rule, { match }] of tls.entries()) {
    for (const [alternative, { sniHosts }] of match.entries()) {
      for (const [index, sni] of sniHosts.entries()) {
        if (hosts.some((host) => hostMatches(host, sni))) continue;
        yield {
          message: wrong(`{} is not among the hosts of this VirtualService (${hosts.join(", ")})`),
          at: ["tls", rule, "match", alternative, "sniHosts", index],
        };
      }
    }
  }
}
