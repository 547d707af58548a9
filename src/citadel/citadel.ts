/**
 * The control plane's certificate authority as a whole: what signs, who gets a certificate, who is shut out, and the books
 * of all of it. Its state lives in `ca/` of the data directory: the authority, the tokens' secret, the tokens, the issuance
 * log.
 */
import type { Clock } from "../lib/clock.ts";
import type { EnrolRequest, RejoinRequest, TrustBundleReply } from "../model/enrolment.ts";
import {
  type CertificateStatus,
  type JoinTokenStatus,
  type RolloverPhase,
  type RolloverStatus,
  TOKEN_LIFE_DEFAULT_MS,
} from "../model/admin.ts";
import type { RevokedIdentity, Trust } from "../model/snapshot.ts";
import { controlPlaneId, parseSpiffeId } from "../model/spiffe_id.ts";
import type { WorkloadKey } from "../model/workload.ts";
import type { PrivateFiles } from "../runtime/private_files.ts";
import { LEAF_LIFE_DEFAULT_MS } from "./authority/certificate_authority.ts";
import { listCertificates } from "./certificate_list.ts";
import { checkJoiner, type Joiner } from "./check_joiner.ts";
import { CitadelError, stored } from "./citadel_error.ts";
import { IssuanceLog } from "./issuance_log.ts";
import { type Issued, Issuer, type OwnCertificate, REJOIN_GRACE_DEFAULT_MS } from "./issuer.ts";
import { type JoinToken, JoinTokens } from "./join_tokens.ts";
import { MeshAuthority } from "./authority/mesh_authority.ts";
import { RevocationList } from "./revocation_list.ts";
import type { RootRollover } from "./authority/root_rollover.ts";

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

/** Its books, each opened. */
interface Books {
  readonly authority: MeshAuthority;
  readonly tokens: JoinTokens;
  readonly log: IssuanceLog;
  readonly revocations: RevocationList;
}

export class Citadel {
  readonly #authority: MeshAuthority;
  readonly #tokens: JoinTokens;
  readonly #log: IssuanceLog;
  readonly #revocations: RevocationList;
  readonly #issuer: Issuer;
  readonly #clock: Clock;
  /** Its books are here. */
  readonly directory: string;
  readonly trustDomain: string;

