/** The signing of leaf certificates (SPIFFE X.509-SVID) with the mesh's own root, or with a CA that the operator plugs in. */
import { hex } from "../../identity/der_reader.ts";
import { encodePem } from "../../identity/pem.ts";
import { CERTIFICATE_LABEL, certificatePin } from "../../identity/trust_bundle.ts";
import type { Clock } from "../../lib/clock.ts";
import { formatDuration } from "../../lib/duration.ts";
import {
  type AuthorityCertificate,
  type AuthorityMaterial,
  authorityPem,
  keyIdentifierOf,
} from "./authority_material.ts";
import { CitadelError, NOTHING_ISSUED } from "../citadel_error.ts";
import { BACK_DATE_MS, randomSerial, wholeSeconds } from "../certificate_times.ts";
import { crlBody, type CrlFields } from "./certificate_revocation_list.ts";
import { leafBody } from "./leaf_certificate.ts";
import type { SigningKey } from "./signing_key.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

/** Life of a leaf when nothing else is said. */
export const LEAF_LIFE_DEFAULT_MS = DAY_MS;

/** Longest life of a leaf (Istio's MAX_WORKLOAD_CERT_TTL). */
export const LEAF_LIFE_MAX_MS = 90 * DAY_MS;

/** Shortest life of a leaf: renewal comes at half of it, and must have time to be tried again. */
export const LEAF_LIFE_MIN_MS = MINUTE_MS;

/** A short-lived leaf is back-dated by no more than this share of its life, so that half of it still lies ahead. */
const BACK_DATE_SHARE_MAX = 0.1;

/** How long a revocation list is good for: who fetches it is told to come again by then. */
const CRL_LIFE_MS = 60 * MINUTE_MS;

export interface LeafRequest {
  /** DER of SubjectPublicKeyInfo. */
  readonly publicKey: Uint8Array;
  /** The one name in the certificate. */
  readonly spiffeId: string;
  /** LEAF_LIFE_MIN_MS … LEAF_LIFE_MAX_MS; the end of the CA's own certificates cuts it short. */
  readonly ttlMs: number;
  /** For the control plane, to which those find their way too who know only an earlier root. @default false */
  readonly isOwn?: boolean;
}

export interface IssuedLeaf {
  /** PEM: the leaf, then intermediates, without the root. */
  readonly chain: string;
  /** Lower-case hex. */
  readonly serial: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

export class CertificateAuthority {
  readonly #key: SigningKey;
  readonly #clock: Clock;
  /** Content of the issuer's Name. */
  readonly #name: Uint8Array;
  readonly #keyIdentifier: Uint8Array;
  /** PEM. */
  readonly #intermediates: string;
  /** PEM, as in AuthorityMaterial. */
  readonly #crosses: { readonly leaf: string; readonly own: string };
  /** As in AuthorityMaterial. */
  readonly path: readonly AuthorityCertificate[];
  /** PEM of every root that is trusted. */
  readonly roots: string;
  /** As in AuthorityMaterial. */
  readonly pinnable: string;
  /** `sha256:HEX` of the root that new join tokens pin. */
  readonly pin: string;
  /** End of the first of its certificates to end, milliseconds since 1970. */
  readonly notAfterMs: number;

  private constructor(material: AuthorityMaterial, clock: Clock, pin: string, keyIdentifier: Uint8Array) {
    const { key, path, roots, pinnable, crosses } = material;
    const [issuer] = path as [AuthorityCertificate];
    this.#key = key;
    this.#clock = clock;
    this.#name = issuer.fields.subject;
    this.#keyIdentifier = keyIdentifier;
    this.#intermediates = path.slice(0, -1).map(authorityPem).join("");
    this.#crosses = {
      leaf: crosses.leaf.map(authorityPem).join(""),
      own: crosses.own.map(authorityPem).join(""),
    };
    this.path = path;
    this.roots = roots;
    this.pinnable = pinnable;
    this.pin = pin;
    this.notAfterMs = Math.min(...path.map(({ fields }) => fields.notAfterMs));
  }

  static async create(material: AuthorityMaterial, clock: Clock): Promise<CertificateAuthority> {
    const { path, pinned } = material;
    const pin = await certificatePin(pinned.der);
    const keyIdentifier = await keyIdentifierOf(path[0] as AuthorityCertificate);
    return new CertificateAuthority(material, clock, pin, keyIdentifier);
  }

  /** What its leaves call the key that signed them (authority key identifier), lower-case hex. */
  get signer(): string {
    return hex(this.#keyIdentifier);
  }

  /** DER of a certificate revocation list. */
  async signCrl(revoked: CrlFields["revoked"]): Promise<Uint8Array<ArrayBuffer>> {
    const thisUpdateMs = wholeSeconds(this.#clock.now());
    return await this.#key.seal(crlBody({
      algorithm: this.#key.algorithm,
      issuer: this.#name,
      keyIdentifier: this.#keyIdentifier,
      thisUpdateMs,
      nextUpdateMs: thisUpdateMs + CRL_LIFE_MS,
      revoked,
    }));
  }

  /** Throws CitadelError `ca_expired` when nothing that it signs would be good; `remedy` is what the operator can do. */
  checkLife(remedy = ""): void {
    if (this.#clock.now() < this.notAfterMs) return;
    const ended = new Date(this.notAfterMs).toISOString();
    throw new CitadelError(
      "ca_expired",
      NOTHING_ISSUED,
      `A certificate of the CA expired at ${ended}${remedy}`,
    );
  }

  /**
   * Signs a leaf for both ends of mutual TLS; throws CitadelError `ca_expired`, and `request_invalid` for a life out of
   * range.
   */
  async sign(request: LeafRequest): Promise<IssuedLeaf> {
    const { ttlMs, spiffeId, isOwn = false } = request;
    if (!(ttlMs >= LEAF_LIFE_MIN_MS && ttlMs <= LEAF_LIFE_MAX_MS)) {
      const [least, most, asked] = [LEAF_LIFE_MIN_MS, LEAF_LIFE_MAX_MS, ttlMs].map(formatDuration);
      throw new CitadelError("request_invalid", `A certificate lives ${least} to ${most}, not ${asked}`);
    }
    this.checkLife();
    const now = this.#clock.now();
    const serial = randomSerial();
    const notBeforeMs = wholeSeconds(now - Math.min(BACK_DATE_MS, ttlMs * BACK_DATE_SHARE_MAX));
    const notAfterMs = wholeSeconds(Math.min(now + ttlMs, this.notAfterMs));
    const body = leafBody({
      algorithm: this.#key.algorithm,
      issuer: this.#name,
      serial,
      notBeforeMs,
      notAfterMs,
      publicKey: request.publicKey,
      spiffeId,
      keyIdentifier: this.#keyIdentifier,
    });
    const leaf = encodePem(CERTIFICATE_LABEL, await this.#key.seal(body));
    const crosses = isOwn ? this.#crosses.own : this.#crosses.leaf;
    return { chain: leaf + this.#intermediates + crosses, serial: hex(serial), notBeforeMs, notAfterMs };
  }
}
