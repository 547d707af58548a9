/**
 * A CA that the operator plugs in: a directory of PEM files with Istio's names, or with those of a TLS secret. Whatever
 * would only show later, as handshakes that fail, is found here, and refused with its reason.
 */
import { GENERAL_NAME } from "../../identity/certificate_fields.ts";
import { DER_TAG } from "../../identity/der_reader.ts";
import { derElement } from "../../identity/der_writer.ts";
import type { Clock } from "../../lib/clock.ts";
import type { PrivateFiles } from "../../runtime/private_files.ts";
import type { KeyAlgorithm } from "./authority_key.ts";
import {
  type AuthorityCertificate,
  type AuthorityMaterial,
  authorityPem,
  trustDomainUri,
} from "./authority_material.ts";
import { checkTrusted, findPath, PathError } from "./certificate_path.ts";
import { findNames, readCertificates, readKey, unusable } from "./plugged_files.ts";
import { SigningKey } from "./signing_key.ts";

export interface PluggedAuthorityOptions {
  /** Holds the files; nothing is written there. */
  readonly directory: string;
  readonly trustDomain: string;
  readonly clock: Clock;
  /** Reads the key, which must be closed to others. */
  readonly files: PrivateFiles;
}

/** Throws CitadelError `ca_unusable`, whose message names the file and what is wrong with it. */
export async function openPluggedAuthority(options: PluggedAuthorityOptions): Promise<AuthorityMaterial> {
  const { directory, files, clock } = options;
  const names = await findNames(directory);
  const at = (name: string) => `${directory}/${name}`;
  const [certificate, ...rest] = await readCertificates(at(names.certificate)) as [AuthorityCertificate];
  const chain = names.chain === undefined ? [] : await readCertificates(at(names.chain), "may be missing");
  const roots = await readCertificates(at(names.roots));
  const { privateKey, algorithm } = await readKey(at(names.key), files);
  if (!await belongTogether(privateKey, algorithm, certificate)) {
    throw unusable(at(names.key), `it does not belong to the certificate in ${at(names.certificate)}`);
  }
  refuseForeignNames(certificate, at(names.certificate), options.trustDomain);
  try {
    for (const root of roots) checkTrusted(root);
    const path = await findPath({ certificate, candidates: [...rest, ...chain], roots, nowMs: clock.now() });
    const pem = roots.map(authorityPem).join("");
    return {
      ...{ key: new SigningKey(privateKey), path, roots: pem, pinnable: pem },
      pinned: path.at(-1) as AuthorityCertificate,
      crosses: { leaf: [], own: [] },
    };
  } catch (cause) {
    if (!(cause instanceof PathError)) throw cause;
    const name = cause.where === "root" ? names.roots : cause.where === "chain" ? names.chain : undefined;
    const missing = cause.where === "chain" && names.chain !== undefined && chain.length === 0;
    const why = missing ? `${cause.message} (there is no ${names.chain})` : cause.message;
    throw unusable(at(name ?? names.certificate), why, cause);
  }
}

/** Whether what the one signs is what the other verifies. */
async function belongTogether(
  privateKey: CryptoKey,
  algorithm: KeyAlgorithm,
  { fields }: AuthorityCertificate,
): Promise<boolean> {
  const parameters = { name: algorithm.name, hash: "SHA-256" };
  const sample = new TextEncoder().encode("bowline");
  try {
    const publicKey = await crypto.subtle.importKey(
      "spki",
      derElement(DER_TAG.sequence, fields.publicKey),
      algorithm,
      false,
      ["verify"],
    );
    const signature = await crypto.subtle.sign(parameters, privateKey, sample);
    return await crypto.subtle.verify(parameters, publicKey, signature, sample);
  } catch {
    // A key of another kind cannot even be imported.
    return false;
  }
}

/** A CA that was made for a trust domain (SPIFFE X.509-SVID §4.1) signs for no other; one that names none, for any. */
function refuseForeignNames({ fields }: AuthorityCertificate, path: string, trustDomain: string): void {
  const spiffe = fields.alternativeNames.filter(({ tag, value }) =>
    tag === GENERAL_NAME.uri && value.startsWith("spiffe://")
  );
  const foreign = spiffe.find(({ value }) => value !== trustDomainUri(trustDomain));
  if (foreign === undefined) return;
  const made = JSON.stringify(foreign.value);
  throw unusable(path, `it was made for trust domain ${made}, not "${trustDomainUri(trustDomain)}"`);
}
