/**
 * The control plane's certificate authority as a whole: join tokens, enrolment, renewal, and the books of both. Its state
 * lives in `ca/` of the data directory: the authority, the tokens' secret, the tokens, the issuance log.
 */
import { encodePrivateKey, generateKeyPair } from "../identity/key_pair.ts";
import type { Clock } from "../lib/clock.ts";
import type { CertificateReply, EnrolRequest, RejoinRequest, TrustBundleReply } from "../model/enrolment.ts";
import { readCertificate } from "../identity/certificate_fields.ts";
import { readTrustBundle } from "../identity/trust_bundle.ts";
import { isSameBytes } from "../lib/same_bytes.ts";
import type { CertificateStatus, JoinTokenStatus, RolloverPhase, RolloverStatus } from "../model/admin.ts";
import type { Trust } from "../model/snapshot.ts";
import { controlPlaneId, parseSpiffeId } from "../model/spiffe_id.ts";
import { parseWorkloadKey, type WorkloadKey } from "../model/workload.ts";
import { PrivateFileError, type PrivateFiles } from "../runtime/private_files.ts";
import { CertificateAuthority, type IssuedLeaf, LEAF_LIFE_DEFAULT_MS } from "./certificate_authority.ts";
import { listCertificates } from "./certificate_list.ts";
import { publicKeyHash, publicKeyOfRequest } from "./certificate_request.ts";
import { CitadelError, tokenRefused } from "./citadel_error.ts";
import { EXPIRED_SHOWN_MS, type IssuanceHow, IssuanceLog } from "./issuance_log.ts";
import type { AuthorityCertificate } from "./authority_material.ts";
import { AUTHORITY_FILE, OwnAuthority } from "./own_authority.ts";
import { RootRollover } from "./root_rollover.ts";
import { openPluggedAuthority } from "./plugged_authority.ts";
import { type JoinToken, JoinTokens, TOKEN_LIFE_DEFAULT_MS } from "./join_tokens.ts";
import type { Joiner } from "./platform/platform_enrolment.ts";
import { RevocationList } from "./revocation_list.ts";

export interface CitadelOptions {
  /** Made when it is not there; `ca/` in it must be closed to others. */
  readonly dataDirectory: string;
  readonly trustDomain: string;
  readonly clock: Clock;
  readonly files: PrivateFiles;
  /** Directory of a CA that the operator plugs in; undefined: the mesh's own, in the data directory. */
  readonly pluggedDirectory?: string | undefined;
  /**
   * Life of workload certificates, milliseconds.
   * @default LEAF_LIFE_DEFAULT_MS
   */
  readonly leafLifeMs?: number | undefined;
  /**
   * How long after its certificate has expired a workload may come back with its key, milliseconds; 0: not at all.
   * @default REJOIN_GRACE_DEFAULT_MS
   */
  readonly rejoinGraceMs?: number | undefined;
}

/** As long as a certificate lives: a control plane that was away for long finds its mesh again. */
export const REJOIN_GRACE_DEFAULT_MS = LEAF_LIFE_DEFAULT_MS;

/** The books know no longer whose the last certificate was. */
export const REJOIN_GRACE_MAX_MS = EXPIRED_SHOWN_MS;

export interface TokenRequest {
  /** `NAMESPACE/NAME`. */
  readonly workload: WorkloadKey;
  /** `NAMESPACE/NAME` of the WorkloadGroup that the workload joins; absent: none. */
  readonly group?: WorkloadKey;
  /** Of this trust domain and of the workload's namespace. */
  readonly spiffeId: string;
  /** `HOST:PORT` under which the workload reaches the control plane. */
  readonly controlPlane: string;
  /** Networks from which it may be used; absent: from anywhere. */
  readonly source?: readonly string[];
  /** @default TOKEN_LIFE_DEFAULT_MS */
  readonly ttlMs?: number;
}

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

export class Citadel {
  #authority: CertificateAuthority;
  readonly #tokens: JoinTokens;
  readonly #log: IssuanceLog;
  readonly #revocations: RevocationList;
  readonly #leafLifeMs: number;
  readonly #rejoinGraceMs: number;
  readonly #clock: Clock;
  /** Its books are here. */
  readonly directory: string;
  readonly trustDomain: string;
  /** The data directory has a CA of its own, and another one is plugged in: who joined before trusts only the former. */
  readonly ownAuthorityUnused: boolean;
  /** Null: a CA is plugged in, and its files are the operator's. */
  readonly rollover: RootRollover | null;
  readonly #own: OwnAuthority | null;

