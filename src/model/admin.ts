/** What the command line asks of a running process over its `admin.sock`. */

/** Name of the socket in the data directory; mode 0600, so that only the process's own user reaches it. */
export const ADMIN_SOCKET = "admin.sock";

/** `POST /v1/tokens` of a control plane. */
export interface TokenCreateRequest {
  /** `NAMESPACE/NAME`; absent with a group. */
  readonly workload?: string;
  /** `NAMESPACE/NAME` of a WorkloadGroup: the control plane names the workload. */
  readonly group?: string;
  readonly ttlMs?: number;
}

export interface TokenCreateReply {
  readonly token: string;
  readonly workload: string;
  /** As in the request. */
  readonly group?: string;
  readonly spiffeId: string;
  readonly controlPlane: string;
  /** ISO 8601. */
  readonly expiresAt: string;
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
