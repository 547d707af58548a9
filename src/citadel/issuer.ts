/**
 * Certificates for whoever has shown who it is: by a join token, by the word of a platform, by the certificate that it
 * has, or by the key of its last one. Each is on the books before it goes out.
 */
import { encodePrivateKey, generateKeyPair } from "../identity/key_pair.ts";
import type { Clock } from "../lib/clock.ts";
import type { CertificateReply, EnrolRequest, RejoinRequest } from "../model/enrolment.ts";
import type { Trust } from "../model/snapshot.ts";
import { controlPlaneId } from "../model/spiffe_id.ts";
import type { WorkloadKey } from "../model/workload.ts";
import { type IssuedLeaf, LEAF_LIFE_DEFAULT_MS } from "./authority/certificate_authority.ts";
import { publicKeyHash, publicKeyOfRequest } from "./certificate_request.ts";
import { checkJoiner, type Joiner } from "./check_joiner.ts";
import { CitadelError, stored, tokenRefused } from "./citadel_error.ts";
import { EXPIRED_SHOWN_MS, type IssuanceHow, type IssuanceLog } from "./issuance_log.ts";
import type { JoinTokens } from "./join_tokens.ts";
import type { MeshAuthority } from "./authority/mesh_authority.ts";

/** As long as a certificate lives: a control plane that was away for long finds its mesh again. */
export const REJOIN_GRACE_DEFAULT_MS = LEAF_LIFE_DEFAULT_MS;

/** The books know no longer whose the last certificate was. */
export const REJOIN_GRACE_MAX_MS = EXPIRED_SHOWN_MS;

/** What goes to the caller, and what the log and the registry of workloads need to know about it. */
export interface Issued {
  readonly reply: CertificateReply;
  readonly workload: WorkloadKey;
  /** Lower-case hex. */
  readonly serial: string;
  readonly notAfterMs: number;
  /** What was brought for it, as the audit log calls it: `token 4f8a0c5be1d2`; null: what TLS proved. */
  readonly by: string | null;
  /** What was brought is good for no other certificate now. */
  readonly usesUp: boolean;
  /** The certificate will go to nobody: what was brought for it is as good as before. */
  giveBack(): Promise<void>;
}

/** The control plane's own material for TLS, all PEM; the key is in memory alone. */
export interface OwnCertificate {
  readonly key: string;
  readonly chain: string;
  readonly roots: string;
  /** As in Trust. */
  readonly signer: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

export interface IssuerOptions {
  readonly authority: MeshAuthority;
  readonly tokens: JoinTokens;
  readonly log: IssuanceLog;
  readonly clock: Clock;
  readonly trustDomain: string;
  /** Of workload certificates, milliseconds. */
  readonly leafLifeMs: number;
  /** As in CitadelOptions. */
  readonly rejoinGraceMs: number;
  isRevoked(serial: string): boolean;
}

export class Issuer {
  readonly #options: IssuerOptions;

  constructor(options: IssuerOptions) {
    this.#options = options;
  }

  /**
   * A certificate for the identity in the request's token, which is used up by it. A bad CSR does not use it up, nor
   * does somebody at an IP address (`from`) that it is not for. Throws CitadelError `token_*`, `csr_refused`,
   * `storage_failed`.
   */
  async enrol(request: EnrolRequest, from?: string): Promise<Issued> {
    if (request.token === undefined) {
      throw tokenRefused("token_invalid", "The enrolment came without a join token");
    }
    const claims = await this.#options.tokens.verify(request.token, from);
    const publicKey = await publicKeyOfRequest(request.csr);
    // A token that nothing comes of is still good.
    this.#options.authority.checkLife();
    const { tokens } = this.#options;
    const id = await stored(tokens.redeem(claims));
    const giveBack = () => tokens.giveBack(claims);
    const { sub: spiffeId, workload, group } = claims;
    try {
      const leaf = await this.#issue({ publicKey, spiffeId, workload, group, how: "token" });
      return { ...this.#issued(leaf, spiffeId, workload, `token ${id}`), giveBack };
    } catch (error) {
      await stored(giveBack());
      throw error;
    }
  }

  /**
   * A certificate for somebody that a platform vouches for; `by` is what the audit log calls that. Throws CitadelError
   * `request_invalid`, `storage_failed`.
   */
  async enrolAs(joiner: Joiner, publicKey: Uint8Array, by: string): Promise<Issued> {
    checkJoiner(joiner, this.#options.trustDomain);
    const { workload, group, spiffeId } = joiner;
    const leaf = await this.#issue({ publicKey, spiffeId, workload, group, how: "platform" });
    const issued = this.#issued(leaf, spiffeId, workload, by);
    return { ...issued, reply: { ...issued.reply, workload, group } };
  }

  /**
   * The next certificate for whoever holds a valid one. `peerSpiffeId` is what TLS proved; `workload` is what the peer
   * says it is, and is believed when it was enrolled under this very identity. Without it the identity must have one
   * workload only. Throws CitadelError `renewal_refused`, `csr_refused`, `storage_failed`.
   */
  async renew(
    peerSpiffeId: string,
    workload: WorkloadKey | undefined,
    request: EnrolRequest,
  ): Promise<Issued> {
    const owner = this.#ownerOf(peerSpiffeId, workload);
    const publicKey = await publicKeyOfRequest(request.csr);
    const leaf = await this.#issue({
      publicKey,
      spiffeId: peerSpiffeId,
      workload: owner,
      group: this.#options.log.enrolmentOf(owner)?.group,
      how: "renewal",
    });
    return this.#issued(leaf, peerSpiffeId, owner, null);
  }

