/**
 * Who may call a workload, and how, as its own proxy is told. Made from AuthorizationPolicy; namespaces, selectors and
 * defaults are settled.
 */

export interface Policy {
  /** `NAMESPACE/NAME`. */
  readonly name: string;
  /**
   * CUSTOM asks somebody (ext_authz.ts), and goes before DENY, which goes before ALLOW; where there is an ALLOW, one of
   * them has to allow. AUDIT is only counted.
   */
  readonly action: "CUSTOM" | "DENY" | "ALLOW" | "AUDIT";
  /** The policy decides nothing, and is counted as if it did. @default false */
  readonly dryRun?: true;
  /** Relative to the configuration directory. */
  readonly file: string;
  readonly line: number;
  /** The policy matches when one of them does; with none it never does. */
  readonly rules: readonly PolicyRule[];
}

/** One of the sources, one of the operations and all conditions have to hold; what is empty holds always. */
export interface PolicyRule {
  readonly line: number;
  /** All tests of a source have to hold. */
  readonly sources: readonly (readonly PolicyTest[])[];
  readonly operations: readonly (readonly PolicyTest[])[];
  readonly conditions: readonly PolicyTest[];
}

/**
 * One of the values has to match, if there are any, and none of `notValues`. Values of addresses are addresses and
 * networks, others are Istio's patterns: `abc`, `abc*`, `*abc`, `*`; paths may be templates (`/a/{*}/{**}`).
 */
export interface PolicyTest {
  readonly attribute: PolicyAttribute;
  /** Of the attribute `header`; lower case. */
  readonly header?: string;
  /** Of the attribute `request.auth.claims`: its keys, from the outside in. */
  readonly claim?: readonly string[];
  readonly values?: readonly string[];
  readonly notValues?: readonly string[];
}

export type PolicyAttribute =
  /** `TRUST_DOMAIN/ns/NAMESPACE/sa/SERVICE_ACCOUNT`; a caller that proved nothing has none. */
  | "source.principal"
  | "source.namespace"
  /** `NAMESPACE/SERVICE_ACCOUNT`. */
  | "source.serviceAccount"
  | "source.trustDomain"
  /** The other end of the connection. */
  | "source.ip"
  /** The client, as `x-forwarded-for` names it, where a proxy of the mesh brings it. */
  | "remote.ip"
  | "destination.ip"
  /** The name that TLS asks for at a gateway, lower case; elsewhere there is none. */
  | "connection.sni"
  /** The workload's own port. */
  | "destination.port"
  | "host"
  | "method"
  | "path"
  | "header"
  /** `ISSUER/SUBJECT` of the verified token; a request without one has none, nor any of the following. */
  | "request.auth.principal"
  | "request.auth.audiences"
  | "request.auth.presenter"
  /** A claim; of a list one of its items has to match. */
  | "request.auth.claims";

/** Whether calls are let in that come in plain text (PeerAuthentication). */
export type InboundMtls = "permissive" | "strict";
