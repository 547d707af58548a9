/**
 * The mesh's own CA: a root that signs itself, and how another one takes its place. Each step is on the disk before it
 * takes effect. What follows from a step for the mesh, and when the next one is due, is root_rollover.ts's to know.
 */
import { isSameBytes } from "../../lib/same_bytes.ts";
import type { Clock } from "../../lib/clock.ts";
import type { RolloverPhase } from "../../model/admin.ts";
import type { PrivateFiles } from "../../runtime/private_files.ts";
import { type AuthorityState, readAuthority, writeAuthority } from "./authority_file.ts";
import { type AuthorityCertificate, type AuthorityMaterial, authorityPem } from "./authority_material.ts";
import { crossSign, makeRoot } from "./root_certificate.ts";
import { SigningKey } from "./signing_key.ts";

/** The CA's file in its directory. */
export const AUTHORITY_FILE = "authority.pem";

/** Earlier roots that are remembered, so that a token or a sidecar that knows only one of them still finds its way. */
export const FORMER_ROOTS_MAX = 4;

const AUTHORITY_BYTES_MAX = 64 * 1024;

export interface OwnAuthorityOptions {
  /** Holds AUTHORITY_FILE; must exist. */
  readonly directory: string;
  readonly trustDomain: string;
  readonly clock: Clock;
  readonly files: PrivateFiles;
}

export class OwnAuthority {
  readonly #options: OwnAuthorityOptions;
  #state: AuthorityState;

  private constructor(options: OwnAuthorityOptions, state: AuthorityState) {
    this.#options = options;
    this.#state = state;
  }

  /**
   * Loads the CA of a directory, or makes one where there is none. Throws CitadelError `ca_unusable`, which names the
   * file, and PrivateFileError; a CA that is there is never replaced.
   */
  static async open(options: OwnAuthorityOptions): Promise<OwnAuthority> {
    const { directory, trustDomain, clock, files } = options;
    const path = `${directory}/${AUTHORITY_FILE}`;
    let bytes = await files.read(path, AUTHORITY_BYTES_MAX);
    if (bytes === undefined) {
      const signing = await makeRoot(trustDomain, clock);
      const text = await writeAuthority({
        ...{ phase: null, signing, other: null, exposed: false, former: [], crosses: [] },
      });
      const made = new TextEncoder().encode(text);
      // Whoever else starts on the same directory: the first one's CA is everybody's.
      const first = await files.create(path, made);
      bytes = first ? made : await files.read(path, AUTHORITY_BYTES_MAX);
    }
    const state = await readAuthority(bytes ?? new Uint8Array(), path, trustDomain, clock.now());
    return new OwnAuthority(options, state);
  }

  /** Every root of which it knows, those that are trusted no more too. */
  get known(): readonly AuthorityCertificate[] {
    const { signing, other, former } = this.#state;
    return [signing.certificate, ...(other === null ? [] : [other.certificate]), ...former];
  }

  /** Null: no rollover goes on. */
  get phase(): RolloverPhase | null {
    return this.#state.phase;
  }

  get signing(): AuthorityCertificate {
    return this.#state.signing.certificate;
  }

  /** Trusted beside the one that signs, while a rollover goes on. */
  get other(): AuthorityCertificate | null {
    return this.#state.other?.certificate ?? null;
  }

  /** No certificate of another root than the one that signs is to hold, wherever it was shown already. */
  get isExposed(): boolean {
    return this.#state.exposed;
  }

  get material(): AuthorityMaterial {
    const { phase, signing, other, former } = this.#state;
    const crosses = this.#crosses();
    const roots = authorityPem(signing.certificate) + (other === null ? "" : authorityPem(other.certificate));
    return {
      key: new SigningKey(signing.keys.privateKey),
      path: [signing.certificate],
      roots,
      // The one that the control plane can prove itself by in each phase, and afterwards.
      pinned: (phase === "renewing" && other !== null ? other : signing).certificate,
      pinnable: roots + former.map(authorityPem).join(""),
      crosses: { leaf: phase === "renewing" ? crosses.slice(0, 1) : [], own: crosses },
    };
  }

  /** A new root is trusted beside the one that signs. */
  async begin(): Promise<void> {
    const { trustDomain, clock } = this.#options;
    const { signing, crosses } = this.#state;
    const other = await makeRoot(trustDomain, clock);
    const cross = await crossSign(other, signing, trustDomain);
    await this.#change({ phase: "distributing", other, exposed: false, crosses: [cross, ...crosses] });
  }

  /** The new root signs; the old one is trusted still. */
  async signWithNew(): Promise<void> {
    await this.#swap("renewing");
  }

  /** Only the root that signs is trusted from now on. `exposed`: others may have the key of the one that goes. */
  async finish(exposed = false): Promise<void> {
    const { phase, other, former } = this.#state;
    if (other === null) return;
    const withdrawn = phase === "withdrawing" ? [] : [other.certificate];
    await this.#change({ phase: null, other: null, exposed, former: [...withdrawn, ...former] });
  }

  /** The old root signs again; the new one is trusted for as long as somebody has a certificate of it. */
  async withdraw(): Promise<void> {
    if (this.#state.phase === "distributing") await this.#change({ phase: null, other: null });
    else await this.#swap("withdrawing");
  }

  async #swap(phase: RolloverPhase): Promise<void> {
    const { signing, other } = this.#state;
    if (other !== null) await this.#change({ phase, signing: other, other: signing });
  }

  async #change(change: Partial<AuthorityState>): Promise<void> {
    const { directory, files, clock } = this.#options;
    const next = pruned({ ...this.#state, ...change }, clock.now());
    await files.replace(
      `${directory}/${AUTHORITY_FILE}`,
      new TextEncoder().encode(await writeAuthority(next)),
    );
    this.#state = next;
  }

  /** From the key that signs up to the first root that is remembered. */
  #crosses(): AuthorityCertificate[] {
    const { signing, crosses } = this.#state;
    const up: AuthorityCertificate[] = [];
    let subject = signing.certificate.fields.subject;
    for (;;) {
      const cross = crosses.find(({ fields }) => isSameBytes(fields.subject, subject));
      if (cross === undefined || up.includes(cross)) return up;
      up.push(cross);
      subject = cross.fields.issuer;
    }
  }
}

/** Without what has expired, and without signatures of or over roots that are not there. */
function pruned(state: AuthorityState, nowMs: number): AuthorityState {
  const isGood = ({ fields }: AuthorityCertificate) => fields.notAfterMs > nowMs;
  const former = state.former.filter(isGood).slice(0, FORMER_ROOTS_MAX);
  const names = [
    state.signing.certificate,
    ...(state.other === null ? [] : [state.other.certificate]),
    ...former,
  ]
    .map(({ fields }) => fields.subject);
  const isKnown = (name: Uint8Array) => names.some((known) => isSameBytes(known, name));
  const crosses = state.crosses.filter((cross) =>
    isGood(cross) && isKnown(cross.fields.subject) && isKnown(cross.fields.issuer)
  );
  return { ...state, former, crosses };
}