  private constructor(
    authority: CertificateAuthority,
    own: OwnAuthority | null,
    tokens: JoinTokens,
    log: IssuanceLog,
    revocations: RevocationList,
    options: CitadelOptions & { readonly ownAuthorityUnused: boolean },
  ) {
    this.ownAuthorityUnused = options.ownAuthorityUnused;
    this.#own = own;
    this.#authority = authority;
    this.#tokens = tokens;
    this.#log = log;
    this.#revocations = revocations;
    this.#clock = options.clock;
    this.#leafLifeMs = options.leafLifeMs ?? LEAF_LIFE_DEFAULT_MS;
    this.#rejoinGraceMs = options.rejoinGraceMs ?? REJOIN_GRACE_DEFAULT_MS;
    this.directory = booksOf(options.dataDirectory);
    this.trustDomain = options.trustDomain;
    this.rollover = own && new RootRollover({
      own,
      clock: this.#clock,
      leafLifeMs: this.#leafLifeMs,
      unrenewed: () => this.unrenewed(),
      adopt: async ({ material }) => {
        this.#authority = await CertificateAuthority.create(material, this.#clock);
      },
    });
  }

  /** Opens the state on disk, or makes it at the first start. Throws CitadelError `ca_unusable`, `request_invalid`; PrivateFileError. */
  static async open(options: CitadelOptions): Promise<Citadel> {
    const { dataDirectory, trustDomain, clock, files } = options;
    if (parseSpiffeId(controlPlaneId(trustDomain)) === undefined) {
      throw new CitadelError(
        "request_invalid",
        `${
          JSON.stringify(trustDomain)
        } is no trust domain: lower-case letters, digits, dots, dashes, underscores`,
      );
    }
    const directory = booksOf(dataDirectory);
    await files.makeDirectory(directory);
    const { pluggedDirectory } = options;
    const own = pluggedDirectory === undefined
      ? await OwnAuthority.open({ directory, trustDomain, clock, files })
      : null;
    const material = own?.material ??
      await openPluggedAuthority({ directory: pluggedDirectory as string, trustDomain, clock, files });
    const authority = await CertificateAuthority.create(material, clock);
    const tokens = await JoinTokens.open(directory, files, clock);
    const log = await IssuanceLog.open(directory, files, clock);
    const ownAuthorityUnused = own === null && (await files.list(directory)).includes(AUTHORITY_FILE);
    const revocations = await RevocationList.open(directory, files, clock);
    return new Citadel(authority, own, tokens, log, revocations, { ...options, ownAuthorityUnused });
  }

  /** `sha256:HEX` of the root that join tokens pin. */
  get caPin(): string {
    return this.#authority.pin;
  }

  /** Lines of the issuance log that a crash cut off: worth a warning at the start. */
  get tornLogLines(): number {
    return this.#log.tornLines;
  }

  trustBundle(): TrustBundleReply {
    return { trustDomain: this.trustDomain, roots: this.#authority.pinnable };
  }

  /** What every proxy is to trust, and by whom its certificate is to be signed. */
  get trust(): Trust {
    const { roots, signer } = this.#authority;
    return { roots, signer };
  }

  /** Null: no rollover of the root goes on. */
  get rolloverPhase(): RolloverPhase | null {
    return this.#own?.phase ?? null;
  }

  /** What is trusted now, the root that signs first. */
  async trustedRoots(): Promise<RolloverStatus["roots"]> {
    const signing = (this.#authority.path.at(-1) as AuthorityCertificate).der;
    const roots = (await readTrustBundle(this.#authority.roots)).map(({ der, pin }) => ({
      pin,
      signs: isSameBytes(der, signing),
      notAfter: new Date(readCertificate(der).notAfterMs).toISOString(),
    }));
    return [...roots.filter(({ signs }) => signs), ...roots.filter(({ signs }) => !signs)];
  }

  /** Workloads that have a good certificate which another key signed than the one that signs now. */
  unrenewed(): WorkloadKey[] {
    return this.#log.signedByOthers(this.#authority.signer, (serial) => this.isRevoked(serial)).sort();
  }

  /** A one-time token that lets this workload join. Throws CitadelError `request_invalid`, PrivateFileError. */
  async createToken(request: TokenRequest): Promise<JoinToken> {
    const { workload, group, spiffeId, ttlMs = TOKEN_LIFE_DEFAULT_MS, ...rest } = request;
    this.#checkJoiner({ workload, group, spiffeId });
    return await this.#tokens.create({ workload, group, spiffeId, ...rest, caPin: this.caPin, ttlMs });
  }

  /** The tokens that nobody has used yet. Throws PrivateFileError. */
  async tokens(): Promise<JoinTokenStatus[]> {
    return await this.#tokens.list();
  }

  /** Throws CitadelError `request_invalid`, PrivateFileError. */
  async revokeToken(id: string): Promise<void> {
    await this.#tokens.revoke(id);
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
    const claims = await this.#tokens.verify(request.token, from);
    const publicKey = await publicKeyOfRequest(request.csr);
    const id = await stored(this.#tokens.redeem(claims));
    const leaf = await this.#issue({
      publicKey,
      spiffeId: claims.sub,
      workload: claims.workload,
      group: claims.group,
      how: "token",
    });
    return this.#issued(leaf, claims.sub, claims.workload, `token ${id}`);
  }

