/** The answer of `explain`: the JSON that the command prints, and what goes with it for people. */
import type { RouteOrigin } from "../../model/snapshot.ts";
import type { WorkloadKey } from "../../model/workload.ts";

/** The JSON of `explain`. Fields without an alternative belong to what routes cannot say yet. */
export interface Explanation {
  /** The caller. */
  readonly from: WorkloadKey;
  readonly method: string;
  /** As it was asked. */
  readonly url: string;
  /** Host of the service whose routes were looked at; null: no service has the authority. */
  readonly service: string | null;
  /** The rule that matched; null: none did, or there is none. */
  readonly route: ExplainedRoute | null;
  readonly action: "forward" | "passthrough" | "blocked" | "not-found";
  readonly destinations: readonly ExplainedDestination[];
  readonly rewrite: null;
  readonly redirect: null;
  readonly directResponse: null;
  readonly timeoutMs: null;
  /** Null unless it is forwarded: nothing else is tried again. */
  readonly retries: ExplainedRetries | null;
  readonly fault: null;
  readonly mirrors: readonly [];
  readonly requestHeaders: { readonly set: object; readonly add: object; readonly remove: readonly [] };
  readonly authorization: {
    readonly decision: "allow";
    readonly policy: null;
    readonly reason: string;
  };
  /** Every rule that was looked at, in order, until one matched. */
  readonly trace: readonly ExplainedRule[];
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
  readonly retryOn: string;
  readonly perTryTimeoutMs: null;
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
}

/** What the person who asked should know besides: a call that fails, a name that was probably meant. */
export interface ExplainNote {
  /** Index of the destination that it is about; null: the request. */
  readonly destination: number | null;
  readonly text: string;
}
