/** What signs in the mesh, and what is trusted: a root of its own, which rolls over, or a CA that the operator plugs in. */
import { readCertificate } from "../identity/certificate_fields.ts";
import { readTrustBundle } from "../identity/trust_bundle.ts";
import type { Clock } from "../lib/clock.ts";
import { isSameBytes } from "../lib/same_bytes.ts";
import type { RolloverPhase, RolloverStatus } from "../model/admin.ts";
import type { Trust } from "../model/snapshot.ts";
import type { WorkloadKey } from "../model/workload.ts";
import type { PrivateFiles } from "../runtime/private_files.ts";
import type { AuthorityCertificate } from "./authority_material.ts";
import { CertificateAuthority } from "./certificate_authority.ts";
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
}

export class MeshAuthority {
  #current: CertificateAuthority;
  readonly #own: OwnAuthority | null;
  /** Null: a CA is plugged in, and its files are the operator's. */
  readonly rollover: RootRollover | null;
  /** The mesh has a CA of its own, and another one is plugged in: who joined before trusts only the former. */
  readonly ownUnused: boolean;

  private constructor(
    current: CertificateAuthority,
    own: OwnAuthority | null,
    ownUnused: boolean,
    { clock, leafLifeMs, unrenewed }: MeshAuthorityOptions,
  ) {
    this.#current = current;
    this.#own = own;
    this.ownUnused = ownUnused;
    this.rollover = own && new RootRollover({
      ...{ own, clock, leafLifeMs, unrenewed },
      adopt: async ({ material }) => {
        this.#current = await CertificateAuthority.create(material, clock);
      },
    });
  }

  /** Opens what is there, or makes a root. Throws CitadelError `ca_unusable`, PrivateFileError. */
  static async open(options: MeshAuthorityOptions): Promise<MeshAuthority> {
    const { directory, pluggedDirectory, trustDomain, clock, files } = options;
    const own = pluggedDirectory === undefined
      ? await OwnAuthority.open({ directory, trustDomain, clock, files })
      : null;
    const material = own?.material ??
      await openPluggedAuthority({ directory: pluggedDirectory as string, trustDomain, clock, files });
    const ownUnused = own === null && (await files.list(directory)).includes(AUTHORITY_FILE);
    return new MeshAuthority(await CertificateAuthority.create(material, clock), own, ownUnused, options);
  }

  /** What signs now; a step of a rollover puts another one in its place. */
  get current(): CertificateAuthority {
    return this.#current;
  }

  /** What every proxy is to trust, and by whom its certificate is to be signed. */
  get trust(): Trust {
    const { roots, signer } = this.#current;
    return { roots, signer };
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
