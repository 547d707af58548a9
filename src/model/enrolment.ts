/** What a joining workload and the control plane say to each other, as JSON bodies on port 15012. */

/** `GET /v1/trust-bundle`: open to all; the joiner compares it with the pin in its token. */
export interface TrustBundleReply {
  readonly trustDomain: string;
  /** PEM, one or more root certificates. */
  readonly roots: string;
}

/** `POST /v1/enrol` with a join token, `POST /v1/renew` with nothing but the current certificate. */
export interface EnrolRequest {
  /** The join token; absent in a renewal. */
  readonly token?: string;
  /** PEM; only its public key is used. */
  readonly csr: string;
}

/** `POST /v1/enrol` with a token that a platform issued, instead of a join token. */
export interface PlatformEnrolRequest {
  readonly platformToken: string;
  /** PEM; only its public key is used. */
  readonly csr: string;
}

/** `POST /v1/rejoin`: the last certificate of the workload has expired; the request is signed with its key. */
export interface RejoinRequest {
  /** Serial number of the certificate that has expired, lower-case hex. */
  readonly serial: string;
  /** PEM; only its public key is used, and it must be that certificate's. */
  readonly csr: string;
}

export interface CertificateReply {
  readonly spiffeId: string;
  /** PEM: leaf first, then intermediates, without the root. */
  readonly chain: string;
  /** PEM: every root that is trusted now. */
  readonly roots: string;
  /** `NAMESPACE/NAME`: who the caller is, for one that came with a platform's token and does not know. */
  readonly workload?: string;
  /** `NAMESPACE/NAME` of the WorkloadGroup that it joined; absent: none. */
  readonly group?: string | undefined;
}

/** Any refusal on port 15012. Opaque to the caller on purpose; the log of the control plane has the detail. */
export interface ErrorReply {
  readonly error: { readonly code: string; readonly message: string };
}

/** What a join token says in the open (a JWT's payload): enough to join with nothing but the token. */
export interface JoinTokenClaims {
  /** The token's own number: what is single-use. */
  readonly jti: string;
  /** `NAMESPACE/NAME`. */
  readonly workload: string;
  /** `NAMESPACE/NAME` of the WorkloadGroup that the workload joins; absent: none. */
  readonly group?: string;
  /** The SPIFFE ID that a certificate from this token will carry. */
  readonly sub: string;
  /** `HOST:PORT` of the control plane. */
  readonly controlPlane: string;
  /** `sha256:HEX` of the DER of the root certificate. */
  readonly caPin: string;
  /** Networks from which it may be used, `10.0.0.0/8`; absent: from anywhere. */
  readonly source?: readonly string[];
  /** Seconds since 1970. */
  readonly iat: number;
  readonly exp: number;
}
