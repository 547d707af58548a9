/** The answer of `explain`: the JSON that the command prints, and what goes with it for people. */
import type { Policy } from "../../model/policy.ts";
import type { Abort, RouteOrigin } from "../../model/route.ts";
import type { Cluster } from "../../model/cluster.ts";
import type { WorkloadKey } from "../../model/workload.ts";

/** What becomes of a request. */
export const ACTIONS = [
  "forward",
  "redirect",
  "direct-response",
  "abort",
  "passthrough",
  "blocked",
  "not-found",
  "refused",
] as const;

/** The JSON of `explain`. */
export interface Explanation {
  /** The caller. */
  readonly from: WorkloadKey;
  /** CONNECT for bytes. */
  readonly method: string;
  /** As it was asked. */
  readonly url: string;
  /** Host of the service whose routes were looked at; null: no service has the authority. */
  readonly service: string | null;
  /** The rule that matched; null: none did, or there is none. */
  readonly route: ExplainedRoute | null;
  /**
   * `refused`: a gateway has no such port, or no server there of that name. `abort` where every request is aborted by a fault; one that meets some of them alone
   * is in `fault`.
   */
  readonly action: (typeof ACTIONS)[number];
  readonly destinations: readonly ExplainedDestination[];
  /** What the upstream sees in place of what was asked; null: what was asked. */
  readonly rewrite: { readonly authority: string | null; readonly path: string | null } | null;
  readonly redirect: { readonly code: number; readonly location: string } | null;
  readonly directResponse: { readonly status: number; readonly body: string } | null;
  /** For all attempts together; null: as long as it takes. */
  readonly timeoutMs: number | null;
  /** Null unless it is forwarded, and may be tried again. */
  readonly retries: ExplainedRetries | null;
  readonly fault: ExplainedFault | null;
  readonly mirrors: readonly ExplainedMirror[];
  readonly requestHeaders: ExplainedHeaders;
  /** Of the gateway that is asked about, and of those that receive it; absent: no proxy looks for tokens. */
  readonly authentication?: readonly ExplainedAuthentication[];
  /** Of the gateway that is asked about, by its own policies; absent: none selects it, or it never comes to asking them. */
  readonly gatewayAuthorization?: ExplainedAuthorization;
  readonly authorization: ExplainedAuthorization;
  /** Every rule that was looked at, in order, until one matched. */
  readonly trace: readonly ExplainedRule[];
}

/** What one proxy makes of the request's token. */
export interface ExplainedAuthentication {
  /** Before which the proxy stands. */
  readonly workload: WorkloadKey;
  /** In the order in which they are tried; `name` is that of the RequestAuthentication. */
  readonly rules: readonly {
    readonly name: string;
    readonly issuer: string;
    readonly file: string;
    readonly line: number;
    /** Why it does not take the request's token, in a clause; null: it does. */
    readonly why: string | null;
  }[];
  /** The request has a token, and nothing was said of what it holds: it counts for none here. */
  readonly unread: boolean;
  /** Why it refuses a token that says what was given; null: it does not, or nothing was given. */
  readonly fault: string | null;
}

/** What the policies of one proxy say. `rule`, `file` and `line` are there where a policy's rule decided. */
export interface ExplainedAuthorization {
  readonly decision: "allow" | "deny";
  /** `NAMESPACE/NAME`; null: no rule decided. */
  readonly policy: string | null;
  /** Counts from 0. */
  readonly rule?: number;
  readonly file?: string;
  readonly line?: number;
  readonly reason: string;
  /** The provider that is asked before; absent: nobody is. */
  readonly asks?: string;
  /** Every rule that was looked at; absent: there are no policies, or nobody asks them. */
  readonly trace?: readonly ExplainedPolicyRule[];
}

export interface ExplainedPolicyRule {
  /** `NAMESPACE/NAME`. */
  readonly policy: string;
  readonly action: Policy["action"];
  /** The policy is tried out, and decides nothing. */
  readonly dryRun?: true;
  /** Counts from 0; null: the policy has none. */
  readonly rule: number | null;
  readonly file: string;
  readonly line: number;
  readonly matched: boolean;
  readonly why: string;
}

export interface ExplainedRoute extends RouteOrigin {
  readonly name: string | null;
}

export interface ExplainedDestination {
  readonly host: string;
  readonly subset: string | null;
  readonly port: number;
  /** Percentage of the requests, two decimals. */
  readonly weight: number;
  readonly endpoints: readonly ExplainedEndpoint[];
  /** What is done to requests that go here alone. */
  readonly requestHeaders?: ExplainedHeaders;
}

/** Removed first, then set, then added to what is there. */
export interface ExplainedHeaders {
  readonly set: Readonly<Record<string, string>>;
  readonly add: Readonly<Record<string, string>>;
  readonly remove: readonly string[];
}

/** Percentages of the requests, drawn one without the other. */
export interface ExplainedFault {
  readonly delay: { readonly percentage: number; readonly fixedDelayMs: number } | null;
  readonly abort: Abort | null;
}

export interface ExplainedMirror {
  readonly host: string;
  readonly subset: string | null;
  readonly port: number;
  /** Of the requests, of which each is copied here. */
  readonly percentage: number;
}

export interface ExplainedEndpoint {
  /** The workload's own `ADDRESS:PORT`. */
  readonly address: string;
  readonly workload: WorkloadKey;
  /** Reached over mTLS; else in plain text. */
  readonly mtls: boolean;
}

export interface ExplainedRetries {
  /** Further attempts after the first. */
  readonly attempts: number;
  /** Envoy's conditions, and statuses, joined by commas. */
  readonly retryOn: string;
  readonly perTryTimeoutMs: number | null;
}

export interface ExplainedRule {
  /** `NAMESPACE/NAME`; null: what happens where no VirtualService has a say. */
  readonly virtualService: string | null;
  readonly rule: number | null;
  readonly matched: boolean;
  readonly why: string;
}

export interface Explained {
  readonly explanation: Explanation;
  /** Where each rule of the trace is written. */
  readonly origins: readonly (RouteOrigin | null)[];
  readonly notes: readonly ExplainNote[];
  /** What holds for the calls to each destination; null: it does not exist. */
  readonly clusters: readonly (Cluster | null)[];
  /** Of the call no request is read: it is a connection, which policies let in or close. */
  readonly isBytes: boolean;
  /** By its content type: whatever a proxy answers itself is a gRPC status then. */
  readonly isGrpc: boolean;
  /** Where the caller stands; null: nobody said. */
  readonly locality: string | null;
}

/** What the person who asked should know besides: a call that fails, a name that was probably meant. */
export interface ExplainNote {
  /** Index of the destination that it is about; null: the request. */
  readonly destination: number | null;
  readonly text: string;
}
