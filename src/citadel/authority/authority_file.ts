/**
 * What the mesh's own CA keeps on disk, in one file of PEM, so that every step of a rollover is one rename and no crash
 * can leave a key without its certificate, or half a step:
 *
 *     rollover: renewing          only while one goes on
 *     former root: exposed        only after one that was ended by force, until the next
 *     PRIVATE KEY, CERTIFICATE    the root that signs
 *     PRIVATE KEY, CERTIFICATE    only while one goes on: the other root
 *     CERTIFICATE …               of earlier roots: themselves, and the signatures under which the next one was trusted
 */
import { decodePrivateKey, encodePrivateKey, PRIVATE_KEY_LABEL } from "../../identity/key_pair.ts";
import { decodePem, encodePem, type PemBlock } from "../../identity/pem.ts";
import { CERTIFICATE_LABEL } from "../../identity/trust_bundle.ts";
import { messageOf } from "../../lib/message_of.ts";
import { isSameBytes } from "../../lib/same_bytes.ts";
import type { RolloverPhase } from "../../model/admin.ts";
import {
  type AuthorityCertificate,
  authorityCertificate,
  authorityPem,
  trustDomainUri,
} from "./authority_material.ts";
import { CitadelError } from "../citadel_error.ts";
import type { Root } from "./root_certificate.ts";
import { X509Certificate } from "../x509.ts";

export interface AuthorityState {
  /** Null: no rollover goes on, and `other` is null too. */
  readonly phase: RolloverPhase | null;
  readonly signing: Root;
  /** Trusted beside it. */
  readonly other: Root | null;
  /** The latest former root was dropped by force: others may have its key. */
  readonly exposed: boolean;
  /** Roots that are trusted no more, the latest first. */
  readonly former: readonly AuthorityCertificate[];
  /** The keys of roots with the signature of the root before each. */
  readonly crosses: readonly AuthorityCertificate[];
}

const EXPOSED_LINE = "former root: exposed\n";
const PHASE_LINE = /^rollover: (distributing|renewing|withdrawing)\n/;

/** Text of the file. */
export async function writeAuthority(state: AuthorityState): Promise<string> {
  const { phase, signing, other, exposed, former, crosses } = state;
  return (phase === null ? "" : `rollover: ${phase}\n`) +
    (exposed ? EXPOSED_LINE : "") +
    await rootPem(signing) +
    (other === null ? "" : await rootPem(other)) +
    [...former, ...crosses].map(authorityPem).join("");
}

/** Throws CitadelError `ca_unusable`, which names the file. */
export async function readAuthority(
  bytes: Uint8Array,
  path: string,
  trustDomain: string,
  nowMs: number,
): Promise<AuthorityState> {
  const text = new TextDecoder().decode(bytes);
  const phase = (PHASE_LINE.exec(text)?.[1] ?? null) as RolloverPhase | null;
  let state: AuthorityState;
  try {
    const blocks = decodePem(text);
    const signing = await readRoot(blocks.splice(0, 2));
    const other = phase === null ? null : await readRoot(blocks.splice(0, 2));
    const more = blocks.map(readCertificateBlock);
    const all = [signing.certificate, ...(other === null ? [] : [other.certificate]), ...more];
    if (new Set(all.map(authorityPem)).size < all.length) {
      throw new Error("one of its certificates stands twice");
    }
    const isRoot = ({ fields }: AuthorityCertificate) => isSameBytes(fields.subject, fields.issuer);
    state = {
      ...{ phase, signing, other },
      exposed: phase === null && text.startsWith(EXPOSED_LINE),
      former: more.filter(isRoot),
      crosses: more.filter((each) => !isRoot(each)),
    };
  } catch (cause) {
    throw unusable(path, messageOf(cause), { cause });
  }
  for (const root of [state.signing, state.other]) {
    if (root !== null) await checkRoot(root, path, trustDomain);
  }
  const { notAfterMs } = state.signing.certificate.fields;
  if (nowMs >= notAfterMs) {
    const why = `its certificate expired at ${new Date(notAfterMs).toISOString()}`;
    // A backup would hold the same one.
    throw unusable(path, why, {
      help: `set the machine's clock if it is ahead, or move the file away ${TO_START_ANEW}`,
    });
  }
  return state;
}

async function rootPem({ keys, certificate }: Root): Promise<string> {
  return await encodePrivateKey(keys.privateKey) + authorityPem(certificate);
}

async function readRoot([key, certificate]: readonly PemBlock[]): Promise<Root> {
  if (key?.label !== PRIVATE_KEY_LABEL || certificate === undefined) {
    throw new Error("it must hold exactly a PRIVATE KEY and then a CERTIFICATE of each root that may sign");
  }
  return {
    keys: await decodePrivateKey(encodePem(key.label, key.der)),
    certificate: readCertificateBlock(certificate),
  };
}

function readCertificateBlock({ label, der }: PemBlock): AuthorityCertificate {
  if (label !== CERTIFICATE_LABEL) throw new Error(`it holds a ${label} where a CERTIFICATE must stand`);
  const certificate = authorityCertificate(der);
  if (!certificate.fields.isCa) throw new Error("one of its certificates is not a CA's");
  return certificate;
}

async function checkRoot({ keys, certificate }: Root, path: string, trustDomain: string): Promise<void> {
  const signed = new X509Certificate(certificate.der);
  if (!await signed.verify({ publicKey: keys.publicKey, signatureOnly: true })) {
    throw unusable(path, "its key and its certificate do not belong together");
  }
  const { alternativeNames: names } = certificate.fields;
  if (names.length !== 1 || names[0]?.value !== trustDomainUri(trustDomain)) {
    const made = names.map((name) => JSON.stringify(name.value)).join(", ") || "none";
    throw unusable(path, `it was made for trust domain ${made}, not "${trustDomainUri(trustDomain)}"`);
  }
}

const TO_START_ANEW = "to start a new mesh that every workload must join again";

function unusable(
  path: string,
  why: string,
  { help = `restore the file from a backup, or move it away ${TO_START_ANEW}`, cause }: {
    readonly help?: string;
    readonly cause?: unknown;
  } = {},
): CitadelError {
  const message = `The certificate authority in ${path} cannot be used: ${why}; ${help}`;
  return new CitadelError("ca_unusable", message, message, { cause });
}
