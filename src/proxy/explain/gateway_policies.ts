/** What a gateway makes of a request from outside before its routes: who the client is, and what its own policies say. */
import { Prng } from "../../lib/prng.ts";
import { NO_PROXIES_BEFORE } from "../../model/gateway_topology.ts";
import type { Policy, PolicyAttribute } from "../../model/policy.ts";
import type { RequestHead } from "../exchange.ts";
import { setEdgeHeaders } from "../filters/edge_headers.ts";
import { edgeHost } from "../filters/gateway.ts";
import { PolicyCall, policyPeer } from "../policy/policy_call.ts";
import { explainPolicies } from "./authorization.ts";
import type { Receiver } from "./receiver.ts";
import type { ExplainedAuthorization, ExplainedDestination, ExplainNote } from "./explanation.ts";
import { gatewayPort } from "./gateway.ts";
import type { MeshView } from "./mesh_view.ts";
import type { ExplainRequest } from "./request.ts";

/** Ids are the same each time, so that answers are. */
const ID_SEED = 1;

/** What the gateway makes of a client's request; of a client that nobody named there is no address. */
export function headAtEdge({ settings }: MeshView, { head, scheme, client }: ExplainRequest): RequestHead {
  if (scheme === "tcp") return head;
  const edge = { ...head, headers: [...head.headers] };
  const { gatewayTopology: topology = NO_PROXIES_BEFORE } = settings;
  const from = { address: client, scheme, certificate: null };
  setEdgeHeaders(edge, from, { topology, clientCert: undefined }, new Prng(ID_SEED));
  return edge;
}

/** Null: no policy selects the gateway. Of clients with a certificate of the mesh nothing is known here. */
export function explainOwnPolicies(
  { settings, gatewayListeners }: MeshView,
  { head, scheme, client }: ExplainRequest,
  protocol: "http" | "tcp",
): ExplainedAuthorization | null {
  if ((settings.policies ?? []).length === 0) return null;
  const port = gatewayPort(scheme, head);
  const bind = gatewayListeners.find((one) => one.port === port)?.bind;
  const peer = policyPeer(null, client ?? "", scheme === "https" ? edgeHost(head.authority) : "");
  const { trustedProxies } = settings.gatewayTopology ?? NO_PROXIES_BEFORE;
  const destination = { address: bind ?? settings.address, port };
  const call = new PolicyCall(peer, destination, protocol === "tcp" ? null : head, trustedProxies);
  return explainPolicies(settings, call, protocol);
}

/** Notes that the answer depends on the client's address, where it does. */
export function noteOnClient(
  { settings }: MeshView,
  destinations: readonly ExplainedDestination[],
  receiver: Receiver,
): readonly ExplainNote[] {
  const receivers = destinations.flatMap(({ endpoints }) => endpoints).flatMap(({ workload }) => {
    const body = receiver(workload)?.get("proxy/self")?.body;
    return body?.kind === "proxy" ? body : [];
  });
  const depends = askFor(settings.policies, ["source.ip", "remote.ip"]) ||
    receivers.some(({ policies }) => askFor(policies, ["remote.ip"]));
  if (!depends) return [];
  const text = "Policies ask for the client's address, of which nothing was said: --client names it.";
  return [{ destination: null, text }];
}

function askFor(policies: readonly Policy[] = [], attributes: readonly PolicyAttribute[]): boolean {
  return policies.some(({ rules }) =>
    rules.some(({ sources, operations, conditions }) =>
      [...sources, ...operations, conditions].flat().some(({ attribute }) => attributes.includes(attribute))
    )
  );
}