  /**
   * A certificate for somebody that a platform vouches for; `by` is what the audit log calls that. Throws CitadelError
   * `request_invalid`, `storage_failed`.
   */
  async enrolAs(joiner: Joiner, publicKey: Uint8Array, by: string): Promise<Issued> {
    this.#checkJoiner(joiner);
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
      group: this.groupOf(owner),
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
    const last = this.#log.lastIssued(serial);
    if (last === undefined || last.workload === null) {
      throw rejoinRefused(`No workload has ${JSON.stringify(serial)} as its last certificate`);
    }
    const { spiffeId, workload, group, notAfterMs, key } = last;
    const whose = `certificate ${serial} of ${workload} (expiry ${new Date(notAfterMs).toISOString()})`;
    if (this.isRevoked(serial)) throw rejoinRefused(`The ${whose} was revoked`);
    if (this.#clock.now() >= notAfterMs + this.#rejoinGraceMs) {
      throw rejoinRefused(`The ${whose} expired longer ago than --rejoin-grace allows`);
    }
    const publicKey = await publicKeyOfRequest(csr);
    if (await publicKeyHash(publicKey) !== key) throw rejoinRefused(`The ${whose} has another key`);
    const leaf = await this.#issue({ publicKey, spiffeId, workload, group, how: "rejoin" });
    return this.#issued(leaf, spiffeId, workload, `certificate ${serial}`);
  }

  /** A certificate for the control plane's own endpoint, with a new key. Throws CitadelError `storage_failed`. */
  async issueOwn(): Promise<OwnCertificate> {
    const keys = await generateKeyPair();
    const publicKey = new Uint8Array(await crypto.subtle.exportKey("spki", keys.publicKey));
    const spiffeId = controlPlaneId(this.trustDomain);
    const leaf = await this.#issue({ publicKey, spiffeId, workload: null, how: "own", isOwn: true });
    const { notBeforeMs, notAfterMs, chain, roots, signer } = leaf;
    const key = await encodePrivateKey(keys.privateKey);
    return { key, chain, roots, signer, notBeforeMs, notAfterMs };
  }