  private constructor({ authority, tokens, log, revocations }: Books, options: CitadelOptions) {
    const { clock, trustDomain, dataDirectory } = options;
    const { leafLifeMs = LEAF_LIFE_DEFAULT_MS, rejoinGraceMs = REJOIN_GRACE_DEFAULT_MS } = options;
    this.#authority = authority;
    this.#tokens = tokens;
    this.#log = log;
    this.#revocations = revocations;
    this.#issuer = new Issuer({
      ...{ authority, tokens, log, clock, trustDomain, leafLifeMs, rejoinGraceMs },
      isRevoked: (serial) => this.isRevoked(serial),
    });
    this.#clock = clock;
    this.directory = booksOf(dataDirectory);
    this.trustDomain = trustDomain;
  }

  /** Opens the state on disk, or makes it at the first start. Throws CitadelError `ca_unusable`, `request_invalid`; PrivateFileError. */
  static async open(options: CitadelOptions): Promise<Citadel> {
    const { dataDirectory, trustDomain, clock, files, leafLifeMs = LEAF_LIFE_DEFAULT_MS } = options;
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
    const log = await IssuanceLog.open(directory, files, clock);
    const revocations = await RevocationList.open(directory, files, clock);
    const authority = await MeshAuthority.open({
      ...{ directory, trustDomain, clock, files, leafLifeMs },
      pluggedDirectory: options.pluggedDirectory,
      unrenewed: () => citadel.unrenewed(),
      holders: (isMeant) => log.signedBy(isMeant, (serial) => revocations.has(serial)),
    });
    const tokens = await JoinTokens.open(directory, files, clock);
    const citadel = new Citadel({ authority, tokens, log, revocations }, options);
    return citadel;
  }

  /** `sha256:HEX` of the root that join tokens pin. */
  get caPin(): string {
    return this.#authority.current.pin;
  }

  /** As in MeshAuthority. */
  get rollover(): RootRollover | null {
    return this.#authority.rollover;
  }

  /** Lines of the issuance log that a crash cut off: worth a warning at the start. */
  get tornLogLines(): number {
    return this.#log.tornLines;
  }

  /** Other books are older than the issuance log: worth a warning at the start, since nobody of before is known. */
  get hasLostLog(): boolean {
    return this.#log.isNew && !this.#tokens.isNew;
  }

  trustBundle(): TrustBundleReply {
    return { trustDomain: this.trustDomain, roots: this.#authority.current.pinnable };
  }

  /** As in MeshAuthority. */
  get trust(): Trust {
    return this.#authority.trust;
  }

  /** Null: no rollover of the root goes on. */
  get rolloverPhase(): RolloverPhase | null {
    return this.#authority.phase;
  }

  /** What is trusted now, the root that signs first. */
  async trustedRoots(): Promise<RolloverStatus["roots"]> {
    return await this.#authority.trustedRoots();
  }

  /** As in IssuanceLog. */
  hold(workload: WorkloadKey, serial: string): void {
    this.#log.hold(workload, serial);
  }

  /** Workloads that have a good certificate which another key signed than the one that signs now. */
  unrenewed(): WorkloadKey[] {
    const { signer } = this.#authority.current;
    return this.#log.signedBy((other) => other !== signer, (serial) => this.isRevoked(serial));
  }

  /**
   * A one-time token that lets this workload join. Throws CitadelError `request_invalid`, and `ca_expired` where nobody
   * could join with it; PrivateFileError.
   */
  async createToken(request: TokenRequest): Promise<JoinToken> {
    const { workload, group, spiffeId, ttlMs = TOKEN_LIFE_DEFAULT_MS, ...rest } = request;
    checkJoiner({ workload, group, spiffeId }, this.trustDomain);
    this.#authority.checkLife();
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

  /** As in Issuer. */
  async enrol(request: EnrolRequest, from?: string): Promise<Issued> {
    return await this.#issuer.enrol(request, from);
  }

  /** As in Issuer. */
  async enrolAs(joiner: Joiner, publicKey: Uint8Array, by: string): Promise<Issued> {
    return await this.#issuer.enrolAs(joiner, publicKey, by);
  }

  /** As in Issuer. */
  async renew(
    peerSpiffeId: string,
    workload: WorkloadKey | undefined,
    request: EnrolRequest,
  ): Promise<Issued> {
    return await this.#issuer.renew(peerSpiffeId, workload, request);
  }

  /** As in Issuer. */
  async rejoin(request: RejoinRequest): Promise<Issued> {
    return await this.#issuer.rejoin(request);
  }

  /** As in Issuer. */
  async issueOwn(): Promise<OwnCertificate> {
    return await this.#issuer.issueOwn();
  }

  /** The workloads that have a sidecar with a valid certificate: they must never be called in plain text. */
  enrolledWorkloads(): ReadonlySet<WorkloadKey> {
    return new Set(this.#log.enrolments().keys());
  }

  /** Whether this workload has joined under this identity, and has a valid certificate. */
  isEnrolledAs(workload: WorkloadKey, spiffeId: string): boolean {
    return this.#log.enrolmentOf(workload)?.spiffeId === spiffeId;
  }

  /** The WorkloadGroup that a workload has joined, by the token of its enrolment; undefined: none. */
  groupOf(workload: WorkloadKey): WorkloadKey | undefined {
    return this.#log.enrolmentOf(workload)?.group;
  }

  /**
   * From now on the certificate with this serial number and those that it replaced, or every one of this SPIFFE ID, is
   * refused: who has the newest has those before it, too. On the disk when it resolves. Throws CitadelError
   * `request_invalid`, `storage_failed`.
   */
  async revoke(target: string): Promise<CertificateStatus[]> {
    const serial = target.replaceAll(":", "").toLowerCase();
    // Also one that has expired, with whose key its workload might come back.
    const issued = this.#log.issued();
    const named = issued.find((each) => each.serial === serial);
    const found = named === undefined
      ? issued.filter((each) => each.spiffeId === target)
      : issued.slice(0, issued.indexOf(named) + 1).filter((each) => each.workload === named.workload);
    if (found.length === 0) {
      throw new CitadelError(
        "request_invalid",
        `No certificate that is good for anything has the serial number or the identity ${
          JSON.stringify(target)
        }; bowline certs shows both`,
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

  /** Whose certificates were revoked, sorted; also of late those that have expired since. */
  revokedIds(): RevokedIdentity[] {
    return this.#revocations.identities();
  }

  /** DER of the certificate revocation list (RFC 5280 §5). */
  async crl(): Promise<Uint8Array<ArrayBuffer>> {
    return await this.#authority.current.signCrl(this.#revocations.current());
  }

  /** The CA's own certificates, from the root down, and every one that was issued and matters still. */
  certificates(): CertificateStatus[] {
    const { only = false, signer: trusted } = this.trust;
    return listCertificates({
      path: this.#authority.current.path,
      others: this.#authority.others,
      issued: this.#log.issued(),
      isRevoked: ({ serial, signer }) => this.isRevoked(serial) || (only && signer !== trusted),
      nowMs: this.#clock.now(),
    });
  }
}

function booksOf(dataDirectory: string): string {
  return `${dataDirectory}/ca`;
}
