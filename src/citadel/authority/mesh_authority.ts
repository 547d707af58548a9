/** What signs in the mesh, and what is trusted: a root of its own, which rolls over, or a CA that the operator plugs in. */
import { readCertificate } from "../../identity/certificate_fields.ts";
import { hex } from "../../identity/der_reader.ts";
import { readTrustBundle } from "../../identity/trust_bundle.ts";
import type { Clock } from "../../lib/clock.ts";
import { isSameBytes } from "../../lib/same_bytes.ts";
import type { RolloverPhase, RolloverStatus } from "../../model/admin.ts";
import type { Trust } from "../../model/snapshot.ts";
import type { WorkloadKey } from "../../model/workload.ts";
import type { PrivateFiles } from "../../runtime/private_files.ts";
import { type AuthorityCertificate, authorityPem, keyIdentifierOf } from "./authority_material.ts";
import { CertificateAuthority } from "./certificate_authority.ts";
import { CitadelError } from "../citadel_error.ts";
import { AUTHORITY_FILE, OwnAuthority } from "./own_authority.ts";
import { openPluggedAuthority } from "./plugged_authority.ts";
import { RootRollover } from "./root_rollover.ts";

export interface MeshAuthorityOptions {
  /** Of the mesh's own CA; must exist. */
  readonly directory: string;
  /** Of a CA that the operator plugs in; undefined: the mesh's own signs. */
  readonly pluggedDirectory: string | undefined;
  readonly trustDomain: string;
  readonly clock: Clock;
  readonly files: PrivateFiles;
  /** As in RootRolloverOptions. */
  readonly leafLifeMs: number;
  unrenewed(): readonly WorkloadKey[];
  /** The workloads that have a good certificate of such a signer; undefined: an older version wrote none down. */
  holders(isMeant: (signer: string | undefined) => boolean): readonly WorkloadKey[];
}

export class MeshAuthority {
  #current: CertificateAuthority;
  readonly #own: OwnAuthority | null;
  /** Null: a CA is plugged in, and its files are the operator's. */
  readonly rollover: RootRollover | null;

  private constructor(
    current: CertificateAuthority,
    own: OwnAuthority | null,
    { clock, leafLifeMs, unrenewed }: MeshAuthorityOptions,
  ) {
    this.#current = current;
    this.#own = own;
    this.rollover = own && new RootRollover({
      ...{ own, clock, leafLifeMs, unrenewed },
      adopt: async ({ material }) => {
        this.#current = await CertificateAuthority.create(material, clock);
      },
    });
  }

  /**
   * Opens what is there, or makes a root. Throws CitadelError `ca_unusable`, also where workloads would be shut out that
   * another CA has let in; PrivateFileError.
   */
  static async open(options: MeshAuthorityOptions): Promise<MeshAuthority> {
    const { directory, pluggedDirectory, clock } = options;
    const hasOwn = (await options.files.list(directory)).includes(AUTHORITY_FILE);
    if (pluggedDirectory !== undefined) {
      const material = await openPluggedAuthority({ ...options, directory: pluggedDirectory });
      if (hasOwn) await refuseWithoutOwnRoot(material.roots, pluggedDirectory, options);
      return new MeshAuthority(await CertificateAuthority.create(material, clock), null, options);
    }
    // Before a root is made: without the one that was lost it would be another mesh.
    if (!hasOwn) {
      refuseToShutOut(options.holders((signer) => signer !== undefined), ownPath(options), OTHER_CA);
    }
    const own = await OwnAuthority.open(options);
    const known = await signersOf(own.known);
    const others = options.holders((signer) => signer !== undefined && !known.has(signer));
    refuseToShutOut(others, ownPath(options), OTHER_CA);
    return new MeshAuthority(await CertificateAuthority.create(own.material, clock), own, options);
  }

  /** What signs now; a step of a rollover puts another one in its place. */
  get current(): CertificateAuthority {
    return this.#current;
  }

  /** Throws CitadelError `ca_expired` when nothing that is signed now would be good. */
  checkLife(): void {
    this.#current.checkLife(this.#own === null ? RENEW_PLUGGED : RENEW_OWN);
  }

  /** What every proxy is to trust, and by whom its certificate is to be signed. */
  get trust(): Trust {
    const { roots, signer } = this.#current;
    return { roots, signer, ...(this.#own?.isExposed ? { only: true } : {}) };
  }

  /** Null: no rollover of the root goes on. */
  get phase(): RolloverPhase | null {
    return this.#own?.phase ?? null;
  }

  /** Roots that are trusted beside the one that signs. */
  get others(): readonly AuthorityCertificate[] {
    const other = this.#own?.other ?? null;
    return other === null ? [] : [other];
  }

  /** What is trusted now, the root that signs first. */
  async trustedRoots(): Promise<RolloverStatus["roots"]> {
    const signing = (this.#current.path.at(-1) as AuthorityCertificate).der;
    const roots = (await readTrustBundle(this.#current.roots)).map(({ der, pin }) => ({
      pin,
      signs: isSameBytes(der, signing),
      notAfter: new Date(readCertificate(der).notAfterMs).toISOString(),
    }));
    return [...roots.filter(({ signs }) => signs), ...roots.filter(({ signs }) => !signs)];
  }
}

const RENEW_PLUGGED = "; put one that is good into the directory of --ca, and start the control plane again";
const RENEW_OWN = "; bowline ca rotate status says how far the next one is";

const OTHER_CA =
  "certificates of another CA; start with --ca if that was plugged in, or with authority.pem from a " +
  "backup. Without issued.jsonl beside it all of them join again";

/** The roots of a CA that is plugged in must hold the mesh's own for as long as somebody has a certificate of it. */
async function refuseWithoutOwnRoot(
  roots: string,
  pluggedDirectory: string,
  options: MeshAuthorityOptions,
): Promise<void> {
  const own = await OwnAuthority.open(options).catch((error) => {
    // One that cannot be read, or has expired, lets nobody in any more.
    if (error instanceof CitadelError) return null;
    throw error;
  });
  const left = await signersOf((own?.known ?? []).filter((root) => !roots.includes(authorityPem(root))));
  const holders = options.holders((signer) => signer !== undefined && left.has(signer));
  refuseToShutOut(
    holders,
    pluggedDirectory,
    'certificates of the mesh\'s own root, which its roots do not hold; README says under "Your own CA" how to get ' +
      `there step by step. Without ${ownPath(options)} all of them join again`,
  );
}

/** Workloads that a refusal names. */
const NAMED_MAX = 5;

function refuseToShutOut(workloads: readonly WorkloadKey[], path: string, why: string): void {
  if (workloads.length === 0) return;
  const more = workloads.length > NAMED_MAX ? ` and ${workloads.length - NAMED_MAX} more` : "";
  const names = workloads.slice(0, NAMED_MAX).join(", ") + more;
  const message =
    `The certificate authority in ${path} cannot be used: ${names} would be shut out, with ${why}`;
  throw new CitadelError("ca_unusable", message);
}

function ownPath({ directory }: MeshAuthorityOptions): string {
  return `${directory}/${AUTHORITY_FILE}`;
}

/** As leaves call the keys of these roots. */
async function signersOf(roots: readonly AuthorityCertificate[]): Promise<ReadonlySet<string>> {
  return new Set((await Promise.all(roots.map(keyIdentifierOf))).map(hex));
}