  /**
   * A certificate for a workload whose last one has expired, for the same key: the signature of the CSR proves that it is
   * still in the same hands, and to nobody else would the certificate be of use. Throws CitadelError `rejoin_refused`,
   * `csr_refused`, `storage_failed`.
   */
  async rejoin({ serial, csr }: RejoinRequest): Promise<Issued> {
    const last = this.#options.log.lastIssued(serial);
    if (last === undefined || last.workload === null) {
      throw rejoinRefused(`No workload has ${JSON.stringify(serial)} as its last certificate`);
    }
    const { spiffeId, workload, group, notAfterMs, key, lastSerial } = last;
    const whose = `certificate ${serial} of ${workload} (expiry ${new Date(notAfterMs).toISOString()})`;
    const refuseRevoked = () => {
      if (![serial, lastSerial].some(this.#options.isRevoked)) return;
      throw rejoinRefused(`The ${whose} was revoked`);
    };
    refuseRevoked();
    if (this.#options.clock.now() >= notAfterMs + this.#options.rejoinGraceMs) {
      throw rejoinRefused(`The ${whose} expired longer ago than --rejoin-grace allows`);
    }
    const publicKey = await publicKeyOfRequest(csr);
    if (await publicKeyHash(publicKey) !== key) throw rejoinRefused(`The ${whose} has another key`);
    const leaf = await this.#issue({ publicKey, spiffeId, workload, group, how: "rejoin" });
    // It may have been revoked meanwhile: then the new certificate goes to nobody.
    refuseRevoked();
    const issued = this.#issued(leaf, spiffeId, workload, `certificate ${serial}`);
    // Who asks again and again has as many attempts as anybody.
    return { ...issued, usesUp: serial === lastSerial };
  }

  /** A certificate for the control plane's own endpoint, with a new key. Throws CitadelError `storage_failed`. */
  async issueOwn(): Promise<OwnCertificate> {
    const keys = await generateKeyPair();
    const publicKey = new Uint8Array(await crypto.subtle.exportKey("spki", keys.publicKey));
    const spiffeId = controlPlaneId(this.#options.trustDomain);
    const leaf = await this.#issue({ publicKey, spiffeId, workload: null, how: "own", isOwn: true });
    const { notBeforeMs, notAfterMs, chain, roots, signer } = leaf;
    const key = await encodePrivateKey(keys.privateKey);
    return { key, chain, roots, signer, notBeforeMs, notAfterMs };
  }

  #ownerOf(spiffeId: string, workload: WorkloadKey | undefined): WorkloadKey {
    const { log } = this.#options;
    if (workload !== undefined) {
      if (log.enrolmentOf(workload)?.spiffeId === spiffeId) return workload;
      throw renewalRefused(`${JSON.stringify(workload)} is not enrolled as ${spiffeId}`);
    }
    const owners = [...log.enrolments()].filter(([, enrolment]) => enrolment.spiffeId === spiffeId);
    const [owner] = owners;
    if (owner === undefined) throw renewalRefused(`no workload is enrolled as ${spiffeId}`);
    if (owners.length > 1) {
      throw renewalRefused(
        `${owners.length} workloads are enrolled as ${spiffeId}, and the request names none`,
      );
    }
    return owner[0];
  }

  async #issue(order: {
    readonly publicKey: Uint8Array;
    readonly spiffeId: string;
    readonly workload: WorkloadKey | null;
    readonly group?: WorkloadKey | undefined;
    readonly how: IssuanceHow;
    readonly isOwn?: boolean;
  }): Promise<IssuedLeaf & Trust> {
    const { publicKey, spiffeId, workload, group, how, isOwn } = order;
    // A step of a rollover may come between.
    const authority = this.#options.authority.current;
    const { roots, signer } = authority;
    const leaf = await authority.sign({ publicKey, spiffeId, ttlMs: this.#options.leafLifeMs, isOwn });
    // On the books first: a certificate that nobody knows of could never be listed or revoked.
    const { serial, notAfterMs } = leaf;
    const key = await publicKeyHash(publicKey);
    await stored(
      this.#options.log.append({ serial, spiffeId, workload, group, notAfterMs, how, key, signer }),
    );
    return { ...leaf, roots, signer };
  }

  #issued(leaf: IssuedLeaf & Trust, spiffeId: string, workload: WorkloadKey, by: string | null): Issued {
    const reply = { spiffeId, chain: leaf.chain, roots: leaf.roots };
    const { serial, notAfterMs } = leaf;
    return {
      reply,
      workload,
      serial,
      notAfterMs,
      by,
      usesUp: by !== null,
      giveBack: () => Promise.resolve(),
    };
  }
}

function rejoinRefused(detail: string): CitadelError {
  return new CitadelError(
    "rejoin_refused",
    "The certificate is no way back in; join with a new token",
    detail,
  );
}

function renewalRefused(why: string): CitadelError {
  return new CitadelError("renewal_refused", "The renewal was refused", `The renewal was refused: ${why}`);
}
