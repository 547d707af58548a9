/** Whether the workloads that a request would come to let it in: what their proxies' own policy tables say of it. */
import { NO_PROXIES_BEFORE } from "../../model/gateway_topology.ts";
import type { Policy } from "../../model/policy.ts";
import type { ProxySettings } from "../../model/snapshot.ts";
import type { WorkloadKey } from "../../model/workload.ts";
import { PolicyCounts } from "../../telemetry/policy_counts.ts";
import type { RequestHead } from "../exchange.ts";
import type { Verdict } from "../policy/compiled_rule.ts";
import { PolicyCall, type PolicyDestination, type PolicyPeer, policyPeer } from "../policy/policy_call.ts";
import { PolicyTable } from "../policy/policy_table.ts";
import { tokenAt } from "./authentication.ts";
import type { ExplainedAuthorization, ExplainedEndpoint, Explanation } from "./explanation.ts";
import type { Receiver } from "./receiver.ts";
import { tracePolicies } from "./policy_trace.ts";
import type { ExplainRequest } from "./request.ts";

/** Where a request ends up, as far as it was explained. */
type Sent = Pick<Explanation, "destinations" | "rewrite" | "requestHeaders">;

/** `isBytes`: nothing of it is read, unless whoever receives it does. */
type Call = Pick<ExplainRequest, "head" | "claims"> & { readonly isBytes: boolean };

const UNSELECTED: ExplainedAuthorization = {
  decision: "allow",
  policy: null,
  reason: "no policy selects the workload",
};

/** Refused where one of the endpoints refuses it. */
export function explainAuthorization(
  caller: ProxySettings,
  sent: Sent,
  { head, claims, isBytes }: Call,
  receiver: Receiver,
): ExplainedAuthorization {
  const request = { head: headOnArrival(head, sent), claims, isBytes };
  const endpoints = sent.destinations.flatMap(({ endpoints }) => endpoints);
  const verdicts = endpoints.map((endpoint) => verdictOf(caller, endpoint, request, receiver));
  const refused = verdicts.filter(({ decision }) => decision === "deny");
  const [first] = refused;
  if (first === undefined) return verdicts.find((verdict) => verdict !== UNSELECTED) ?? UNSELECTED;
  if (refused.length === verdicts.length) return first;
  return { ...first, reason: `${first.reason}, at ${refused.length} of ${verdicts.length} endpoints` };
}

function verdictOf(
  caller: ProxySettings,
  { address, workload, mtls }: ExplainedEndpoint,
  request: Call,
  receiver: Receiver,
): ExplainedAuthorization {
  const settings = receiver(workload)?.get("proxy/self")?.body;
  if (settings?.kind !== "proxy" || (settings.policies ?? []).length === 0) return UNSELECTED;
  if (!mtls) {
    const reason =
      `${workload} is called in plain text, past its policies unless its sidecar captures the call`;
    return { decision: "allow", policy: null, reason };
  }
  const port = Number(address.slice(address.lastIndexOf(":") + 1));
  const destination = { address: settings.address, port };
  const peer = policyPeer(caller.workload.principal || null, caller.address);
  const declared = settings.inbound.find((one) => one.port === port)?.declared;
  if (request.isBytes || declared === "tcp" || declared === "tls") {
    return verdictOnBytes(settings, peer, destination);
  }
  const { head } = tokenAt(settings, request.head, request.claims);
  const { trustedProxies } = settings.gatewayTopology ?? NO_PROXIES_BEFORE;
  const call = new PolicyCall(peer, destination, head, peer.principal === "" ? null : trustedProxies);
  return explainPolicies(settings, call, "http");
}

function verdictOnBytes(
  settings: ProxySettings,
  peer: PolicyPeer,
  destination: PolicyDestination,
): ExplainedAuthorization {
  const { inbound, workload } = settings;
  if (inbound.find(({ port }) => port === destination.port)?.declared === "http") {
    const reason = `${workload.key} reads requests at that port, and asks its policies about each`;
    return { decision: "allow", policy: null, reason };
  }
  return explainPolicies(settings, new PolicyCall(peer, destination, null), "tcp");
}

/** What the policies of one proxy say of a call. */
export function explainPolicies(
  { policies = [], extAuthz, workload }: ProxySettings,
  call: PolicyCall,
  protocol: "http" | "tcp",
): ExplainedAuthorization {
  const bound = new PolicyTable(policies, new PolicyCounts()).bind(call.peer, call.destination, protocol);
  const explained = explainVerdict(bound.explain(call), workload.key);
  const trace = tracePolicies(policies, call, protocol);
  const asks = bound.explainAsks(call);
  if (asks === null || asks.policy === null) return { ...explained, trace };
  const by = ruleAt(asks.policy, asks.rule ?? 0);
  if (protocol === "tcp") {
    const refused = explainVerdict(asks, workload.key);
    return { ...refused, reason: `${by} wants somebody asked, who cannot be asked about bytes`, trace };
  }
  const asked = extAuthz?.provider ?? "";
  return { ...explained, reason: `${asked} is asked first (${by}); ${explained.reason}`, asks: asked, trace };
}

/** What the policies of a workload say of a call, with where it is written. */
export function explainVerdict(
  { allowed, policy, rule }: Verdict,
  workload: WorkloadKey,
): ExplainedAuthorization {
  const decision = allowed ? "allow" : "deny";
  if (policy === null || rule === null) {
    const reason = allowed
      ? `no policy of ${workload} denies it`
      : `no policy allows it that selects ${workload}, and some policy must`;
    return { decision, policy: null, reason };
  }
  const reason = `${ruleAt(policy, rule)} ${allowed ? "allows" : "denies"} it`;
  return { decision, policy: policy.name, rule, file: policy.file, line: lineOf(policy, rule), reason };
}

/** With its place. */
export function ruleAt(policy: Policy, rule: number): string {
  const place = `${policy.file}:${lineOf(policy, rule)}`;
  return `rule ${rule} of AuthorizationPolicy ${policy.name} (${place})`;
}

function lineOf(policy: Policy, rule: number): number {
  return policy.rules[rule]?.line ?? policy.line;
}

function headOnArrival(
  head: RequestHead,
  { rewrite, requestHeaders: { set, add, remove } }: Sent,
): RequestHead {
  const dropped = new Set([...remove, ...Object.keys(set)]);
  const headers: string[] = [];
  for (let i = 0; i < head.headers.length; i += 2) {
    const name = head.headers[i] as string;
    if (!dropped.has(name)) headers.push(name, head.headers[i + 1] as string);
  }
  for (const [name, value] of [...Object.entries(set), ...Object.entries(add)]) headers.push(name, value);
  const { path = null, authority = null } = rewrite ?? {};
  return { ...head, headers, path: path ?? head.path, authority: authority ?? head.authority };
}