  /** The workloads that have a sidecar with a valid certificate: they must never be called in plain text. */
  enrolledWorkloads(): ReadonlySet<WorkloadKey> {
    return new Set(this.#log.enrolments().keys());
  }

  /** The WorkloadGroup that a workload has joined, by the token of its enrolment; undefined: none. */
  groupOf(workload: WorkloadKey): WorkloadKey | undefined {
    return this.#log.enrolmentOf(workload)?.group;
  }

  /**
   * From now on the certificate with this serial number, or every one of this SPIFFE ID, is refused. On the disk when it
   * resolves. Throws CitadelError `request_invalid`, `storage_failed`.
   */
  async revoke(target: string): Promise<CertificateStatus[]> {
    const serial = target.replaceAll(":", "").toLowerCase();
    // Also one that has expired, with whose key its workload might come back.
    const found = this.#log.issued().filter((each) => each.serial === serial || each.spiffeId === target);
    if (found.length === 0) {
      throw new CitadelError(
        "request_invalid",
        `No certificate that is good for anything has the serial number or the identity ${
          JSON.stringify(target)
        }`,
      );
    }
    if (found.some(({ workload }) => workload === null)) {
      throw new CitadelError(
        "request_invalid",
        "Without the control plane's own certificate there is no mesh",
      );
    }
    await stored(this.#revocations.add(found));
    const revoked = new Set(found.map((each) => each.serial));
    return this.certificates().filter((each) => each.kind === "leaf" && revoked.has(each.serial));
  }

  isRevoked(serial: string): boolean {
    return this.#revocations.has(serial);
  }

  /** Serial numbers, lower-case hex, of what was revoked and has not expired. */
  revokedSerials(): string[] {
    return this.#revocations.current().map(({ serial }) => serial);
  }

  /** DER of the certificate revocation list (RFC 5280 §5). */
  async crl(): Promise<Uint8Array<ArrayBuffer>> {
    return await this.#authority.signCrl(this.#revocations.current());
  }

  /** The CA's own certificates, from the root down, and every one that was issued and matters still. */
  certificates(): CertificateStatus[] {
    const other = this.#own?.other ?? null;
    return listCertificates({
      path: this.#authority.path,
      others: other === null ? [] : [other],
      issued: this.#log.issued(),
      isRevoked: (serial) => this.isRevoked(serial),
      nowMs: this.#clock.now(),
    });
  }

  /** Throws CitadelError `request_invalid` when nobody may be that. */
  #checkJoiner({ workload, group, spiffeId }: Joiner): void {
    const name = parseWorkloadKey(workload);
    if (name === undefined) {
      throw new CitadelError(
        "request_invalid",
        `A workload is NAMESPACE/NAME, not ${JSON.stringify(workload)}`,
      );
    }
    const id = parseSpiffeId(spiffeId);
    if (id?.trustDomain !== this.trustDomain || id.namespace !== name.namespace) {
      throw new CitadelError(
        "request_invalid",
        `${JSON.stringify(spiffeId)} is no identity of ${this.trustDomain} in namespace ${name.namespace}`,
      );
    }
    if (spiffeId === controlPlaneId(this.trustDomain)) {
      throw new CitadelError("request_invalid", `${spiffeId} is the control plane's own identity`);
    }
    if (group !== undefined && parseWorkloadKey(group)?.namespace !== name.namespace) {
      throw new CitadelError(
        "request_invalid",
        `${JSON.stringify(group)} is no WorkloadGroup of namespace ${name.namespace}`,
      );
    }
  }

  #ownerOf(spiffeId: string, workload: WorkloadKey | undefined): WorkloadKey {
    const enrolments = this.#log.enrolments();
    if (workload !== undefined) {
      if (enrolments.get(workload)?.spiffeId === spiffeId) return workload;
      throw renewalRefused(`${JSON.stringify(workload)} is not enrolled as ${spiffeId}`);
    }
    const owners = [...enrolments].filter(([, enrolment]) => enrolment.spiffeId === spiffeId);
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
    const authority = this.#authority;
    const { roots, signer } = authority;
    const leaf = await authority.sign({ publicKey, spiffeId, ttlMs: this.#leafLifeMs, isOwn });
    // On the books first: a certificate that nobody knows of could never be listed or revoked.
    const { serial, notAfterMs } = leaf;
    const key = await publicKeyHash(publicKey);
    await stored(this.#log.append({ serial, spiffeId, workload, group, notAfterMs, how, key, signer }));
    return { ...leaf, roots, signer };
  }

  #issued(leaf: IssuedLeaf & Trust, spiffeId: string, workload: WorkloadKey, by: string | null): Issued {
    const reply = { spiffeId, chain: leaf.chain, roots: leaf.roots };
    return { reply, workload, serial: leaf.serial, notAfterMs: leaf.notAfterMs, by, usesUp: by !== null };
  }
}

function booksOf(dataDirectory: string): string {
  return `${dataDirectory}/ca`;
}

async function stored<Result>(work: Promise<Result>): Promise<Result> {
  try {
    return await work;
  } catch (cause) {
    if (!(cause instanceof PrivateFileError)) throw cause;
    throw new CitadelError(
      "storage_failed",
      "The control plane cannot issue certificates at the moment",
      `No certificate was issued: ${cause.message}`,
      { cause },
    );
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
