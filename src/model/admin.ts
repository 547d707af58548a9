/** What the command line asks of a running process over its `admin.sock`. */
import type { Labels } from "./labels.ts";
import type { RecordedCall } from "./recorded_call.ts";

import type { WorkloadKey } from "./workload.ts";

/** Name of the socket in the data directory; mode 0600, so that only the process's own user reaches it. */
export const ADMIN_SOCKET = "admin.sock";

/** How long a join token is good for; it counts time in seconds. */
export const TOKEN_LIFE_DEFAULT_MS = 15 * 60_000;
export const TOKEN_LIFE_MIN_MS = 1_000;
export const TOKEN_LIFE_MAX_MS = 24 * 3_600_000;

/** `POST /v1/tokens` of a control plane. */
export interface TokenCreateRequest {
  /** `NAMESPACE/NAME`; absent with a group. */
  readonly workload?: string;
  /** `NAMESPACE/NAME` of a WorkloadGroup: the control plane names the workload. */
  readonly group?: string;
  /** @default TOKEN_LIFE_DEFAULT_MS */
  readonly ttlMs?: number;
  /** Networks from which it may be used; absent: from anywhere. */
  readonly source?: readonly string[];
}

export interface TokenCreateReply {
  readonly token: string;
  /** As in JoinTokenStatus. */
  readonly id: string;
  readonly workload: string;
  /** As in the request. */
  readonly group?: string;
  readonly spiffeId: string;
  readonly controlPlane: string;
  /** ISO 8601. */
  readonly expiresAt: string;
}

/** One row of `GET /v1/tokens` of a control plane: a join token that nobody has used yet. */
export interface JoinTokenStatus {
  /** What it is called; the beginning of the hash of its number, and no secret. */
  readonly id: string;
  readonly workload: string;
  readonly group?: string | undefined;
  readonly spiffeId: string;
  /** Networks from which it may be used; empty: from anywhere. */
  readonly source: readonly string[];
  /** ISO 8601. */
  readonly expiresAt: string;
}

export interface TokensReply {
  readonly tokens: readonly JoinTokenStatus[];
}

/** `POST /v1/tokens/revoke`; the reply is empty. */
export interface TokenRevokeRequest {
  readonly id: string;
}

/**
 * `replaced`: good, but its owner has a newer one. `expiring`: half of the time that was left for its renewal has gone,
 * and nobody renewed it.
 */
export type CertificateState = "valid" | "replaced" | "expiring" | "expired" | "revoked";

/** One row of `GET /v1/certificates` of a control plane. */
export interface CertificateStatus {
  readonly kind: "leaf" | "intermediate" | "root";
  /** A leaf's SPIFFE ID; of the CA's own certificates the subject. */
  readonly identity: string;
  /** `NAMESPACE/NAME`; null for the CA's own and the control plane's. */
  readonly workload: string | null;
  /** Lower-case hex. */
  readonly serial: string;
  /** ISO 8601. */
  readonly notAfter: string;
  readonly state: CertificateState;
}

/** `POST /v1/revocations`; the reply is a CertificatesReply of those that it has revoked. */
export interface RevokeRequest {
  /** A serial number in hex, or a SPIFFE ID: every certificate of that identity. */
  readonly target: string;
}

export interface CertificatesReply {
  readonly certificates: readonly CertificateStatus[];
}

/** `GET /v1/policy-suggestions` of a control plane. */
export interface PolicySuggestions {
  /** ISO 8601: calls are remembered from then on. */
  readonly since: string;
  readonly policies: readonly SuggestedPolicy[];
}

export interface SuggestedPolicy {
  /** The known workloads that the policy would select, `NAMESPACE/NAME`. */
  readonly workloads: readonly string[];
  /** Kinds of calls that the policy allows, and how many there were. */
  readonly kinds: number;
  readonly calls: number;
  /** Calls that were let through and are not allowed by the policy: nobody kept what they were, or no pattern says it. */
  readonly leftOut: number;
  readonly resource: {
    readonly apiVersion: string;
    readonly kind: string;
    readonly metadata: { readonly name: string; readonly namespace: string };
    readonly spec: {
      readonly selector: { readonly matchLabels: Labels };
      readonly action: string;
      readonly rules: readonly SuggestedRule[];
    };
  };
}

/** Istio's fields. */
export interface SuggestedRule {
  readonly from: readonly {
    readonly source: {
      readonly principals?: readonly string[];
      readonly notPrincipals?: readonly string[];
      readonly ipBlocks?: readonly string[];
    };
  }[];
  readonly to: readonly {
    readonly operation: {
      readonly ports: readonly string[];
      readonly methods?: readonly string[];
      readonly paths?: readonly string[];
    };
  }[];
}

/** `POST /v1/policy-simulations` of a control plane. */
export interface SimulationRequest {
  /** YAML with AuthorizationPolicies, that stand in for those of the same name and beside the others. */
  readonly files: readonly { readonly path: string; readonly text: string }[];
}

export interface SimulationReply {
  /** ISO 8601: calls are remembered from then on. */
  readonly since: string;
  /** `NAMESPACE/NAME` of the policies that were tried. */
  readonly candidates: readonly string[];
  readonly calls: readonly SimulatedCall[];
  /** Calls of which there is a number and no more. */
  readonly omitted: number;
}

/** A kind of call that was seen, and what would become of it. */
export interface SimulatedCall {
  readonly workload: string;
  readonly call: RecordedCall;
  /** `unknown`: it depends on what is not recorded of calls. */
  readonly outcome: "allow" | "deny" | "unknown";
  /** `NAMESPACE/NAME` of the policy that decides; null: none does. */
  readonly policy: string | null;
  /** Counts from 0. */
  readonly rule: number | null;
  readonly file: string | null;
  readonly line: number | null;
  readonly reason: string;
}

/**
 * Of a rollover of the root. `distributing`: every proxy is told to trust the new root too. `renewing`: the new root
 * signs, and every certificate is renewed. `withdrawing`: it was aborted; the old root signs again, and what the new one
 * had signed is renewed.
 */
export type RolloverPhase = "distributing" | "renewing" | "withdrawing";

/** `POST /v1/rollover`; the reply is a RolloverStatus. */
export interface RolloverRequest {
  readonly step: "start" | "finish" | "abort";
  /** Finish, whoever must join again then. @default false */
  readonly force?: boolean;
}

/** `GET /v1/rollover`. */
export interface RolloverStatus {
  readonly phase: RolloverPhase | null;
  /** Of what is trusted now; the one that signs comes first. */
  readonly roots: readonly {
    /** `sha256:HEX`. */
    readonly pin: string;
    readonly signs: boolean;
    /** ISO 8601. */
    readonly notAfter: string;
  }[];
  /** Proxies that are connected. */
  readonly connected: number;
  /** The workloads of connected proxies that do not trust all of the roots yet. */
  readonly lacking: readonly WorkloadKey[];
  /** Workloads whose certificate is good and signed by another than the root that signs now. */
  readonly unrenewed: readonly WorkloadKey[];
}
